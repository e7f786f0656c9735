"""`punctual explain`: say why a schedule fired, did not fire, or was late. It only reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from punctual.cli import times
from punctual.cli.errors import DONE, NOT_FOUND
from punctual.cli.inspecting.explaining import absent
from punctual.cli.inspecting.explaining.evidence import Evidence, gather
from punctual.cli.inspecting.explaining.feed import Feed
from punctual.cli.inspecting.explaining.story import Story
from punctual.cli.inspecting.subject import Subject
from punctual.cli.options import command, zone_option
from punctual.cli.output import printable
from punctual.cli.run import Run, pass_run
from punctual.cli.schedules import shown
from punctual.cli.schedules.fields import which, which_options

if TYPE_CHECKING:
    from punctual import FeedRun

RUNS_SHOWN_MAX = 20


@command("explain", example="punctual explain order/7")
@which_options
@zone_option("The time zone of the times shown. Default: that of this machine.")
@pass_run
def explain(run: Run, name: str | None, id: str | None, zone: times.Zone | None) -> int:
    """Say why the schedule NAME fired, did not fire, or was late.

    It tells what the stack knows: the record and its attempts, the feed that moved it or did not, the queue and the
    failure. For a schedule that is not there it says where it may be. The stack keeps no record of an unnamed schedule
    that has left the table, so give schedules that matter a name. explain only reads. The exit status is 3 if the
    stack knows nothing of the schedule.
    """
    which(name, id)
    subject = Subject(run)
    evidence = gather(subject, name, id)
    told = [printable(sentence) for sentence in _sentences(evidence, subject, zone or times.HERE)]
    run.output.result(_fields(evidence, told), *told)
    return NOT_FOUND if evidence.verdict == "unknown" else DONE


def _sentences(evidence: Evidence, subject: Subject, zone: times.Zone) -> Iterator[str]:
    if evidence.schedule is None:
        return absent.sentences(evidence, zone)
    return Story(evidence, evidence.schedule, zone, subject.output("TriggerFunction")).sentences()


def _fields(evidence: Evidence, told: list[str]) -> dict[str, Any]:
    """Return the object of `--json`. Fields are only ever added."""
    schedule = evidence.schedule
    moments = None if schedule is None else schedule.attempt_times
    return {
        "name": evidence.name,
        "id": evidence.id,
        "verdict": evidence.verdict,
        "schedule": None if schedule is None else shown.schedule_fields(schedule),
        "attempt_times": None if moments is None else [times.iso(each) for each in moments],
        "lateness": _lateness(evidence),
        "feed": None if evidence.feed is None else _feed(evidence.feed),
        "failure": None if evidence.failure is None else shown.failure_fields(evidence.failure),
        "queues": dict(evidence.queues),
        "explanation": told,
    }


def _lateness(evidence: Evidence) -> float | None:
    """Return how many seconds after its time a schedule was delivered."""
    schedule = evidence.schedule
    if schedule is None or schedule.state != "delivered" or schedule.changed is None:
        return None
    return round((schedule.changed - schedule.due).total_seconds(), 3)


def _feed(feed: Feed) -> dict[str, Any]:
    return {
        "partition": feed.partition,
        "reachable": times.iso(feed.reachable),
        "latest": times.iso(feed.latest),
        "unknown": feed.unknown or None,
        "runs": [_run(each) for each in feed.runs[-RUNS_SHOWN_MAX:]],
    }


def _run(run: FeedRun) -> dict[str, Any]:
    return {
        "begun": times.iso(run.begun),
        "ended": times.iso(run.ended),
        "moved": run.moved,
        "left": run.left,
        "error": run.error,
    }
