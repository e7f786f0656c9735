"""Whether the feed runs: its rule, its last runs, and schedules that are overdue in the table."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from punctual.cli import times
from punctual.cli.inspecting.checks.finding import Answer, Check, fault, not_checked, ok
from punctual.cli.inspecting.subject import Subject
from punctual.cli.output import counted
from punctual.client.calling.aws_errors import Refused
from punctual.client.errors import InvalidRequest

INTERVALS = 2
"""A partition that was not fed for this many intervals is a fault. One missed feed makes nothing late."""
RUNS_MAX = 20_000
OVERDUE_S = 90
"""A schedule that is in the table this long after its time is overdue, and not just being moved."""
OWNER = "owner"
"""The owner among the applications."""
NO_FEED = "no far schedule is released"


def rule(subject: Subject) -> Iterator[Answer]:
    """The rule invokes the trigger function at each interval."""
    names = [name.rsplit("|", 1)[-1] for name in subject.of_type("AWS::Events::Rule")]
    if not names:
        yield fault(f"{subject.stack} has no rule: {NO_FEED}", "punctual deploy makes it again")
    for name in names:
        try:
            found = subject.ask("events:DescribeRule", "events", "describe_rule", Name=name)
        except Refused as refusal:
            if "ResourceNotFoundException" not in str(refusal):
                raise
            yield fault(
                f"the rule {name} was deleted: {NO_FEED}", "make it again: set FeedIntervalMinutes to another value"
            )
            continue
        if found.get("State") == "DISABLED":
            yield fault(f"the rule {name} is disabled: {NO_FEED}", f"aws events enable-rule --name {name}")
        else:
            yield ok(f"the rule is enabled: {found.get('ScheduleExpression', '')}")


def last_runs(subject: Subject) -> Iterator[Answer]:
    """Every partition was fed within two intervals."""
    now, span = subject.now(), timedelta(seconds=INTERVALS * subject.interval_s + OVERDUE_S)
    updated = subject.described.get("LastUpdatedTime") or subject.described.get("CreationTime")
    try:
        last = _last_begun(subject, now - span, now)
    except InvalidRequest:
        yield not_checked("this version of the stack keeps no list of its feeds; punctual deploy updates it")
        return
    behind = [number for number in range(subject.partition_count) if str(number) not in last]
    if not behind:
        since = times.words(now - min(last.values()))
        yield ok(f"all {subject.partition_count} partitions were fed, the first of them {since} ago")
    elif isinstance(updated, datetime) and now - updated < span:
        yield not_checked("the stack was deployed less than two feed intervals ago")
    else:
        listed = ", ".join(map(str, behind[:10])) + (" and more" if len(behind) > 10 else "")
        yield fault(
            f"partition {listed} was not fed in the last {times.words(span)}",
            "check the rule, and the errors and throttles of TriggerFunction and FeedFunction; "
            f"feed all partitions now: aws lambda invoke --function-name {subject.output('TriggerFunction')} /dev/null",
        )


def _last_begun(subject: Subject, start: datetime, end: datetime) -> dict[str, datetime]:
    """Return when each partition was last fed. The runs come in the order in which they began."""
    runs = subject.run.scheduler.runs(start, end)
    return {run.partition: run.begun for run in itertools.islice(runs, RUNS_MAX)}


def overdue(subject: Subject) -> Iterator[Answer]:
    """A feed moves what has come within reach, so nothing in the table is past its time."""
    try:
        found = subject.manage_once("status")
    except InvalidRequest:  # A stack of an earlier version.
        yield _overdue_by_list(subject)
        return
    oldest, overdue = found["oldest_overdue"], found["overdue"]
    late = timedelta() if oldest is None else subject.now() - datetime.fromtimestamp(oldest["timestamp"], UTC)
    if late > timedelta(seconds=OVERDUE_S):
        at_least = "" if overdue["complete"] else "at least "
        whose = "" if oldest["application"] == OWNER else f" of the application {oldest['application']}"
        yield _overdue(
            subject,
            f"overdue in the table: {at_least}{counted(overdue['count'], 'schedule')}, "
            f"the oldest by {times.words(late)}, in partition {oldest['partition']}{whose}",
        )
    elif overdue["complete"]:
        yield ok("no schedule in the table is overdue")
    else:
        yield ok("no overdue schedule was found; there are too many applications to look at all of them in one call")


def _overdue_by_list(subject: Subject) -> Answer:
    """Look at the owner's own schedules."""
    end = subject.now() - timedelta(seconds=OVERDUE_S)
    found = next(iter(subject.run.scheduler.list(datetime.fromtimestamp(0, UTC), end, limit=1)), None)
    if found is None:
        return ok("no schedule in the table is overdue")
    late = times.words(subject.now() - found.due)
    return _overdue(subject, f"schedules in the table are overdue, the oldest {found.name or found.id} by {late}")


def _overdue(subject: Subject, text: str) -> Answer:
    return fault(
        text,
        "see the rule and the feeds above; feed all partitions now: "
        f"aws lambda invoke --function-name {subject.output('TriggerFunction')} /dev/null",
    )


CHECKS = (Check("rule", rule), Check("last feeds", last_runs), Check("overdue", overdue))
