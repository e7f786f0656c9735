"""The record of a name tells when its schedule was accepted and when it was tried.

The checks compare the times in the record with the calls of the deliver function, by the clock of the function.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from punctual.testing.calls import Call
from punctual.testing.timeline import US
from simulator.faults.faults import FLOAT_US, SKEW_US_MAX

ATTEMPTS_MAX = 20
"""The number of attempts that a record holds at most."""
CALL_S_MAX = 30
"""An attempt reaches its call within this time. A webhook may need its signing secret first."""
TOGETHER_MS = 100
"""Two calls that begin within this time may have the same time in the record."""


@dataclass(eq=False)
class RecordTimes:
    report_violation: Callable[[int, str, str], None]
    _tried_ms: dict[str, list[int]] = field(default_factory=dict)
    """When the deliver function began each call of a target, by schedule."""

    def tried(self, schedule_id: str, call: Call) -> None:
        """Note a call of a target. A function that receives no envelope does not see the id."""
        if "DeliverFunction" in call.process.name:
            begun_ms = (call.begun_us + call.process.skew_us + FLOAT_US) // 1000
            self._tried_ms.setdefault(schedule_id, []).append(begun_ms)

    def begun(self, tag: str, new: dict[str, Any], now_us: int) -> None:
        """Check a new record. It was accepted when it was written, and nobody has tried it."""
        accepted_us = int(new["accepted"]["N"]) * 1000
        if not now_us - CALL_S_MAX * US - SKEW_US_MAX <= accepted_us <= now_us + SKEW_US_MAX:
            self.report_violation(1, tag, f"{new['id']['S']} is said to be accepted at {accepted_us // 1000}")
        if "attempted" in new:
            self.report_violation(1, tag, f"{new['id']['S']} is new, and is said to be tried")

    def changed(self, tag: str, old: dict[str, Any], new: dict[str, Any]) -> None:
        """Check a changed record: its acceptance stays, and every new attempt was made."""
        schedule_id, state = new["id"]["S"], new["state"]["S"]
        if old.get("accepted") != new.get("accepted"):
            self.report_violation(1, tag, f"the acceptance of {schedule_id} has changed")
        before, after = _attempted(old), _attempted(new)
        made = len(self._tried_ms.get(schedule_id, [])) + len(self._tried_ms.get("", []))
        if len(after) > min(ATTEMPTS_MAX, made):  # A doubled message makes more attempts than its number says.
            self.report_violation(1, tag, f"{schedule_id} is said to be tried {len(after)} times, and was {made} times")
        if after != before and not (after and self._was_made(schedule_id, after[-1])):
            self.report_violation(1, tag, f"{schedule_id} is said to be tried at {after[-1:]}, and was not")
        if state == "delivered" and after == before and not (after and self._began_together(schedule_id, after[-1])):
            self.report_violation(1, tag, f"{schedule_id} is delivered, and its record does not say when it was tried")

    def _began_together(self, schedule_id: str, moment_ms: int) -> bool:
        """Return whether two messages of one attempt made their calls together. The record then shows one time."""
        begun_ms = self._tried_ms.get(schedule_id, [])
        return sum(0 <= each_ms - moment_ms <= TOGETHER_MS for each_ms in begun_ms) > 1

    def _was_made(self, schedule_id: str, moment_ms: int) -> bool:
        begun_ms = [*self._tried_ms.get(schedule_id, []), *self._tried_ms.get("", [])]
        return any(0 <= each_ms - moment_ms <= CALL_S_MAX * 1000 for each_ms in begun_ms)


def _attempted(item: dict[str, Any]) -> list[int]:
    return [int(each["N"]) for each in item["attempted"]["L"]] if "attempted" in item else []
