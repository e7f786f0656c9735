"""Take in the letters of the input queue. Accept, report or put back each member of a letter.

Each member of a letter stands for itself. It is finished when AWS has confirmed it. A member that can never be accepted
is finished when the failure queue and its failure target have a report. The function puts the unfinished members back
into the queue by themselves, and then the letter is finished. So a member that fails, for a while or for good, sends no
neighbour out again. SQS brings the letter again as it is if nothing has changed for any member, or if the rest cannot
be put back. A letter that is too large or too old cannot be put back. Its refusals are reported last, because every
turn would repeat them.

The note on a letter that was put back lists the refusals that the failure queue has and a failure target has not
(`telling`). Such a member is not accepted or reported again. After `TELL_TRIES_MAX` tries it is finished, because the
failure queue has the report.

Send first, delete second, here too. A crash in the middle of a letter brings all of it again. A crash after the rest is
put back brings both. Reports may then come twice. Nothing is lost, and a repeat makes no second schedule, because its
tokens are the same. Each rest holds less work than the letter before it, so doubles cannot multiply for ever.

A member that AWS never confirms is reported in the end. A member for a queue of others that stays gone or closed is
reported after `CLOSED_TRIES_MAX` tries, and any other member after `TRIES_MAX`, before SQS would put it away.

One letter does not hold up another. New letters go before repeated ones, and small ones before large ones. Each letter
has an equal share of the time that is left. A queue or a failure target of others that fails gets three tries in one
invocation (`limited_queues`, `telling`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from scheduler import log
from scheduler.accepting import input_message
from scheduler.accepting.input_message import REQUEUE_ATTRIBUTE, InputMessage, Remainder, Untold
from scheduler.accepting.rejections import Refusal, Teller
from scheduler.errors import NotConfirmed
from scheduler.execution.batch_result import BatchResult
from scheduler.execution.deadline import Deadline, retry_call
from scheduler.execution.worker_pool import WorkerPool
from scheduler.limits import SQS_MESSAGE_BYTES_MAX
from scheduler.model import failure_report, sqs_records
from scheduler.model.sqs_records import Arrived
from scheduler.placing.naming import OLDER

Answer = dict[str, Any]

PUT_BACK_S = 6
"""Time kept back of a letter's, so that what is left of it can be put back: one call that begins at the last moment."""
REPORT_S = 3
"""Time kept back of a letter's share, a quarter at most, so that its refusals are told although much of it waits."""
PAUSE_S = 60
"""Until the rest of a letter comes. AWS has had it several times in a few seconds by then; and a rest of it that is all
that waits comes by SQS, after the visibility timeout."""
CLOSED_TRIES_MAX, CLOSED_MS_MAX = 5, 10 * 60 * 1000
"""So often, and for so long, a queue of others may be gone or closed to us: a right that was just given takes a minute
or two until it holds everywhere. Tries alone would not do: SQS counts one, too, where Lambda had no room for it."""
TRIES_MAX = 80
"""Four hours, where all of a letter waits. Of the hundred receives after which SQS puts it away twenty are left to
report it."""
TELL_TRIES_MAX = TRIES_MAX + 20
"""A failure target is told up to this many times, 180 s apart, which takes five hours. A member that was given up last
gets twenty of them. SQS would put the letter away after as many receives."""
IN_SHORT = "it was refused; the report in the failure queue says why"
"""Said to a failure target, if the errors of a letter are too long to be put back with it."""
AGE_MS_MAX = 2 * 24 * 3600 * 1000
"""Of an older letter nothing is put back. It would be kept in the queue anew, and might come when the outcome under a
name is forgotten, and the name free again."""


class Accept(Protocol):
    def __call__(self, letter: InputMessage, closed_for_good: bool, *, deadline: Deadline) -> list[Answer]:
        """For each place at hand an answer, or {"error", "message"}. Whether what is for a queue of others that is gone
        or closed to us is refused by now."""


@dataclass(frozen=True)
class InputQueueDependencies:
    """What a letter is handed to."""

    accept: Accept
    put_back: Callable[[Remainder, int], bool]
    """Into the input queue, to come after so many seconds; False where it does not take it."""
    report: Callable[[Sequence[Refusal]], BatchResult[Refusal]]
    """To the failure queue."""
    tell: Callable[[str, Refusal], None]
    """A failure target and what it should hear. NotConfirmed where that is worth trying again; a target that is gone
    or closed for good is no reason to, for the failure queue has the report."""
    allows: Callable[[str], bool]
    """Whether the owner of the stack listed this failure target."""
    pool: WorkerPool


def receive(records: Iterable[object], deadline: Deadline, reception: InputQueueDependencies) -> dict[str, Any]:
    """Name the messages that are not done with: SQS brings these again, and deletes the others."""
    arrived = [sqs_records.read(record) for record in records]
    teller = Teller(reception.report, reception.tell, reception.allows, reception.pool)
    ends_s = deadline.deadline_s - PUT_BACK_S
    done: dict[int, bool] = {}
    for index in sorted(range(len(arrived)), key=lambda index: _rank(arrived[index])):
        share_s = max(0.0, ends_s - deadline.clock()) / (len(arrived) - len(done))
        share = replace(deadline, deadline_s=deadline.clock() + share_s)
        done[index] = _received(arrived[index], reception, teller, deadline, share)
    failed = [each.message_id for index, each in enumerate(arrived) if not done[index]]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def _rank(arrived: Arrived) -> tuple[bool, int]:
    """Sort repeated letters last, because they are likely to fail again, and large ones behind small ones."""
    return REQUEUE_ATTRIBUTE in arrived.attributes or (arrived.receives or 1) > 1, len(arrived.body)


def _received(
    arrived: Arrived, reception: InputQueueDependencies, teller: Teller, deadline: Deadline, share: Deadline
) -> bool:
    """Whether SQS may delete it. `share` ends with the time that is for this letter."""
    if deadline.passed(PUT_BACK_S):
        log.outcome("postponed", message=arrived.message_id, error="time is over")
        return False
    letter = input_message.opened(arrived)
    try:
        answers = _answers(letter, reception, share)
    except Exception as failure:  # noqa: BLE001 - Whatever it is, the letters beside it need not come again for it.
        log.outcome("postponed", message=letter.message_id, error=type(failure).__name__, where=log.where(failure))
        return False
    now_ms = deadline.now_ms()
    refusals = _refusals(letter, answers, now_ms)
    waiting = [place for place, answer in answers.items() if _waits(answer) and place not in refusals]
    separable = _is_separable(letter, now_ms)
    if separable or not waiting:
        unreported, untold = _told(letter, refusals, teller, share)
        untold = _kept(letter, [*waiting, *unreported], untold, separable)
    else:
        unreported, untold = list(refusals), list(letter.untold)
    rest = sorted([*waiting, *unreported])
    put_back = separable and _put_back(letter, rest, untold, reception, deadline)
    facts = {**_counted(answers), "refused": len(refusals), "waiting": len(waiting)}
    log.outcome("received", message=letter.message_id, **facts, told=not (unreported or untold), put_back=put_back)
    return put_back or not (rest or untold)


def _counted(answers: Mapping[int, Answer]) -> dict[str, int]:
    """What changed nothing, because it is older than what stands under its name, is not told as accepted."""
    good = [answer for answer in answers.values() if "error" not in answer]
    older = sum(answer.get("result") == OLDER for answer in good)
    return {"accepted": len(good) - older, "older": older}


def _answers(letter: InputMessage, reception: InputQueueDependencies, share: Deadline) -> dict[int, Answer]:
    """By place. Time is kept back for reports."""
    if letter.failure is not None or not letter.places:
        return {}
    left_s = share.deadline_s - share.clock()
    deadline = replace(share, deadline_s=share.deadline_s - min(REPORT_S, left_s / 4))
    age_ms = deadline.now_ms() - letter.came.sent_ms
    closed_for_good = letter.came.tries >= CLOSED_TRIES_MAX and age_ms >= CLOSED_MS_MAX
    answers = reception.accept(letter, closed_for_good, deadline=deadline)
    return dict(zip(letter.places, answers, strict=True))


def _waits(answer: Answer) -> bool:
    return answer.get("error") == NotConfirmed.__name__


def _refusals(letter: InputMessage, answers: Mapping[int, Answer], now_ms: int) -> dict[int, Refusal]:
    """By place: whatever is an error and will be one the next time, too; and what was tried for long enough."""
    if letter.failure is not None:
        return {place: failure_report.refused(letter.content, letter.failure, now_ms) for place in letter.places}
    refusals: dict[int, Refusal] = {}
    for place, answer in answers.items():
        if "error" not in answer or (_waits(answer) and letter.came.tries < TRIES_MAX):
            continue
        error = answer["message"]
        if _waits(answer):
            error = f"given up after {letter.came.tries} tries, and may be scheduled all the same: {error}"
        refusals[place] = failure_report.refused(letter.requests[place], error, now_ms)
    return refusals


def _is_separable(letter: InputMessage, now_ms: int) -> bool:
    part = letter.part(letter.places, letter.untold)
    return now_ms - letter.sent_ms <= AGE_MS_MAX and part.size_bytes <= SQS_MESSAGE_BYTES_MAX


def _told(
    letter: InputMessage, refusals: Mapping[int, Refusal], teller: Teller, deadline: Deadline
) -> tuple[list[int], list[Untold]]:
    """Return the places that are not reported yet, and the notes for failure targets that did not answer."""
    reported = teller.report(refusals, deadline)
    words = [word for place in sorted(reported) for word in teller.words(place, refusals[place])]
    now_ms = deadline.now_ms()
    for each in letter.untold:
        refusal = failure_report.refused(letter.came_as(each.place), each.error, now_ms)
        words += [word for word in teller.words(each.place, refusal) if word[0] == each]
    unreported = set(refusals).difference(reported)
    return sorted(unreported), sorted(teller.tell_all(words, deadline))


def _kept(letter: InputMessage, rest: Sequence[int], untold: Sequence[Untold], separable: bool) -> list[Untold]:
    """Return the notes that are worth another try and fit into the attribute. Log the others as untold."""
    versions = [[]] if not separable or letter.came.tries >= TELL_TRIES_MAX else [untold, _shortened(untold), []]
    kept = next(list(each) for each in versions if not each or _fits(letter.part(rest, each)))
    if untold and not kept:
        log.outcome("untold", message=letter.message_id, members=len({each.place for each in untold}))
    return kept


def _fits(part: Remainder) -> bool:
    return part.size_bytes <= SQS_MESSAGE_BYTES_MAX


def _shortened(untold: Sequence[Untold]) -> list[Untold]:
    return [each._replace(error=IN_SHORT) for each in untold]


def _put_back(
    letter: InputMessage,
    rest: Sequence[int],
    untold: Sequence[Untold],
    reception: InputQueueDependencies,
    deadline: Deadline,
) -> bool:
    """Put the rest back if less is left to do than before."""
    before = list(letter.places), list(letter.untold)
    if not (rest or untold) or before == (list(rest), list(untold)):
        return False
    try:
        return retry_call(lambda: reception.put_back(letter.part(rest, untold), PAUSE_S), deadline)
    except NotConfirmed as failure:
        log.outcome("not put back", message=letter.message_id, error=str(failure))
        return False
