"""Every example of docs/client.md runs as it stands, one after the other, as a reader would try them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import punctual
from punctual import Scheduler
from punctual.testing import Stack

PAGE = Path(__file__).parents[2] / "docs" / "client.md"
TEXT = PAGE.read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```python\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
CONNECTING = "from_outputs"


@pytest.fixture
def virtual(monkeypatch):
    """Let the stack of the page be a virtual one."""
    stack = Stack()

    def scheduler(name):
        return Scheduler(stack if name == "punctual" else name)

    monkeypatch.setattr(punctual, "Scheduler", scheduler)
    return stack


@pytest.mark.slow
def test_the_examples_run_one_after_the_other(virtual, capsys):
    names = {"__name__": "page"}
    ran = 0
    for example in EXAMPLES:
        if CONNECTING in example or "punctual.testing" in example:
            continue
        exec(compile(example, str(PAGE), "exec"), names)
        ran += 1
    assert 9 == ran
    printed = capsys.readouterr().out
    assert "stored {'order': 7}" not in printed
    assert "2500 would be cancelled" in printed
    assert "name name is 'no spaces here'" in printed
    assert "it was never scheduled" in printed
    assert "line" not in printed, "every request of the stream is accepted"


def test_the_example_for_outputs_runs(bare):
    (example,) = [each for each in EXAMPLES if CONNECTING in each]
    names = {"Scheduler": Scheduler}
    exec(compile(example, str(PAGE), "exec"), names)
    assert "punctual-manage" == names["scheduler"]._outputs.get("ManageFunction")


def test_the_example_of_a_test_passes():
    (example,) = [each for each in EXAMPLES if "punctual.testing" in each]
    names = {"Scheduler": Scheduler, "timedelta": __import__("datetime").timedelta}
    exec(compile(example, str(PAGE), "exec"), names)
    names["test_the_reminder_comes_after_two_hours"]()


def test_the_page_says_that_a_token_is_no_memory():
    words = " ".join(TEXT.split())
    assert "A token is a key, not a memory" in words
    for part in ("`PartitionCount`", "`ReachSeconds`", "rules of acceptance"):
        assert part in words


def test_every_link_of_the_page_leads_somewhere():
    def anchors(text):
        headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
        return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}

    for target in re.findall(r"\]\(([^)]+)\)", TEXT):
        page, _, anchor = target.partition("#")
        text = (PAGE.parent / page).read_text(encoding="utf-8") if page else TEXT
        assert not anchor or anchor in anchors(text), target
