"""The canary's schedules and their messages.

A run adds three schedules. They stay in the state until some time after they were due, so that a later run notices a
second message for one of them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

NEAR, FAR, NAMED = "near", "far", "named"
PROBE_KINDS = (NEAR, FAR, NAMED)

AHEAD_S = 20
"""When a near and a named schedule are due. The next run finds both."""
BEYOND_REACH_S = 60
"""A far schedule is due this long after the reach, so that it goes through the table and a feed."""
GRACE_S = 90
"""A schedule without a message this long after its due time is missing. Two runs look for it before, so that one lost
answer of SQS is no fault."""
LATE_MS_MAX = 5_000
"""A healthy stack is late by less than a second. Cold starts and one retried call together take less than this."""
EARLY_MS_MAX = 1_000
"""The clocks of the functions and of SQS differ by less."""
PROBE_KEPT_S = 600
"""How long after its due time a second message for a schedule is noticed: more than one feed interval."""
MARK_CHARACTERS = 8
"""As much of a message id as tells the messages of one schedule apart."""
NAMES_MAX = 60
"""The names repeat after an hour, so that no more records than these exist."""


class Came(NamedTuple):
    """A message of the canary's queue."""

    message_id: str
    body: str
    sent_ms: int
    """When the queue got it. A schedule that is sent before it is due has a delay."""
    received_ms: int


@dataclass
class Probe:
    """One schedule of the canary."""

    kind: str
    minute: int
    due_s: int
    is_missing: bool = False
    marks: list[str] = field(default_factory=list)
    """The beginnings of the ids of its messages."""

    @property
    def body(self) -> str:
        return f"{self.kind} {self.minute}"

    def request(self) -> dict[str, object]:
        """Return the request for the schedule function."""
        name = {"name": f"canary/{self.minute % NAMES_MAX}"} if self.kind == NAMED else {}
        return {"timestamp": self.due_s, "data": self.body, "user": "canary", **name}

    def fault_of(self, came: Came) -> str:
        """Add a message. Return what is wrong with it, or nothing."""
        mark = came.message_id[:MARK_CHARACTERS]
        if mark in self.marks:  # An earlier run received it and could not delete it.
            return ""
        self.marks.append(mark)
        if len(self.marks) > 1:
            return "came more than once"
        if self.is_missing:  # It was counted when it was found missing.
            return ""
        due_ms = self.due_s * 1000
        if came.sent_ms - due_ms > LATE_MS_MAX:
            return f"came {came.sent_ms - due_ms} ms late"
        if due_ms - came.received_ms > EARLY_MS_MAX:
            return f"came {due_ms - came.received_ms} ms early"
        return ""


@dataclass
class State:
    """The memory of the canary between two runs."""

    probes: list[Probe] = field(default_factory=list)

    @classmethod
    def read(cls, text: str) -> State:
        """Return the state that `text` wrote. An unreadable one counts as none, so that the canary goes on."""
        try:
            probes = [
                Probe(PROBE_KINDS[kind], minute, due_s, bool(missing), list(marks))
                for kind, minute, due_s, missing, *marks in json.loads(text)
            ]
            return cls(probes)
        except (ValueError, IndexError, TypeError):
            return cls()

    def text(self) -> str:
        """Return the state as short JSON, because the table bills each kilobyte."""
        rows = [
            [PROBE_KINDS.index(each.kind), each.minute, each.due_s, int(each.is_missing), *each.marks]
            for each in self.probes
        ]
        return json.dumps(rows, separators=(",", ":"))

    def faults(self, messages: Sequence[Came], now_ms: int) -> list[tuple[Probe, str]]:
        """Add the messages, and return each schedule that is missing, late, early or came again, with the reason."""
        known = {probe.body: probe for probe in self.probes}
        found = [(known[each.body], known[each.body].fault_of(each)) for each in messages if each.body in known]
        for probe in self.probes:
            is_over = now_ms >= (probe.due_s + GRACE_S) * 1000
            if is_over and not probe.marks and not probe.is_missing:
                probe.is_missing = True
                found.append((probe, f"has not come {GRACE_S} s after its time"))
        return [(probe, why) for probe, why in found if why]

    def begin(self, minute: int, now_ms: int, reach_ms: int) -> list[Probe]:
        """Add the schedules of this minute and return them. Forget those that are long past."""
        now_s = now_ms // 1000
        ahead_s = {NEAR: AHEAD_S, FAR: reach_ms // 1000 + BEYOND_REACH_S, NAMED: AHEAD_S}
        added = [Probe(kind, minute, now_s + ahead_s[kind]) for kind in PROBE_KINDS]
        self.probes = [each for each in self.probes if now_s < each.due_s + PROBE_KEPT_S] + added
        return added
