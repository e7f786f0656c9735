"""The lines that feeds write about their runs agree with what the feeds did.

A line says how many schedules its run sent. It comes after every send and delete of the run, and at most once.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from punctual.testing.calls import Call
from punctual.testing.services.environments import Invocation
from punctual.testing.timeline import US
from simulator.checks.names import invocation_of
from simulator.faults.faults import SKEW_US_MAX

LINES = "runs#"


def is_line(item: dict[str, Any]) -> bool:
    return bool(item["partition"]["S"].startswith(LINES))


@dataclass(eq=False)
class FeedRuns:
    report_violation: Callable[[int, str, str], None]
    lines: int = 0
    _sent: Counter[Invocation] = field(default_factory=Counter)
    """The confirmed sends of schedules that cannot have expired."""
    _doubtful: Counter[Invocation] = field(default_factory=Counter)
    """The confirmed sends to the delivery queue of schedules that may have expired. The line counts no expiry."""
    _told: dict[Invocation, dict[str, Any]] = field(default_factory=dict)
    """The lines, by run."""
    _over_us: dict[Invocation, int] = field(default_factory=dict)
    """When each run began to write its line."""

    def confirmed(self, call: Call, numbers: set[str], to_delivery_queue: bool) -> None:
        """Count the sends of a feed that SQS has confirmed. A report has no attributes."""
        invocation = _feed_of(call)
        if invocation is None:
            return
        for entry in call.parameters["Entries"]:
            if entry["Id"] not in numbers:
                continue
            if to_delivery_queue:
                counter = self._doubtful if "expires_after" in json.loads(entry["MessageBody"]) else self._sent
                counter[invocation] += 1
            elif "MessageAttributes" in entry:
                self._sent[invocation] += 1

    def acts(self, call: Call, what: str) -> None:
        """Check that a run begins nothing after its line. AWS may carry out an earlier call late."""
        invocation = _feed_of(call)
        if invocation is not None and call.begun_us > self._over_us.get(invocation, call.begun_us):
            self.report_violation(1, "", f"{invocation.id} {what} after the line that says how it ended")

    def wrote(self, call: Call, line: dict[str, Any] | None, now_us: int) -> None:
        """Check a line. A write that AWS carried out late may belong to an invocation that is over."""
        invocation = _feed_of(call)
        if invocation is None or line is None:
            return
        self.acts(call, "writes another line")
        self._told[invocation], self._over_us[invocation] = line, call.begun_us
        self.lines += 1
        moved, sent = int(line["moved"]["N"]), self._sent[invocation]
        if not sent <= moved <= sent + self._doubtful[invocation]:
            at_most = f" to {sent + self._doubtful[invocation]}" if self._doubtful[invocation] else ""
            self.report_violation(
                1, "", f"the line of {invocation.id} says that it moved {moved} instead of {sent}{at_most}"
            )
        begun_us, ended_us = int(line["sort"]["S"].split("#")[0]) * 1000, int(line["ended"]["N"]) * 1000
        earliest_us, latest_us = invocation.begun_us - SKEW_US_MAX - US, now_us + SKEW_US_MAX + US
        if not earliest_us <= begun_us <= ended_us <= latest_us:
            self.report_violation(1, "", f"the line of {invocation.id} has other times than the run: {line}")

    def ended(self, invocation: Invocation) -> None:
        """Check that the line of a failed run says what it left, or why it failed."""
        line = self._told.get(invocation)
        if line is not None and invocation.outcome == "raised" and "error" not in line:
            self.report_violation(1, "", f"{invocation.id} failed, and its line does not say why: {line}")


def _feed_of(call: Call) -> Invocation | None:
    return invocation_of(call) if "FeedFunction" in call.process.name else None
