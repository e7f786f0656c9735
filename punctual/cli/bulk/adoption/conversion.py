"""Decide which schedules of EventBridge Scheduler Punctual can take over, and what they become."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from punctual.cli import times
from punctual.cli.bulk.adoption.originals import Original
from punctual.cli.bulk.function_rules import FunctionRules, Refused
from punctual.cli.bulk.reading.rows import Row
from punctual.cli.errors import WrongUsage

SOON_S = 900
"""A schedule that is due sooner may come out on both sides, or on neither."""
ATTEMPTS_MAX = 20
RETRIES_DEFAULT, AGE_S_DEFAULT = 185, 86_400
"""The defaults of EventBridge Scheduler."""
EVENT_SOURCE, EVENT_TYPE = "punctual", "Scheduled"
"""Punctual sends these to an event bus."""
KINDS = ("sqs", "sns", "lambda", "events", "states")
PLANNED_FIELDS = frozenset({"timestamp", "data", "name", "retry"})
"""Fields that every request has."""
PLANNED_HEAD = b'{"timestamp": "'
_AT = re.compile(r"at\((\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\)")
_PLACEHOLDER = re.compile(r"<aws\.scheduler\.[a-z-]+>")


class Skipped(Exception):
    """This schedule stays where it is. The message says why."""


@dataclass(frozen=True)
class Taken:
    """A schedule that Punctual can take over, and the request that it becomes."""

    original: Original
    due: datetime
    request: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.request["name"])

    @property
    def latest(self) -> datetime:
        """When it is due at the latest."""
        return self.due + timedelta(seconds=self.request.get("spread", 0))

    def line(self) -> bytes:
        """Return the line of the file that is imported. The same original gives the same bytes."""
        return json.dumps(self.request, ensure_ascii=False).encode() + b"\n"


@dataclass(frozen=True)
class Conversion:
    """Converts originals by the rules of one stack. `output_queue` is the target that a request leaves out."""

    rules: FunctionRules
    output_queue: str
    now: datetime
    soon_s: float = SOON_S

    def taken(self, original: Original) -> Taken:
        """Return what the original becomes. Raise Skipped if Punctual cannot take it over."""
        due = due_of(original)
        if original.get("State") == "DISABLED":
            raise Skipped("it is disabled")
        if due <= self.now:
            raise Skipped("it is past, or completed")
        if (due - self.now).total_seconds() < self.soon_s:
            raise Skipped(f"it is due within {self.soon_s / 60:.0f} minutes")
        _check_target(original["Target"])
        found = Taken(original, due, self._request(original, due))
        try:
            self.rules.verdict(Row(0, b"", found.line()))
        except Refused as refusal:
            raise Skipped(str(refusal)) from None
        return found

    def _request(self, original: Original, due: datetime) -> dict[str, Any]:
        target, window = original["Target"], original.get("FlexibleTimeWindow", {})
        policy = target.get("RetryPolicy", {})
        attempts = min(policy.get("MaximumRetryAttempts", RETRIES_DEFAULT) + 1, ATTEMPTS_MAX)
        request: dict[str, Any] = {
            "timestamp": times.iso(due),
            "data": target["Input"],
            "name": f"{original['GroupName']}/{original['Name']}",
            "if_exists": "keep",
            "retry": {"attempts": attempts, "max_age_s": policy.get("MaximumEventAgeInSeconds", AGE_S_DEFAULT)},
        }
        if target["Arn"] != self.output_queue:
            request["target"] = target["Arn"]
        if window.get("Mode") == "FLEXIBLE":
            request["spread"] = window["MaximumWindowInMinutes"] * 60
        if target.get("DeadLetterConfig", {}).get("Arn"):
            request["failure_target"] = target["DeadLetterConfig"]["Arn"]
        return request


def is_planned(line: bytes) -> bool:
    """Return whether a line of a file is one of `Taken.line`, or a torn or empty one."""
    if not line.strip():
        return True
    try:
        request = json.loads(line)
    except ValueError:
        return line.startswith(PLANNED_HEAD[: len(line.rstrip())])
    return isinstance(request, dict) and request.get("if_exists") == "keep" and PLANNED_FIELDS <= request.keys()


def due_of(original: Original) -> datetime:
    """Return the time of a one-time schedule. Raise Skipped if it repeats."""
    expression, zone = original["ScheduleExpression"], original.get("ScheduleExpressionTimezone") or "UTC"
    found = _AT.fullmatch(expression)
    if found is None:
        raise Skipped(f"it repeats: {expression}")
    try:
        return times.zone(zone).place(datetime.fromisoformat(found[1])).astimezone(UTC)
    except (WrongUsage, ValueError, OverflowError) as fault:
        raise Skipped(f"its time cannot be read: {fault}") from None


def _check_target(target: dict[str, Any]) -> None:
    """Raise Skipped if the target would not receive from Punctual what it receives from EventBridge Scheduler."""
    arn, content = target["Arn"], target.get("Input")
    if ":::aws-sdk:" in arn:
        raise Skipped("its target is universal: a call of AWS's API")
    service = arn.split(":")[2] if arn.count(":") > 2 else arn
    if service not in KINDS:
        raise Skipped(f"Punctual has no targets of {service}")
    if arn.endswith(".fifo") or "SqsParameters" in target:
        raise Skipped("its target is FIFO")
    if not content:
        raise Skipped("it has no Input, so there is no data to send")
    if _PLACEHOLDER.search(content):
        raise Skipped("its Input has placeholders that EventBridge Scheduler fills in")
    event = target.get("EventBridgeParameters")
    if event and (event.get("Source"), event.get("DetailType")) != (EVENT_SOURCE, EVENT_TYPE):
        raise Skipped(f"its event has another source or detail type than {EVENT_SOURCE} and {EVENT_TYPE}")
