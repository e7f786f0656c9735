"""Report the refused members of input messages: to the failure queue first, then to their failure targets.

The failure queue keeps a report even if a failure target never answers. So each report is sent there once. An `Untold`
notes that the failure queue has a report and one failure target has not.

Callers choose the failure targets. One that does not answer gets `REPORT_TRIES_MAX` tries for one refusal, and then no
more calls in this invocation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from scheduler.accepting.from_queue.input_message import Unnotified
from scheduler.errors import NotConfirmed
from scheduler.execution.batch_result import BatchResult
from scheduler.execution.deadline import Deadline, retry_batch, retry_call
from scheduler.execution.worker_pool import WorkerPool
from scheduler.model.failure_report import Report

Refusal = Report[object]
Notification = tuple[Unnotified, Refusal]

REPORTS_MAX = 50
"""The number of reports that one thread sends in one job."""
REPORT_TRIES_MAX = 3


@dataclass
class Reporter:
    """Reports all refusals of one invocation."""

    send_report: Callable[[Sequence[Refusal]], BatchResult[Refusal]]
    notify: Callable[[str, Refusal], None]
    allows: Callable[[str], bool]
    pool: WorkerPool
    _silent: set[str] = field(default_factory=set)
    """Failure targets that did not answer in this invocation."""

    def report(self, refusals: Mapping[int, Refusal], deadline: Deadline) -> list[int]:
        """Send reports to the failure queue. Return the indexes of those that it confirmed."""

        def send(chunk: list[int]) -> list[int]:
            reports = [refusals[index] for index in chunk]
            if deadline.passed():
                return []
            done = {id(report) for report in retry_batch(self.send_report, reports, deadline).confirmed}
            return [index for index in chunk if id(refusals[index]) in done]

        indexes = list(refusals)
        chunks = [indexes[start : start + REPORTS_MAX] for start in range(0, len(indexes), REPORTS_MAX)]
        return [index for chunk in self.pool.run(send, chunks) for index in chunk]

    def notifications(self, index: int, refusal: Refusal) -> list[Notification]:
        """Pair the refusal with each listed failure target that it names."""
        failure_targets = sorted(filter(self.allows, _failure_targets(refusal.schedule)))
        return [(Unnotified.noted(index, failure_target, refusal.error), refusal) for failure_target in failure_targets]

    def notify_all(self, notifications: Sequence[Notification], deadline: Deadline) -> list[Unnotified]:
        """Notify the failure targets. Return notes for those that did not answer."""
        short = replace(deadline, tries_max=REPORT_TRIES_MAX)

        def notify(notification: Notification) -> bool:
            unnotified, refusal = notification
            return not deadline.passed() and self._notified(unnotified.failure_target, refusal, short)

        return [
            notification[0]
            for notification, notified in zip(notifications, self.pool.run(notify, notifications), strict=True)
            if not notified
        ]

    def _notified(self, failure_target: str, refusal: Refusal, deadline: Deadline) -> bool:
        if failure_target in self._silent:
            return False
        try:
            retry_call(lambda: self.notify(failure_target, refusal), deadline)
        except NotConfirmed:
            self._silent.add(failure_target)
            return False
        return True


def _failure_targets(content: object) -> set[str]:
    """Return the failure targets that a schedule names, or that the members of a refused batch name."""
    members = content.get("schedules", content) if isinstance(content, dict) else content
    found = [
        member.get("failure_target", member.get("failure_topic"))
        for member in (members if isinstance(members, list) else [members])
        if isinstance(member, dict)
    ]
    return {target for target in found if isinstance(target, str)}
