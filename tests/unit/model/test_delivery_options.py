"""Terms of a delivery: their text, their defaults, and the pause between two tries."""

import math
import re
from pathlib import Path

import pytest

from scheduler.limits import SQS_DELAY_S_MAX
from scheduler.model import delivery_options
from scheduler.model.delivery_options import ATTEMPTS_DEFAULT, DeliveryOptions, pause_s
from scheduler.model.targets import AllowedTargets

ROOT = Path(__file__).parents[3]

TOPIC = "arn:aws:sns:eu-central-1:123456789012:topic"
LISTED = AllowedTargets(frozenset({TOPIC}), "eu-central-1")


def test_terms_are_stored_as_one_text_and_read_back():
    """The text has only the given values."""
    raw = {"retry": {"max_age_s": 60, "attempts": 3}, "failure_target": TOPIC, "data": "x"}
    text = delivery_options.checked(raw, LISTED)
    assert f'{{"retry":{{"attempts":3,"max_age_s":60}},"failure_target":"{TOPIC}"}}' == text
    assert DeliveryOptions(3, 60_000, TOPIC) == DeliveryOptions.read(text)
    assert delivery_options.checked({"data": "x"}, LISTED) is None


def test_terms_have_defaults():
    """Twelve attempts within a day."""
    assert DeliveryOptions(12, 86_400_000, None) == DeliveryOptions.read(None)
    assert DeliveryOptions(2, 86_400_000, None) == DeliveryOptions.read('{"retry":{"attempts":2}}')


def test_a_pause_doubles_and_is_random():
    """It is between three quarters and all of the doubled value."""
    assert [7.5, 15, 30, 60] == [pause_s(attempt, None, 0.0) for attempt in range(1, 5)]
    assert [10, 20, 40, 80] == [pause_s(attempt, None, 1.0) for attempt in range(1, 5)]


def test_the_pauses_are_those_of_the_documentation():
    """docs/reference.md has the longest pause before each attempt, and the time of the attempt."""
    text = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| ([\d,]+) s \| ([\d,]+) to ([\d,]+) s \|$", text, re.MULTILINE)
    found = [tuple(int(cell.replace(",", "")) for cell in row) for row in rows]
    wanted, earliest_s, latest_s = [], 0.0, 0.0
    for attempt in range(2, ATTEMPTS_DEFAULT + 1):
        earliest_s += pause_s(attempt - 1, None, 0.0)
        latest_s += pause_s(attempt - 1, None, 1.0)
        wanted.append((attempt, round(pause_s(attempt - 1, None, 1.0)), math.floor(earliest_s), round(latest_s)))
    assert wanted == found
    assert earliest_s > 3_600
    assert f"{ATTEMPTS_DEFAULT} attempts within a day" in text
    assert f"{ATTEMPTS_DEFAULT} attempts within a day" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("attempt", [8, 20, 10_000])
def test_no_pause_is_longer_than_the_delay_of_a_message(attempt):
    """The caller's limit leaves room for randomness, so that two chains of retries do not stay in step."""
    assert SQS_DELAY_S_MAX == pause_s(attempt, None, 1.0)
    assert (45, 60) == (pause_s(attempt, None, 0.0, longest_s=60), pause_s(attempt, None, 1.0, longest_s=60))


def test_the_target_may_ask_for_a_longer_pause():
    """It gets up to a quarter of an hour."""
    assert 120 == pause_s(1, 120.0, 1.0)
    assert 10 == pause_s(1, 1.0, 1.0)
    assert SQS_DELAY_S_MAX == pause_s(1, 5_000.0, 1.0)
