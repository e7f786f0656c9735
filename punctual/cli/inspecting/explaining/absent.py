"""The sentences about a schedule that the stack does not have, or cannot look up: where it may be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from punctual.cli import times
from punctual.cli.inspecting.explaining import feed as feeds
from punctual.cli.inspecting.explaining.evidence import Evidence
from punctual.cli.inspecting.explaining.feed import Feed
from punctual.cli.inspecting.explaining.story import DOCTOR, Clock, which_run
from punctual.cli.output import counted
from punctual.cli.schedules import shown

At = Callable[[datetime], str]
"""Shows a time with its distance from now."""
MEMBER_PARTS = 4
"""The parts of the id of a bundle's member. That of its bundle has three."""
NEVER_ACCEPTED = "No request was accepted"
REJECTED = "A rejected request leaves nothing behind, and its error said why."
RETENTION = timedelta(days=14)
"""How long the queues of the stack keep a message."""


def sentences(evidence: Evidence, zone: times.Zone) -> Iterator[str]:
    at = Clock(evidence.now, zone).at
    if evidence.failure is not None:
        yield from _failed(evidence, at)
    elif evidence.id is None:
        yield from _name_unknown(evidence)
    elif evidence.on_its_way:
        yield from _on_its_way(evidence, evidence.id, at)
    else:
        yield from _id_unknown(evidence, evidence.id, at)


def _failed(evidence: Evidence, at: At) -> Iterator[str]:
    failure = evidence.failure
    assert failure is not None
    word = "expired" if failure.reason == "expired" else "failed"
    when = "" if failure.failed is None else f" {at(failure.failed)}"
    tried = f" after {counted(failure.attempts, 'attempt')}" if failure.attempts else ""
    yield f"{failure.name or failure.id} {word}{when}{tried}: {failure.error or 'no error is noted'}."
    if failure.due is not None:
        yield f"It was due {at(failure.due)} and was to go to {_target(failure.target)}."
    yield f"punctual redrive {failure.id} schedules it again, once the cause is mended."


def _name_unknown(evidence: Evidence) -> Iterator[str]:
    yield f"The stack knows nothing under the name {evidence.name}, and no failure of the last 90 days has it."
    if evidence.similar:
        yield f"There is a pending schedule {evidence.similar}: perhaps you mean that."
    yield "One of these is true:"
    yield f"- {NEVER_ACCEPTED} under this name. {REJECTED}"
    yield "- It was delivered or cancelled more than a week ago. The stack keeps the record of a name for a week."
    yield "- It is in another stack, account or region: give --stack, --profile or --region."
    yield "- It was scheduled without a name. Then only its id finds it, while it is in the table."


def _id_unknown(evidence: Evidence, schedule_id: str, at: At) -> Iterator[str]:
    yield f"The stack has no schedule {schedule_id}: {evidence.answer}."
    yield f"By its id it is due {_due(schedule_id, at)}, and a feed would move it from {_reachable(evidence, at)} on."
    yield "It is not in the table, although it is too early for a feed to have moved it. One of these is true:"
    yield "- It was cancelled, moved, changed or fired by its id. Each change gives a new id."
    yield "- It has a name, and a later request under that name replaced it: punctual explain NAME."
    yield f"- {NEVER_ACCEPTED} with this id in this stack, account and region. {REJECTED}"


def _on_its_way(evidence: Evidence, schedule_id: str, at: At) -> Iterator[str]:
    due, feed = feeds.due_of(schedule_id), evidence.feed
    past = due <= evidence.now
    yield f"By its id, {schedule_id} {'was' if past else 'is'} due {_due(schedule_id, at)}."
    yield "It is not in the table. It has no name there either, so the stack keeps no record of what became of it."
    if feed is not None:
        yield from _fed(feed, evidence.now, at)
    yield "One of these is true:"
    if past:
        yield "- It was released, and its consumer has received and deleted the message. This is the usual case."
        if evidence.now - due < RETENTION:
            yield f"- It was released, and its message waits in its queue.{_counted(evidence, 'output')}"
        else:
            yield "- It was released, and SQS deleted its message, which no consumer took in 14 days."
    else:
        yield (
            "- It is in the output queue, in a queue of yours or in the delivery queue, hidden until its time. "
            f"SQS cannot look at it.{_counted(evidence, 'output', 'delivery')}"
        )
        yield "- It was fired, and is released already."
    yield "- It was cancelled, moved or changed by its id in time. Each change gives a new id."
    yield f"- {NEVER_ACCEPTED} with this id. {REJECTED}"
    yield "What cannot be known: when it was accepted, when it was released, and to which target."
    yield "punctual failures has no entry for it, so it has neither failed nor expired as far as that list goes."
    yield "Give schedules a --name to have this on record."


def _fed(feed: Feed, now: datetime, at: At) -> Iterator[str]:
    """Tell whether the feed that moves far schedules ran in time."""
    if feed.unknown:
        yield f"Whether its feed ran is not known: {feed.unknown}."
    elif feed.first is None:
        yield (
            f"No run of the feed of partition {feed.partition} is noted since {at(feed.reachable)}, so no feed has "
            "moved it. If it was accepted, it was after that, and it went straight to its queue."
        )
        if now > feed.latest:
            yield f"That feed had to run until {at(feed.latest)}: {DOCTOR}."
    elif movers := feed.movers(now):
        yield (
            f"If it was accepted before {at(feed.reachable)}, the feed of partition {feed.partition} moved it"
            f"{which_run(movers, now, at)}."
        )
    else:
        yield (
            f"No run of the feed of partition {feed.partition} since {at(feed.reachable)} notes that it moved "
            "a schedule."
        )


def _counted(evidence: Evidence, *queues: str) -> str:
    counts = [f"{evidence.queues[queue]:,} in the {queue} queue" for queue in queues if queue in evidence.queues]
    return f" SQS counts {' and '.join(counts)}." if counts else ""


def _due(schedule_id: str, at: At) -> str:
    due = at(feeds.due_of(schedule_id))
    if len(schedule_id.split("-")) == MEMBER_PARTS:
        return f"within the minute before {due}, because it is in a bundle"
    return due


def _reachable(evidence: Evidence, at: At) -> str:
    return at(evidence.feed.reachable) if evidence.feed is not None else "the reach"


def _target(target: object) -> str:
    return "the output queue" if target is None else shown.target_shown(target)
