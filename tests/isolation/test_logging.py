"""A log line about something of an application names the application. The lines of the owner name none."""

from __future__ import annotations

import pytest

from scheduler.feeding.glances import GLANCE_ITEMS_MAX
from shared_stack import FAR, A, B, Shared

URL = "https://a.example.com/hook"


def whose(shared: Shared, outcome: str) -> list[str | None]:
    found = [line.get("application") for line in shared.stack.log() if line["outcome"] == outcome]
    return sorted(found, key=str)


@pytest.mark.parametrize("delay", [5, FAR])
def test_every_delivery_says_whose_it_is(shared: Shared, delay: int):
    for each in (A, B):
        shared.create(each, hosts=("a.example.com",))
    for each in (A, B, ""):
        shared.schedule(each, delay=delay, target={"url": URL})
    shared.stack.advance(seconds=delay + 10)
    assert [None, A, B] == whose(shared, "scheduled") == whose(shared, "delivered")


def test_every_failed_attempt_says_whose_it_is(shared: Shared):
    shared.create(A, hosts=("a.example.com",))
    shared.stack.answer("a.example.com", 503)
    for each in (A, ""):
        shared.schedule(each, delay=5, target={"url": URL}, name="n")
    shared.stack.advance(seconds=6)
    assert [None, A] == whose(shared, "undelivered")


@pytest.mark.parametrize("count", [1, GLANCE_ITEMS_MAX + 1])
def test_what_a_feed_quarantines_says_whose_it_is(shared: Shared, count: int):
    """The feed of the partition does it, or a feed for the application alone."""
    shared.schedule(A, delay=FAR)
    shared.schedule("", delay=FAR)
    for number in range(count):
        item = {"partition": {"S": f"0#{A}"}, "sort": {"S": f"{round(shared.stack.now * 1000):015d}#{number:016x}"}}
        shared.stack.client("dynamodb").put_item(TableName=shared.stack.output("TableName"), Item=item)
    item = {"partition": {"S": "0"}, "sort": {"S": f"{round(shared.stack.now * 1000):015d}#{7:016x}"}}
    shared.stack.client("dynamodb").put_item(TableName=shared.stack.output("TableName"), Item=item)
    shared.stack.advance(seconds=700)
    assert [None, *[A] * count] == whose(shared, "quarantined")
    runs = [line for line in shared.stack.log() if line["outcome"] == "fed"]
    assert {(A if "#" in line["partition"] else None) for line in runs} == {line.get("application") for line in runs}
