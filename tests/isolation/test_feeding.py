"""The feed of a partition looks at the applications beside it, and none of them delays another."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest

from fakes import NOON_MS, Clock, FakeQueues, FakeTable, schedule, sort_from
from feeds import REACH_MS, UNTIL_S
from scheduler.errors import NotConfirmed
from scheduler.execution.worker_pool import SerialPool
from scheduler.feeding import feed as feeding
from scheduler.feeding import glances
from scheduler.feeding.feed import FeedEvent
from scheduler.feeding.glances import GLANCE_ITEMS_MAX, Parts
from shared_stack import A, B, C


@dataclass
class Beside:
    """A partition, and the items of applications beside it."""

    clock: Clock = field(default_factory=Clock)
    tables: dict[str, FakeTable] = field(default_factory=lambda: {each: FakeTable() for each in ("", A, B, C)})
    queues: dict[str, FakeQueues] = field(default_factory=lambda: {each: FakeQueues() for each in ("", A, B, C)})
    invoked: list[dict] = field(default_factory=list)
    fails: bool = False
    """No feed can be invoked."""
    holders: int = 0

    def invoke(self, event, _) -> None:
        if self.fails:
            raise NotConfirmed("throttled")
        self.invoked.append(json.loads(json.dumps(event)))

    def feed(self, *applications: str, event: dict | None = None, seconds: float = 14):
        self.holders += 1
        table, queues = self.tables[""], self.queues[""]
        dependencies = feeding.FeedDependencies(
            table,
            queues,
            SerialPool(),
            REACH_MS,
            self.invoke,
            lambda whose: Parts(self.tables[whose], self.queues[whose]),
        )
        order = event or {"partition": "0", "until": UNTIL_S, "applications": list(applications)}
        return feeding.feed(FeedEvent.read(order), dependencies, self.clock.deadline(seconds), f"{self.holders}")

    def parts_of(self, whose: str) -> Parts:
        return Parts(self.tables[whose], self.queues[whose])

    def sent(self, whose: str) -> int:
        return len(self.queues[whose].sent)


def test_one_query_finds_what_an_application_has_within_reach():
    beside = Beside()
    beside.tables[A].add(schedule(1, NOON_MS - 5), schedule(2, NOON_MS + 60_000), schedule(3, NOON_MS + 2 * REACH_MS))
    counts = beside.feed(A, B)
    assert (2, 0) == (beside.sent(A), beside.sent(""))
    assert 2 == counts.sent
    assert [1, 1] == [len(beside.tables[each].pages) for each in (A, B)]
    assert [] == beside.invoked
    assert 1 == len(beside.tables[A].items)


def test_an_application_with_much_to_do_gets_a_feed_of_its_own():
    """The feed of the partition moves none of it. The other applications are looked at all the same."""
    beside = Beside()
    beside.tables[A].add(*(schedule(number) for number in range(GLANCE_ITEMS_MAX + 1)))
    beside.tables[B].add(schedule(1))
    beside.feed(A, B)
    assert (0, 1) == (beside.sent(A), beside.sent(B))
    (own,) = beside.invoked
    assert (A, "0", UNTIL_S) == (own["application"], own["partition"], own["until"])
    assert "applications" not in own

    beside.feed(event=own)
    assert GLANCE_ITEMS_MAX + 1 == beside.sent(A)
    assert f"0#{A}" in {run.partition for run in beside.tables[""].runs}


def test_two_feeds_of_one_application_never_run_at_once():
    """The lease is that of the partition and the application, and keeps neither the partition nor others out."""
    beside = Beside()
    beside.tables[A].add(*(schedule(number) for number in range(3)))
    own = {"partition": "0", "until": UNTIL_S, "application": A}
    lease = feeding.Lease(f"0#{A}", int(UNTIL_S * 1000), "other", NOON_MS + 20_000)
    beside.tables[""].take_lease(lease, NOON_MS, None)
    assert 0 == beside.feed(event=own).sent
    assert 3 == beside.feed(A).sent


def test_a_feed_of_its_own_continues_as_its_own():
    beside = Beside()
    beside.tables[A].add(*(schedule(number) for number in range(2_000)))
    own = {"partition": "0", "until": UNTIL_S, "application": A}
    hops = 0
    while own is not None and hops < 1_000:
        beside.feed(event=own, seconds=0)
        hops += 1
        own = beside.invoked.pop() if beside.invoked else None
        assert own is None or own["application"] == A
    assert hops > 1
    assert 2_000 == beside.sent(A)


def test_what_could_not_be_moved_gets_a_feed_of_its_own_with_its_retries():
    """The queue of the application fails. Lambda retries the application's feed, and not that of the partition."""
    beside = Beside()
    beside.queues[A].down = True
    beside.tables[A].add(schedule(1))
    beside.tables[B].add(schedule(1))
    beside.feed(A, B)
    assert [A] == [each["application"] for each in beside.invoked]
    assert 1 == beside.sent(B)


def test_an_application_that_cannot_be_read_holds_up_nobody():
    beside = Beside()
    beside.tables[A].down = True
    beside.tables[B].add(schedule(1))
    beside.feed(A, B)
    assert [A] == [each["application"] for each in beside.invoked]
    assert 1 == beside.sent(B)


def test_an_application_is_not_forgotten_if_its_feed_cannot_be_invoked():
    """Lambda retries the feed of the partition, which looks at all applications again."""
    beside = Beside(fails=True)
    beside.tables[A].add(*(schedule(number) for number in range(GLANCE_ITEMS_MAX + 1)))
    with pytest.raises(NotConfirmed, match="throttled"):
        beside.feed(A, B)
    by_hand = {"partition": "0", "applications": [A, B]}
    with pytest.raises(NotConfirmed, match=f"1 applications were not looked at: the feed of {A} was not invoked"):
        beside.feed(event=by_hand)


def test_the_next_feed_looks_at_the_applications_for_which_there_was_no_time():
    beside = Beside()
    for whose in (A, B, C):
        beside.tables[whose].add(schedule(1))
    seen: list[int] = []
    event: dict | None = {"partition": "0", "until": UNTIL_S, "applications": [A, B, C]}
    while event is not None:
        beside.feed(event=event, seconds=0)
        seen.append(sum(map(beside.sent, (A, B, C))))
        event = beside.invoked.pop() if beside.invoked else None
    assert [1, 2, 3] == seen


def test_a_backlog_of_the_owner_delays_no_application():
    """Applications are looked at between the owner's chunks."""
    beside = Beside()
    beside.tables[""].add(*(schedule(number, NOON_MS - 1) for number in range(5_000)))
    beside.tables[A].add(schedule(1))
    beside.feed(A, seconds=0)
    assert 1 == beside.sent(A)
    assert beside.sent("") < 5_000


def test_a_queue_that_fails_for_one_application_is_not_tried_for_each(monkeypatch):
    """All of them share what the run knows of a queue."""
    beside = Beside()
    for whose in (A, B):
        beside.tables[whose].add(schedule(1, target="arn:aws:sqs:eu-central-1:123456789012:other"))
        beside.queues[whose].closed.add("https://sqs.eu-central-1.amazonaws.com/123456789012/other")
    beside.feed(A, B)
    assert 1 == sum(len(beside.queues[whose].calls) for whose in (A, B))


@pytest.mark.parametrize("event", [{"applications": "aaaaaaaa"}, {"applications": ["3"]}, {"application": "names#f"}])
def test_a_feed_reads_no_strange_application(event: dict):
    with pytest.raises(ValueError, match="wanted: "):
        FeedEvent.read({"partition": "0", **event})


def test_an_event_of_an_earlier_trigger_has_no_applications():
    order = FeedEvent.read({"partition": "0", "until": UNTIL_S})
    assert ((), "") == (order.applications, order.application)
    assert not {"applications", "application"} & set(order.event())


def test_a_glance_reads_as_far_as_the_feed():
    """A schedule that comes within reach later is for the next tick."""
    beside = Beside()
    beside.tables[A].add(schedule(1, NOON_MS + REACH_MS - 1), schedule(2, NOON_MS + REACH_MS + 1))
    beside.feed(A)
    assert 1 == beside.sent(A)
    assert sort_from(NOON_MS + REACH_MS + 1) == next(iter(beside.tables[A].items)).sort[:15]
    assert glances.BETWEEN_TASKS < GLANCE_ITEMS_MAX


def test_a_slow_application_does_not_outlast_the_feed(monkeypatch):
    """What it could not move in time goes to a feed of its own, or to the next feed."""
    beside = Beside()
    targets = [f"arn:aws:sqs:eu-central-1:123456789012:q{number}" for number in range(20)]
    beside.tables[A].add(*(schedule(number, target=target) for number, target in enumerate(targets)))
    send = beside.queues[A].send

    def slow(*arguments):
        beside.clock.sleep(5)
        return send(*arguments)

    monkeypatch.setattr(beside.queues[A], "send", slow)
    began_s = beside.clock()
    beside.feed(A, seconds=14)
    assert beside.clock() - began_s < 14 + 6
    assert 0 < beside.sent(A) < 20
    assert [A] in [each.get("applications", [each.get("application")]) for each in beside.invoked]
