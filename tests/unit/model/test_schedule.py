"""Keys and ids sort by time, and are the same for the same request with the same token."""

import random
import re

from hypothesis import given
from hypothesis import strategies as st

from fakes import NOON_MS, schedule
from scheduler.limits import DUE_MS_MAX
from scheduler.model.schedule import Request, sort_from
from scheduler.placing.keys import KeyGenerator

moment = st.integers(0, DUE_MS_MAX)


@given(moment, moment)
def test_keys_sort_by_time(one, other):
    """Fifteen padded digits cover 1970 to the year 9999."""
    assert (one < other) == (sort_from(one) < sort_from(other))
    assert 15 == len(sort_from(one))


@given(moment, st.integers(1, 256), st.integers())
def test_the_id_is_the_key(due_ms, count, seed):
    """`<partition>-<15 digits>-<16 hex>` finds a schedule by its id without an index."""
    made = KeyGenerator(count, random.Random(seed)).schedule(Request(due_ms, "x"))
    found = re.fullmatch(r"(\d{1,3})-(\d{15})-([0-9a-f]{16})", made.id)
    assert made.key == (found[1], f"{found[2]}#{found[3]}")
    assert int(found[1]) < count
    assert due_ms == made.due_ms


def test_the_same_request_with_the_same_token_has_the_same_id():
    """The token and the request replace everything random in the key."""
    key_generator, request = KeyGenerator(4, random.Random(1)), Request(NOON_MS, "x", token="t")
    assert key_generator.schedule(request).id == key_generator.schedule(request).id


def test_another_request_with_the_same_token_has_another_id():
    """A token used twice by mistake loses nothing. Due time, data, target, user and expiry count."""
    key_generator = KeyGenerator(4, random.Random(1))
    requests = [
        Request(NOON_MS, "x", token="t"),
        Request(NOON_MS, "y", token="t"),
        Request(NOON_MS, "x", target="arn", token="t"),
        Request(NOON_MS, "x", user="me", token="t"),
        Request(NOON_MS, "x", expires_after_ms=1, token="t"),
        Request(NOON_MS, "x", token="u"),
        Request(NOON_MS, "x"),
    ]
    assert len(requests) == len({key_generator.schedule(request).id for request in requests})


def test_partitions_are_random_without_a_token():
    """Every partition gets about equally many schedules."""
    key_generator = KeyGenerator(4, random.Random(1))
    picked = [key_generator.schedule(Request(0, "x")).key.partition for _ in range(4000)]
    assert {"0", "1", "2", "3"} == set(picked)
    assert all(800 < picked.count(partition) < 1200 for partition in "0123")


@given(st.integers(-1_000_000, 900_000))
def test_the_delay_is_rounded_up_and_never_negative(ahead_ms):
    """The message becomes visible after it is due, and less than a second later."""
    delay_ms = schedule(1, NOON_MS + ahead_ms).delay_s(NOON_MS) * 1000
    assert delay_ms >= ahead_ms
    assert delay_ms - max(0, ahead_ms) < 1000
