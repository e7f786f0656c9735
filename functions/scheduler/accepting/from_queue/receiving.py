"""Process the messages of the input queue. Accept, report or send back each member of an input message.

Each member is processed independently. It is finished when AWS has confirmed it. A member that can never be accepted is
finished when the failure queue and its failure target have a report. The function sends the unfinished members back to
the queue as a new message, and then the old message is finished. So a member that fails does not make SQS deliver the
other members again. SQS delivers the unchanged message again if no member made progress, or if the rest cannot be sent
back. A message that is too large or too old cannot be sent back. Its refusals are reported last, because every try
would repeat them.

The attribute of a message that was sent back lists the refusals that the failure queue has but a failure target has not
(`rejections`). The function does not accept or report these members again. After `NOTIFY_TRIES_MAX` tries they are
finished, because the failure queue has the report.

The function sends before it deletes. After a crash in the middle of a message, SQS delivers all of it again. After a
crash between sending back and deleting, SQS delivers both. Reports may then arrive twice. Nothing is lost, and a repeat
makes no second schedule, because its tokens are the same. Each new message holds less work than the old one, so
duplicates cannot multiply for ever.

A member that AWS never confirms is reported in the end, before SQS would move its message to the dead-letter queue. If
its target queue stays missing or denies access, that happens after `UNAVAILABLE_TRIES_MAX` tries and
`UNAVAILABLE_MS_MAX`. For any other reason it happens after `MESSAGE_TRIES_MAX` tries.

One message does not delay another. New messages go before repeated ones, and small ones before large ones. Each message
gets an equal share of the remaining time. A failing target queue or failure target gets three tries in one invocation
(`limited_queues`, `rejections`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from scheduler import log
from scheduler.accepting.from_queue import input_message
from scheduler.accepting.from_queue.input_message import REQUEUE_ATTRIBUTE, InputMessage, Remainder, Unnotified
from scheduler.accepting.from_queue.rejections import Refusal, Reporter
from scheduler.errors import NotConfirmed
from scheduler.execution.batch_result import BatchResult
from scheduler.execution.deadline import Deadline, retry_call
from scheduler.execution.worker_pool import WorkerPool
from scheduler.limits import SQS_MESSAGE_BYTES_MAX
from scheduler.measuring.metrics import NO_METRICS, Metrics
from scheduler.model import failure_report, sqs_records
from scheduler.model.sqs_records import Arrived
from scheduler.placing.naming import OLDER
from scheduler.value_class import value_class

Answer = dict[str, Any]

REQUEUE_S = 6
"""Time reserved for sending the rest of a message back: one call that begins at the last moment."""
REPORT_S = 3
"""Time reserved for reporting the refusals of a message, but at most a quarter of its share."""
PAUSE_S = 60
"""The delay of the rest of a message, because AWS refused it several times within a few seconds.

A message in which all members wait is not sent back. SQS delivers it again after the visibility timeout.
"""
UNAVAILABLE_TRIES_MAX, UNAVAILABLE_MS_MAX = 5, 10 * 60 * 1000
"""The tries and the time after which a target queue that is missing or denies access is given up.

A new permission takes a minute or two to take effect everywhere. Tries alone are not enough, because SQS also counts a
receive that Lambda throttled.
"""
MESSAGE_TRIES_MAX = 80
"""Four hours, if all members of a message wait.

SQS moves a message to the dead-letter queue after a hundred receives, so twenty are left to report it.
"""
NOTIFY_TRIES_MAX = MESSAGE_TRIES_MAX + 20
"""A failure target is notified up to this many times, 180 s apart, which takes five hours.

A member that is given up after `MESSAGE_TRIES_MAX` tries gets twenty of them. SQS would move the message to the
dead-letter queue after as many receives.
"""
IN_SHORT = "it was refused; the report in the failure queue says why"
"""The error that a failure target gets if the errors of a message are too long to be sent back with it."""
AGE_MS_MAX = 2 * 24 * 3600 * 1000
"""The age up to which a message is sent back.

Sending back restarts the retention period. A message could then arrive when the outcome of a name has expired, and the
name is free again.
"""


class Accept(Protocol):
    def __call__(self, message: InputMessage, refuse_unavailable: bool, *, deadline: Deadline) -> list[Answer]:
        """Return an answer, or {"error", "message"}, for each index that is left to accept.

        `refuse_unavailable` refuses members whose target queue is missing or denies access.
        """


@value_class
class InputQueueDependencies:
    """The functions that accept, send back and report the members of input messages."""

    accept: Accept
    requeue: Callable[[Remainder, int], bool]
    """Sends a message to the input queue with a delay in seconds. Returns False if SQS refuses it."""
    report: Callable[[Sequence[Refusal]], BatchResult[Refusal]]
    """Sends reports to the failure queue."""
    notify: Callable[[str, Refusal], None]
    """Sends a report to a failure target. Raises NotConfirmed if another try may help.

    A target that is missing or denies access needs no other try, because the failure queue has the report.
    """
    allows: Callable[[str], bool]
    """Returns whether the owner of the stack listed this failure target."""
    pool: WorkerPool
    metrics: Metrics = NO_METRICS


def receive(records: Iterable[object], deadline: Deadline, dependencies: InputQueueDependencies) -> dict[str, Any]:
    """Process the records. Return the ids of unfinished messages: SQS delivers these again and deletes the others."""
    arrived = [sqs_records.read(record) for record in records]
    reporter = Reporter(dependencies.report, dependencies.notify, dependencies.allows, dependencies.pool)
    ends_s = deadline.deadline_s - REQUEUE_S
    done: dict[int, bool] = {}
    for index in sorted(range(len(arrived)), key=lambda index: _rank(arrived[index])):
        share_s = max(0.0, ends_s - deadline.clock()) / (len(arrived) - len(done))
        share = replace(deadline, deadline_s=deadline.clock() + share_s)
        done[index] = _received(arrived[index], dependencies, reporter, deadline, share)
    failed = [each.message_id for index, each in enumerate(arrived) if not done[index]]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def _rank(arrived: Arrived) -> tuple[bool, int]:
    """Return the sort key: repeated messages last, because they may fail again, and large ones after small ones."""
    return REQUEUE_ATTRIBUTE in arrived.attributes or (arrived.receives or 1) > 1, len(arrived.body)


def _received(
    arrived: Arrived, dependencies: InputQueueDependencies, reporter: Reporter, deadline: Deadline, share: Deadline
) -> bool:
    """Process one message. Return whether SQS may delete it. `share` ends when the time for this message is over."""
    if deadline.passed(REQUEUE_S):
        log.outcome("postponed", message=arrived.message_id, error="time is over")
        return False
    message = input_message.opened(arrived)
    try:
        answers = _answers(message, dependencies, share)
    except Exception as failure:  # noqa: BLE001 - No error of one message may make SQS deliver the others again.
        log.outcome("postponed", message=message.message_id, error=type(failure).__name__, where=log.where(failure))
        return False
    now_ms = deadline.now_ms()
    refusals = _refusals(message, answers, now_ms)
    waiting = [index for index, answer in answers.items() if _waits(answer) and index not in refusals]
    separable = _is_separable(message, now_ms)
    if separable or not waiting:
        unreported, unnotified = _report(message, refusals, reporter, share)
        unnotified = _kept(message, [*waiting, *unreported], unnotified, separable)
    else:
        unreported, unnotified = list(refusals), list(message.unnotified)
    remaining = sorted([*waiting, *unreported])
    requeue = separable and _requeue(message, remaining, unnotified, dependencies, deadline)
    facts = {**_counted(answers), "refused": len(refusals), "waiting": len(waiting)}
    dependencies.metrics.received(facts["accepted"], len(refusals) - len(unreported))
    log.outcome("received", message=message.message_id, **facts, told=not (unreported or unnotified), put_back=requeue)
    return requeue or not (remaining or unnotified)


def _counted(answers: Mapping[int, Answer]) -> dict[str, int]:
    """Count the accepted answers. A request that is older than the current schedule of its name counts as older."""
    good = [answer for answer in answers.values() if "error" not in answer]
    older = sum(answer.get("result") == OLDER for answer in good)
    return {"accepted": len(good) - older, "older": older}


def _answers(message: InputMessage, dependencies: InputQueueDependencies, share: Deadline) -> dict[int, Answer]:
    """Return the answers by index. Reserve time for reports."""
    if message.failure is not None or not message.indexes:
        return {}
    left_s = share.deadline_s - share.clock()
    deadline = replace(share, deadline_s=share.deadline_s - min(REPORT_S, left_s / 4))
    age_ms = deadline.now_ms() - message.history.sent_ms
    refuse_unavailable = message.history.tries >= UNAVAILABLE_TRIES_MAX and age_ms >= UNAVAILABLE_MS_MAX
    answers = dependencies.accept(message, refuse_unavailable, deadline=deadline)
    return dict(zip(message.indexes, answers, strict=True))


def _waits(answer: Answer) -> bool:
    return answer.get("error") == NotConfirmed.__name__


def _refusals(message: InputMessage, answers: Mapping[int, Answer], now_ms: int) -> dict[int, Refusal]:
    """Return a refusal, by index, for each permanent error and for each member that has used up its tries."""
    if message.failure is not None:
        return {index: failure_report.refused(message.content, message.failure, now_ms) for index in message.indexes}
    refusals: dict[int, Refusal] = {}
    for index, answer in answers.items():
        if "error" not in answer or (_waits(answer) and message.history.tries < MESSAGE_TRIES_MAX):
            continue
        error = answer["message"]
        if _waits(answer):
            error = f"given up after {message.history.tries} tries, and may be scheduled all the same: {error}"
        refusals[index] = failure_report.refused(message.requests[index], error, now_ms)
    return refusals


def _is_separable(message: InputMessage, now_ms: int) -> bool:
    remainder = message.remainder(message.indexes, message.unnotified)
    return now_ms - message.sent_ms <= AGE_MS_MAX and remainder.size_bytes <= SQS_MESSAGE_BYTES_MAX


def _report(
    message: InputMessage, refusals: Mapping[int, Refusal], reporter: Reporter, deadline: Deadline
) -> tuple[list[int], list[Unnotified]]:
    """Report the refusals. Return the indexes that are not reported yet, and notes for silent failure targets."""
    reported = reporter.report(refusals, deadline)
    notifications = [
        notification for index in sorted(reported) for notification in reporter.notifications(index, refusals[index])
    ]
    now_ms = deadline.now_ms()
    for each in message.unnotified:
        refusal = failure_report.refused(message.content_of(each.batch_index), each.error, now_ms)
        notifications += [
            notification
            for notification in reporter.notifications(each.batch_index, refusal)
            if notification[0] == each
        ]
    unreported = set(refusals).difference(reported)
    return sorted(unreported), sorted(reporter.notify_all(notifications, deadline))


def _kept(
    message: InputMessage, remaining: Sequence[int], unnotified: Sequence[Unnotified], separable: bool
) -> list[Unnotified]:
    """Return the notes that are worth another try and fit into the attribute. Log if none of them is kept."""
    versions = (
        [[]] if not separable or message.history.tries >= NOTIFY_TRIES_MAX else [unnotified, _shortened(unnotified), []]
    )
    kept = next(list(each) for each in versions if not each or _fits(message.remainder(remaining, each)))
    if unnotified and not kept:
        log.outcome("untold", message=message.message_id, members=len({each.batch_index for each in unnotified}))
    return kept


def _fits(remainder: Remainder) -> bool:
    return remainder.size_bytes <= SQS_MESSAGE_BYTES_MAX


def _shortened(unnotified: Sequence[Unnotified]) -> list[Unnotified]:
    return [each._replace(error=IN_SHORT) for each in unnotified]


def _requeue(
    message: InputMessage,
    remaining: Sequence[int],
    unnotified: Sequence[Unnotified],
    dependencies: InputQueueDependencies,
    deadline: Deadline,
) -> bool:
    """Send the rest back to the queue if less is left to do than before. Return whether SQS has it."""
    before = list(message.indexes), list(message.unnotified)
    if not (remaining or unnotified) or before == (list(remaining), list(unnotified)):
        return False
    try:
        return retry_call(lambda: dependencies.requeue(message.remainder(remaining, unnotified), PAUSE_S), deadline)
    except NotConfirmed as failure:
        log.outcome("not put back", message=message.message_id, error=str(failure))
        return False
