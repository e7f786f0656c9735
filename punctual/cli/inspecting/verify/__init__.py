"""`punctual verify`: send real schedules through a stack, read them back, and measure their lateness.

`punctual.cli.app` names it. No other package imports it.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import click

from punctual.cli import times
from punctual.cli.errors import DONE, FAILED
from punctual.cli.inspecting.subject import Subject
from punctual.cli.inspecting.verify import plan as planning
from punctual.cli.inspecting.verify import results
from punctual.cli.inspecting.verify.mailbox import HIDDEN_S, MARK, Mailbox
from punctual.cli.inspecting.verify.plan import Plan
from punctual.cli.inspecting.verify.results import Result
from punctual.cli.inspecting.verify.ways import Sender, prefix_of
from punctual.cli.options import command, duration_option, yes_option
from punctual.cli.output import counted
from punctual.cli.run import Run, pass_run

LATE_DEFAULT = timedelta(seconds=2)
"""One second that Punctual promises, and one for SQS and the reader."""
LOST_S = 60
"""A schedule that has not come so long after its time is lost."""
SETTLED_S = 5
"""So long after its time a cancelled schedule would have come."""
SOON_S, WAIT_S = 5, 1
RUN_BYTES = 4


@command("verify", example="punctual verify --stack punctual\npunctual verify --far --yes")
@click.option("--far", is_flag=True, help="Wait for far schedules, too: the reach of the stack, 25 minutes at most.")
@click.option("--via", metavar="ARN", help="Read this listed queue, and not the output queue.")
@duration_option("--late-after", help="The lateness that is a fault. Default: 2s, one for Punctual and one for SQS.")
@yes_option
@pass_run
def verify(run: Run, far: bool, via: str | None, late_after: timedelta | None, yes: bool) -> int:
    """Send real schedules through the stack, and measure their lateness.

    verify shows its plan and asks. It sends near, named, moved, changed and cancelled schedules and a batch, reads
    them from the output queue and deletes them. It refuses to read a queue that has another consumer or messages.
    Listed queues that are idle are tested, too. A schedule for another target is accepted and cancelled, so that
    nothing arrives there. verify changes no parameter and provokes no failure. It cleans up, also after Ctrl-C. The
    records of its names stay for a week, as those of all names do.

    The exit status is 1 if a schedule was lost, early, late, or released although it was cancelled.
    """
    subject = Subject(run)
    plan, run_id = planning.make(subject, via, far=far), secrets.token_hex(RUN_BYTES)
    for line in planning.shown(plan, subject, run_id, prefix_of(run_id)):
        run.output.note(line)
    run.output.confirm("Send the schedules?", yes=yes)
    verifier = Verifier(subject, plan, run_id)
    try:
        verifier.send()
        verifier.wait()
        found = verifier.results((late_after or LATE_DEFAULT).total_seconds())
    finally:
        verifier.clean_up()
    return _report(run, plan, found)


class Verifier:
    """One run through one stack."""

    def __init__(self, subject: Subject, plan: Plan, run_id: str) -> None:
        self._run, self._plan = subject.run, plan
        self._sender = Sender(subject.run, run_id, plan.via, plan.reach_s)
        self._mailbox = Mailbox(subject, plan.queues, run_id)
        self._complete = False

    def send(self) -> None:
        """Send the far schedules first, because they take the longest, and the near ones in one go."""
        sender, plan = self._sender, self._plan
        if plan.far:
            sender.far()
        for way in (sender.changed, sender.cancelled, sender.moved, sender.named, sender.near, sender.batch):
            way()
            self._mailbox.look(0)
        for queue in plan.read:
            sender.to_queue(queue.label, queue.arn)
        for label, target in plan.held:
            sender.held(label, target)

    def wait(self) -> None:
        """Receive until everything has come, or is lost."""
        expected = [probe.scheduled.due.timestamp() for _, probe in self._sender.probes() if probe.expected]
        last_s = max(expected, default=self._now_s())
        self._run.output.note(
            f"sent {counted(sum(way.sent for way in self._sender.ways), 'schedule')}; the last is due in "
            f"{planning.seconds(max(0, last_s - self._now_s()))}"
        )
        with self._run.output.progress() as progress:
            task = progress.add_task("released", total=len(expected))
            self._receive(
                LOST_S,
                until_s=last_s + SETTLED_S,
                tell=lambda missing: progress.update(task, completed=len(expected) - missing),
            )
        self._complete = not self._missing_due_s()

    def clean_up(self) -> None:
        """Cancel the rest after an error, a loss or Ctrl-C. Then receive and delete what is already in a queue."""
        if self._complete:
            return
        self._run.output.note(f"cleaning up {self._sender.prefix}; Ctrl-C leaves the rest")
        self._mailbox.settle()
        self._sender.cancel_rest()
        later = [due_s for due_s in self._missing_due_s() if due_s > self._now_s() + LOST_S]
        self._receive(HIDDEN_S + SETTLED_S, until_s=0, most_s=LOST_S)
        if later:
            self._run.output.note(
                f"left {counted(len(later), 'schedule')} that no call can cancel any more: their messages come until "
                f"{times.HERE.shown(datetime.fromtimestamp(max(later), UTC))}, with {MARK} in their data"
            )

    def results(self, late_s: float) -> list[Result]:
        slack_s = 0 if self._plan.feed_is_in_time else self._plan.interval_s + planning.FEED_S
        found = []
        for way in self._sender.ways:
            if way.far and slack_s:
                way.note = "the reach is shorter than the interval of the feed, so these may be late by an interval"
            found.append(results.of_way(way, self._mailbox.arrivals, late_s + (slack_s if way.far else 0)))
        return found

    def _receive(
        self,
        patience_s: float,
        *,
        until_s: float,
        most_s: float = math.inf,
        tell: Callable[[int], None] = lambda missing: None,
    ) -> None:
        """Receive until that time, and for each missing schedule until so long after its time."""
        stop_s = self._now_s() + most_s
        while True:
            now_s, missing = self._now_s(), self._missing_due_s()
            tell(len(missing))
            end_s = max([until_s, *(due_s + patience_s for due_s in missing)])
            if now_s >= min(end_s, stop_s):
                return
            soon = any(due_s < now_s + SOON_S for due_s in missing) or not missing
            self._mailbox.look(WAIT_S if soon else SOON_S)

    def _missing_due_s(self) -> list[float]:
        """Return when the schedules are due that have to come and have not."""
        arrivals = self._mailbox.arrivals
        return [
            probe.scheduled.due.timestamp()
            for _, probe in self._sender.probes()
            if probe.expected and results.first(probe, arrivals) is None
        ]

    def _now_s(self) -> float:
        return self._run.backend.now()


def _report(run: Run, plan: Plan, found: list[Result]) -> int:
    shown = [*found, *(results.not_tested(what, why) for what, why in plan.untested)]
    run.output.list(results.HEADINGS, [each.row() for each in shown], empty="")
    faults = [each for each in found if each.faults]
    if faults:
        run.output.note(f"{counted(len(faults), 'way')} with a fault: punctual doctor checks the stack")
        return FAILED
    run.output.note("all came, none early, none late")
    return DONE
