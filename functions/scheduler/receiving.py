"""Take in the letters of the input queue: what is accepted, what is refused for good, and what comes again.

Each member of a letter stands for itself. Of one that AWS has confirmed, and of one that can never be accepted and of
which the failure queue has a report, nothing more is to be done; what is left of the letter is put back into the queue
by itself, and then the letter is done with. So a member that fails for a while, or for good, sends no neighbour out
again. Where nothing of a letter is done with, or the rest cannot be put back, SQS brings it again as it is; and where
it is known beforehand that the rest cannot, refusals are told last, so as not to tell them at every turn.

Send first, delete second, here too. A crash after some of a letter is done brings all of it again, one after the rest
is put back brings both; a crash repeats reports as well. Nothing is lost, and a repeat is no second schedule, since its
tokens are the same. Each rest is smaller than what it was left of, so doubles of it cannot multiply for ever.

What never comes to be confirmed is reported in the end: where it is for a queue of others that stays gone or closed to
us after a few tries, and anything else after `TRIES_MAX`, before SQS would put it away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from scheduler import failures, letters, log
from scheduler.crew import Crew
from scheduler.errors import NotConfirmed
from scheduler.failures import Report
from scheduler.letters import Letter, Part
from scheduler.limits import SQS_MESSAGE_BYTES_MAX
from scheduler.naming import OLDER
from scheduler.outcome import Outcome
from scheduler.patience import Patience, ask, insist

Answer = dict[str, Any]
Refusal = Report[object]

REPORTS_MAX = 50
"""What one of the crew sends in one go."""
PUT_BACK_S = 6
"""Time kept back of a letter's, so that what is left of it can be put back: one call that begins at the last moment."""
PAUSE_S = 60
"""Until the rest of a letter comes. AWS has had it several times in a few seconds by then; and a rest of it that is all
that waits comes by SQS, after the visibility timeout."""
CLOSED_TRIES_MAX, CLOSED_MS_MAX = 5, 10 * 60 * 1000
"""So often, and for so long, a queue of others may be gone or closed to us: a right that was just given takes a minute
or two until it holds everywhere. Tries alone would not do: SQS counts one, too, where Lambda had no room for it."""
TRIES_MAX = 80
"""Four hours, where all of a letter waits. Of the hundred receives after which SQS puts it away twenty are left to
report it."""
AGE_MS_MAX = 2 * 24 * 3600 * 1000
"""Of an older letter nothing is put back. It would be kept in the queue anew, and might come when the outcome under a
name is forgotten, and the name free again."""


class Accept(Protocol):
    def __call__(self, letter: Letter, closed_for_good: bool, *, patience: Patience) -> list[Answer]:
        """For each place at hand an answer, or {"error", "message"}. Whether what is for a queue of others that is gone
        or closed to us is refused by now."""


@dataclass(frozen=True)
class Reception:
    """What a letter is handed to."""

    accept: Accept
    put_back: Callable[[Part, int], bool]
    """Into the input queue, to come after so many seconds; False where it does not take it."""
    report: Callable[[Sequence[Refusal]], Outcome[Refusal]]
    """To the failure queue."""
    tell: Callable[[str, Refusal], None]
    """A failure target and what it should hear. NotConfirmed where that is worth trying again; a target that is gone
    or closed for good is no reason to, for the failure queue has the report."""
    may_hear: Callable[[str], bool]
    """Whether the owner of the stack listed this failure target."""
    crew: Crew


def receive(records: Iterable[Mapping[str, Any]], patience: Patience, reception: Reception) -> dict[str, Any]:
    """Name the messages that are not done with: SQS brings these again, and deletes the others."""
    failed = [record["messageId"] for record in records if not _received(record, reception, patience)]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def _received(record: Mapping[str, Any], reception: Reception, patience: Patience) -> bool:
    if patience.over(PUT_BACK_S):
        log.outcome("postponed", message=record["messageId"], error="time is over")
        return False
    letter = letters.opened(record)
    until_put_back = replace(patience, deadline_s=patience.deadline_s - PUT_BACK_S)
    try:
        answers = _answers(letter, reception, until_put_back)
    except Exception as failure:  # noqa: BLE001 - Whatever it is, the letters beside it need not come again for it.
        log.outcome("postponed", message=letter.message_id, error=type(failure).__name__, where=log.where(failure))
        return False
    refusals = _refusals(letter, answers, patience.now_ms())
    waiting = [place for place, answer in answers.items() if _waits(answer) and place not in refusals]
    separable = _is_separable(letter, patience.now_ms())
    untold = _untold(refusals, reception, until_put_back) if separable or not waiting else list(refusals)
    rest = sorted([*waiting, *untold])
    put_back = separable and _put_back(letter, rest, reception, patience)
    facts = {**_counted(answers), "refused": len(refusals), "waiting": len(waiting), "told": not untold}
    log.outcome("received", message=letter.message_id, **facts, put_back=put_back)
    return put_back or not rest


def _counted(answers: Mapping[int, Answer]) -> dict[str, int]:
    """What changed nothing, because it is older than what stands under its name, is not told as accepted."""
    good = [answer for answer in answers.values() if "error" not in answer]
    older = sum(answer.get("result") == OLDER for answer in good)
    return {"accepted": len(good) - older, "older": older}


def _answers(letter: Letter, reception: Reception, patience: Patience) -> dict[int, Answer]:
    """By place."""
    if letter.failure is not None:
        return {}
    age_ms = patience.now_ms() - letter.came.sent_ms
    closed_for_good = letter.came.tries >= CLOSED_TRIES_MAX and age_ms >= CLOSED_MS_MAX
    answers = reception.accept(letter, closed_for_good, patience=patience)
    return dict(zip(letter.places, answers, strict=True))


def _waits(answer: Answer) -> bool:
    return answer.get("error") == NotConfirmed.__name__


def _refusals(letter: Letter, answers: Mapping[int, Answer], now_ms: int) -> dict[int, Refusal]:
    """By place: whatever is an error and will be one the next time, too; and what was tried for long enough."""
    if letter.failure is not None:
        return {0: failures.refused(letter.content, letter.failure, now_ms)}
    refusals: dict[int, Refusal] = {}
    for place, answer in answers.items():
        if "error" not in answer or (_waits(answer) and letter.came.tries < TRIES_MAX):
            continue
        error = answer["message"]
        if _waits(answer):
            error = f"given up after {letter.came.tries} tries, and may be scheduled all the same: {error}"
        refusals[place] = failures.refused(letter.requests[place], error, now_ms)
    return refusals


def _is_separable(letter: Letter, now_ms: int) -> bool:
    return now_ms - letter.sent_ms <= AGE_MS_MAX and letter.part(letter.places).size_bytes <= SQS_MESSAGE_BYTES_MAX


def _put_back(letter: Letter, rest: Sequence[int], reception: Reception, patience: Patience) -> bool:
    """Where it is less than what came."""
    if not 0 < len(rest) < len(letter.places):
        return False
    try:
        return ask(lambda: reception.put_back(letter.part(rest), PAUSE_S), patience)
    except NotConfirmed as failure:
        log.outcome("not put back", message=letter.message_id, error=str(failure))
        return False


def _untold(refusals: Mapping[int, Refusal], reception: Reception, patience: Patience) -> list[int]:
    """Places of those of which not all have heard. The failure queue first: what it has is not lost, whatever becomes
    of the failure targets."""

    def report(shelf: list[int]) -> list[int]:
        reports = [refusals[place] for place in shelf]
        if patience.over() or len(insist(reception.report, reports, patience).done) < len(shelf):
            return []
        return shelf

    def tell(word: tuple[int, str]) -> bool:
        place, target = word
        return not patience.over() and _heard(target, refusals[place], reception, patience)

    places = list(refusals)
    shelves = [places[start : start + REPORTS_MAX] for start in range(0, len(places), REPORTS_MAX)]
    reported = {place for shelf in reception.crew.run(report, shelves) for place in shelf}
    words = [word for place in sorted(reported) for word in _words(place, refusals[place], reception)]
    unheard = {place for (place, _), heard in zip(words, reception.crew.run(tell, words), strict=True) if not heard}
    return [place for place in places if place not in reported or place in unheard]


def _words(place: int, refusal: Refusal, reception: Reception) -> list[tuple[int, str]]:
    """Each failure target that should hear of it."""
    return [(place, target) for target in sorted(_failure_targets(refusal.schedule)) if reception.may_hear(target)]


def _heard(target: str, refusal: Refusal, reception: Reception, patience: Patience) -> bool:
    try:
        ask(lambda: reception.tell(target, refusal), patience)
    except NotConfirmed:
        return False
    return True


def _failure_targets(came: object) -> set[str]:
    """Of a schedule, or of all those in a batch that was refused whole."""
    members = came.get("schedules", came) if isinstance(came, dict) else came
    found = [
        member.get("failure_target", member.get("failure_topic"))
        for member in (members if isinstance(members, list) else [members])
        if isinstance(member, dict)
    ]
    return {target for target in found if isinstance(target, str)}
