"""Take in the letters of the input queue: what is accepted, what is refused for good, and what comes again.

Each message stands for itself. It is done with once AWS has confirmed all that it asked for and, of what can never be
accepted, the failure queue has a report. Otherwise SQS brings it again, and its tokens see to it that what was
accepted the first time is no second schedule. Refusals are told last, so that a message of which something is still
waiting does not tell them at every turn. A crash in between repeats reports and never loses one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from scheduler import failures, letters, log
from scheduler.crew import Crew
from scheduler.errors import NotConfirmed
from scheduler.failures import Report
from scheduler.letters import Letter
from scheduler.naming import OLDER
from scheduler.outcome import Outcome
from scheduler.patience import Patience, ask, insist

Answer = dict[str, Any]
Refusal = Report[object]


class Accept(Protocol):
    def __call__(self, members: list[object], sent_ms: int, token: str, *, patience: Patience) -> list[Answer]:
        """Requests, when they were sent, the root of their tokens: for each in order an answer, or {"error",
        "message"}."""


REPORTS_MAX = 50
"""What one of the crew sends in one go."""


@dataclass(frozen=True)
class Reception:
    """What a letter is handed to."""

    accept: Accept
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
    if patience.over():
        log.outcome("postponed", message=record["messageId"], error="time is over")
        return False
    letter = letters.opened(record)
    try:
        results = _accepted(letter, reception, patience)
    except Exception as failure:  # noqa: BLE001 - Whatever it is, the letters beside it need not come again for it.
        log.outcome("postponed", message=letter.message_id, error=type(failure).__name__, where=log.where(failure))
        return False
    errors = [result.get("error") for result in results]
    refusals = _refusals(letter, results, patience.now_ms())
    waiting = errors.count(NotConfirmed.__name__)
    told = not waiting and _told(refusals, reception, patience)
    older = sum(result.get("result") == OLDER for result in results)
    facts = {"accepted": errors.count(None) - older, "older": older, "refused": len(refusals), "waiting": waiting}
    log.outcome("received", message=letter.message_id, **facts, told=told)
    return told


def _accepted(letter: Letter, reception: Reception, patience: Patience) -> list[Answer]:
    if letter.failure is not None:
        return []
    return reception.accept(letter.requests, letter.sent_ms, letter.token_root, patience=patience)


def _refusals(letter: Letter, results: Sequence[Answer], now_ms: int) -> list[Refusal]:
    """Whatever is an error and will be one the next time, too."""
    if letter.failure is not None:
        return [failures.refused(letter.content, letter.failure, now_ms)]
    return [
        failures.refused(came, result["message"], now_ms)
        for came, result in zip(letter.requests, results, strict=True)
        if result.get("error") not in (None, NotConfirmed.__name__)
    ]


def _told(refusals: Sequence[Refusal], reception: Reception, patience: Patience) -> bool:
    """The failure queue first: what it has is not lost, whatever becomes of the failure targets."""

    def report(shelf: Sequence[Refusal]) -> bool:
        return not patience.over() and len(insist(reception.report, shelf, patience).done) == len(shelf)

    def tell(word: tuple[str, Refusal]) -> bool:
        return not patience.over() and _heard(word, reception, patience)

    shelves = [refusals[start : start + REPORTS_MAX] for start in range(0, len(refusals), REPORTS_MAX)]
    if not all(reception.crew.run(report, shelves)):
        return False
    return all(reception.crew.run(tell, _words(refusals, reception)))


def _words(refusals: Sequence[Refusal], reception: Reception) -> Iterator[tuple[str, Refusal]]:
    """Each failure target, with what it should hear."""
    for refusal in refusals:
        for target in sorted(_failure_targets(refusal.schedule)):
            if reception.may_hear(target):
                yield target, refusal


def _heard(word: tuple[str, Refusal], reception: Reception, patience: Patience) -> bool:
    try:
        ask(lambda: reception.tell(*word), patience)
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
