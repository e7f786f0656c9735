"""Conclude a delivery: store and report its failure, tell the failure target, and close the record of its name.

The outcome is known, so the target is not called again. If a step cannot be done now, a message of the delivery queue
carries the outcome and the steps that are left, and comes with growing pauses. After `PUT_OFFS_MAX` of
them, which is about a day, no more are sent. A failure target that still does not answer is given up then: the failure
queue has the report. For any other step SQS brings the last message again, and in the end moves it to the dead-letter
queue.

What a crash leaves behind:
- before the first step is done, or the message for the rest is sent: the message of the delivery, which comes again,
  so the target gets it twice under one id. The same happens if SQS does not take the message for the rest;
- between two steps: the same, and the steps before are done twice;
- between the message for the rest and the close of the record: that message, which closes it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from scheduler import log
from scheduler.errands import Errand, is_count, moment
from scheduler.errors import NotConfirmed, reason
from scheduler.failures import Report
from scheduler.outcome import Outcome
from scheduler.patience import Patience, ask, insist
from scheduler.record import DELIVERED, EXPIRED, FAILED, Record
from scheduler.schedule import Schedule, timer
from scheduler.terms import PUT_OFFS_MAX, Terms, pause_s
from scheduler.text import fault

if TYPE_CHECKING:
    from scheduler.delivering import Post

STEPS = KEEP, REPORT, TELL, CLOSE = "keep", "report", "tell", "close"
"""In this order: store the failure, report it to the failure queue, tell the failure target, close the record."""
STEP_TRIES_MAX = 5
"""In under a second. Then a message waits for the rest, rather than a thread that others need."""


@dataclass(frozen=True, slots=True)
class Conclusion:
    """The outcome of a delivery that is over, and the steps that are left."""

    state: str
    attempts: int
    at_ms: int
    error: str
    left: tuple[str, ...]
    tries: int = 0
    """How many messages have carried it."""

    def facts(self) -> dict[str, object]:
        """As the message carries it."""
        return {
            "state": self.state,
            "attempts": self.attempts,
            "at": self.at_ms,
            "error": self.error,
            "left": list(self.left),
            "tries": self.tries,
        }


def read(facts: object) -> Conclusion:
    """ValueError if it is none: anybody may have written the message."""
    if not isinstance(facts, dict):
        raise ValueError("its conclusion is no object")
    state, error, left = facts.get("state"), facts.get("error"), facts.get("left")
    attempts, tries, at_ms = facts.get("attempts"), facts.get("tries"), moment(facts, "at")
    if state not in (DELIVERED, FAILED, EXPIRED) or at_ms is None:
        raise ValueError("its conclusion has no state or no moment")
    if not (is_count(attempts) and is_count(tries) and isinstance(error, str) and not fault(error)):
        raise ValueError("its conclusion has no counts or no error")
    if not (isinstance(left, list) and left and all(step in STEPS for step in left)):
        raise ValueError("its conclusion has no steps that are known")
    return Conclusion(state, attempts, at_ms, error, tuple(step for step in STEPS if step in left), tries)


def delivered(errand: Errand, record: Record | None, post: Post, patience: Patience) -> None:
    """Close the record; there is nothing else to write."""
    if record is not None:
        conclusion = Conclusion(DELIVERED, errand.attempt, patience.now_ms(), "", (CLOSE,))
        conclude(errand, record, conclusion, post, patience)


def not_delivered(
    errand: Errand, record: Record | None, report: Report[Schedule], post: Post, patience: Patience
) -> None:
    """Failed for good, or expired: the reason of the report is the state of the record."""
    steps = [KEEP, REPORT]
    if Terms.read(errand.schedule.terms).failure_target is not None:
        steps.append(TELL)
    if record is not None:
        steps.append(CLOSE)
    conclusion = Conclusion(report.reason, report.attempts, report.at_ms, report.error, tuple(steps))
    conclude(errand, record, conclusion, post, patience)


def resume(errand: Errand, conclusion: Conclusion, post: Post, patience: Patience) -> None:
    """Do the steps that are left, as a message carried them here."""
    record = Record(errand.schedule, 0, 0) if errand.schedule.name is not None else None
    conclude(errand, record, conclusion, post, patience)


def conclude(errand: Errand, record: Record | None, conclusion: Conclusion, post: Post, patience: Patience) -> None:
    """Do each step that is left. The record is closed last: once it is, no message of the delivery does anything.

    If steps are left, it is closed as soon as a message carries them. The outcome is known, so `get` tells it. An open
    record would let a second timer call the target again, and a cancel undo what has happened.
    """
    brief = replace(patience, tries_max=STEP_TRIES_MAX)
    telling = [step for step in conclusion.left if step != CLOSE]
    left = [step for step in telling if not _is_done(step, errand, record, conclusion, post, brief)]
    if CLOSE in conclusion.left and (left or not _is_done(CLOSE, errand, record, conclusion, post, brief)):
        left.append(CLOSE)
    if not left:
        return
    _send_rest(errand, record, replace(conclusion, left=tuple(left)), post, patience)
    if CLOSE in left and telling and record is not None:
        with suppress(Exception):  # The message does it if this does not.
            _close(record, conclusion, post, replace(patience, tries_max=1))


def unreadable(report: Report[str], post: Post, patience: Patience) -> None:
    """Store and report a message that holds no errand. It has no outcome to carry, so SQS brings it again."""
    for call in (post.table.put_failed, post.queues.report):
        _insist(call, report, patience)


def _is_done(
    step: str, errand: Errand, record: Record | None, conclusion: Conclusion, post: Post, patience: Patience
) -> bool:
    """Do one step, unless time is over. Whatever goes wrong, the delivery is not made again for it."""
    if patience.over():
        return False
    try:
        _do(step, errand.schedule, record, conclusion, post, patience)
    except Exception as failure:  # noqa: BLE001 - As above. A fault of our own is in the log, and ends as dead letter.
        log.outcome("not concluded", id=errand.id, step=step, error=reason(failure))
        return False
    return True


def _do(
    step: str, schedule: Schedule, record: Record | None, conclusion: Conclusion, post: Post, patience: Patience
) -> None:
    report = Report(schedule, conclusion.state, conclusion.error, conclusion.at_ms, conclusion.attempts)
    hearer = Terms.read(schedule.terms).failure_target
    if step == KEEP:
        _insist(post.table.put_failed, report, patience)
    elif step == REPORT:
        _insist(post.queues.report, report, patience)
    elif step == TELL and hearer is not None:
        ask(lambda: post.tell(hearer, report), patience)
    elif step == CLOSE and record is not None:
        _close(record, conclusion, post, patience)


def _insist(
    call: Callable[[Sequence[Report[Any]]], Outcome[Report[Any]]], report: Report[Any], patience: Patience
) -> None:
    outcome = insist(call, [report], patience)
    if not outcome.done:
        raise NotConfirmed(f"a failure is not told: {outcome.reason}")


def _close(record: Record, conclusion: Conclusion, post: Post, patience: Patience) -> None:
    its = conclusion
    ask(lambda: post.records.close(record, its.state, patience.now_ms(), its.attempts, its.error), patience)


def _send_rest(errand: Errand, record: Record | None, rest: Conclusion, post: Post, patience: Patience) -> None:
    """By a message that comes after a while. It carries the schedule of a name only if somebody is to be told of it."""
    if rest.tries >= PUT_OFFS_MAX:
        _give_up(errand, rest)
        return
    schedule = errand.schedule
    if record is not None and rest.left == (CLOSE,):
        schedule = timer(schedule, record.asked)
    retry_ms = patience.now_ms() + round(pause_s(rest.tries + 1, None, patience.jitter()) * 1000)
    following = Errand(schedule, errand.attempt, retry_ms, errand.turn, conclusion=replace(rest, tries=rest.tries + 1))
    send(following, post, patience)
    log.outcome("concluded later", id=errand.id, left=rest.left)


def _give_up(errand: Errand, rest: Conclusion) -> None:
    if rest.left != (TELL,):
        raise NotConfirmed(f"not done within {rest.tries} messages: {', '.join(rest.left)}")
    hearer = Terms.read(errand.schedule.terms).failure_target
    log.outcome("untold", id=errand.id, hearer=hearer, error=f"no answer to {rest.tries} messages")


def send(errand: Errand, post: Post, patience: Patience) -> None:
    outcome = insist(lambda _: post.queues.send_errand(errand, patience.now_ms()), [errand], patience)
    if not outcome.done:
        raise NotConfirmed(f"an errand is not sent: {outcome.reason}")
