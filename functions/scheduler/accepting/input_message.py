"""Letters: messages of the input queue, opened. A publisher's own is bare, those of the topic are in SNS's envelope.

All in a letter is the same however often it is delivered: its requests, the moment from which their delays count, and
the root of their tokens. So a redelivery makes no second schedule.

A letter of which only a part is done with is put back for the rest of it: its text as it came, and in an attribute by
which id and when the first one came, how often it was tried, and the places that wait. All the rest of the batch stays
in the text because the keys hang on it: under a token a bundle has its key from all its members, and what is packed
with what from all that is in the batch.

The attribute also lists the refusals that the failure queue has and a failure target has not. These members are not
accepted or reported again. The attribute keeps their error, so that the failure target gets the same text.

Such an attribute can be written by whoever may send to the queue. It lets them do no more than they can do without it:
name the root of tokens, as the token of a batch does; date a letter earlier, as an envelope does; leave out some of
what they send themselves, have the rest given up early, and word the error that their own failure target hears. An
operator writes one to bring a dead letter back as the letter that it was: `places` may be left out for that.

Signatures of SNS are not checked: the queue's policy admits only the topic and the principals that the owner listed.
The most that one of these could do with an envelope of its own making is to date its letter earlier: one from the
future would leave its names deaf to all letters until then, so what SQS says of when it came counts instead.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeGuard

from scheduler import timestamps
from scheduler.accepting import batch
from scheduler.accepting.request import SCHEDULE_WANTED
from scheduler.errors import InvalidSchedule
from scheduler.limits import BATCH_SCHEDULES_MAX, DUE_MS_MAX, NESTING_MAX
from scheduler.model import sqs_records
from scheduler.model.sqs_records import Arrived
from scheduler.text import deeper_than, fault

LEVELS_MAX = 2 * NESTING_MAX
"""So that data that is too deep is refused alone, in a batch too; and no parser that reads the report minds it."""

WANTED = f"wanted: {SCHEDULE_WANTED}, or {batch.BATCH_WANTED}"

CLOCKS_MS = 1_000
"""How far SNS's clock may be ahead of SQS's. Not nothing: of a message that SNS hands over twice both copies have to
have one date, for their delays count from it."""

REQUEUE_ATTRIBUTE = "punctual-again"
"""The attribute of a letter that is put back."""
RULES = 2
"""The rules for members. The first rules, of the version before, allowed a delay beside a token."""
_TRIES_MAX = sqs_records.RECEIVES_MAX
ERROR_CHARACTERS_MAX = 2_000
"""More than an error of ours has."""
_HEARER_CHARACTERS_MAX = 512

_ENVELOPE = ("MessageId", "Message", "Timestamp", "TopicArn")


class Untold(NamedTuple):
    """A note: the failure queue has this refusal, and this failure target has not."""

    place: int
    failure_target: str
    error: str

    @classmethod
    def noted(cls, place: int, failure_target: str, error: str) -> Untold:
        """With as much of the error as an attribute takes, in characters that it takes."""
        return cls(place, failure_target, (error if fault(error) is None else ascii(error))[:ERROR_CHARACTERS_MAX])


@dataclass(frozen=True, slots=True)
class InputMessage:
    message_id: str
    """By which SQS knows it, for the answer to SQS."""
    body: str
    came: ReceiveHistory
    sent_ms: int
    token_root: str
    """The token of the batch, or the id under which the letter was sent: a request's own is this and its place."""
    content: object
    """As it came: what the JSON says, or the text where it cannot be read."""
    requests: list[object] = field(default_factory=list)
    failure: str | None = None
    """Why the letter as a whole can never be accepted; it has no requests then."""
    has_token: bool = False
    """Whether its publisher gave the batch a token."""

    @property
    def places(self) -> Sequence[int]:
        """The places of the members that are left to accept, in order."""
        if not self._is_ours:
            return range(max(1, len(self.requests)))
        reported = {each.place for each in self.came.untold}
        return [place for place in self.came.places if place not in reported]

    @property
    def untold(self) -> Sequence[Untold]:
        """The notes on members that were reported before. A letter that is refused as a whole has place 0."""
        return self.came.untold if self._is_ours else ()

    @property
    def _is_ours(self) -> bool:
        """Whether the places that were put back are places of this letter."""
        places = self.came.places
        return bool(places) and places[-1] < max(1, len(self.requests))

    def came_as(self, place: int) -> object:
        """The member at this place, or the whole content if the letter is refused as a whole."""
        return self.requests[place] if self.failure is None else self.content

    def part(self, places: Sequence[int], untold: Sequence[Untold] = ()) -> Remainder:
        """A message that brings only these members again. `places` includes the untold ones, because the version
        before this one reads nothing else and must find them."""
        came = self.came
        everything = sorted({*places, *(each.place for each in untold)})
        facts: dict[str, object] = {"id": came.id, "sent": came.sent_ms, "tries": came.tries, "places": everything}
        if not came.by_older_rules:
            facts["rules"] = RULES
        if untold:
            facts["untold"] = _grouped(untold)
        return Remainder(self.body, json.dumps(facts, separators=(",", ":")))


@dataclass(frozen=True, slots=True)
class Remainder:
    """A message for the input queue: the text of a letter, and its attribute `AGAIN`."""

    body: str
    again: str

    @property
    def size_bytes(self) -> int:
        """As SQS counts it."""
        return sum(
            len(text.encode(errors="surrogatepass")) for text in (self.body, self.again, REQUEUE_ATTRIBUTE, "String")
        )


@dataclass(frozen=True, slots=True)
class ReceiveHistory:
    """How a letter came, and those before it of which it is the rest."""

    id: str
    """The first one's, by SQS."""
    sent_ms: int
    """When the first one was, by SQS."""
    tries: int
    """With this one."""
    places: Sequence[int] = ()
    """None where it is all at hand."""
    untold: Sequence[Untold] = ()
    by_older_rules: bool = False
    """Every turn has to accept the same members, because the keys depend on them."""


def opened(arrived: Arrived) -> InputMessage:
    """A letter, whatever the message holds: what is wrong with it as a whole stands in its `failure`."""
    if arrived.fault is not None or arrived.sent_ms is None or arrived.receives is None:
        came = ReceiveHistory(arrived.message_id, arrived.sent_ms or 0, arrived.receives or 1)
        why = arrived.fault or "the record has no SentTimestamp or no ApproximateReceiveCount"
        failure = f"the message cannot be read: {why}; {WANTED}"
        return InputMessage(arrived.message_id, arrived.body, came, 0, came.id, arrived.body, failure=failure)
    came = _came(arrived, arrived.sent_ms, arrived.receives)
    letter = InputMessage(arrived.message_id, arrived.body, came, came.sent_ms, came.id, arrived.body)
    try:
        letter = replace(letter, content=_read(arrived.body))
        envelope = letter.content
        if _is_envelope(envelope):
            letter = replace(letter, token_root=envelope["MessageId"], content=envelope["Message"])
            dated_ms = _dated_ms(envelope["Timestamp"])
            letter = replace(letter, sent_ms=dated_ms if dated_ms <= came.sent_ms + CLOCKS_MS else came.sent_ms)
            letter = replace(letter, content=_read(envelope["Message"]))
        if not batch.is_batch(letter.content):
            return replace(letter, requests=[letter.content])
        members, token = batch.unwrapped(letter.content)
        has_token = token is not None
        return replace(letter, requests=members, token_root=token or letter.token_root, has_token=has_token)
    except InvalidSchedule as refusal:
        return replace(letter, failure=str(refusal))


def _came(arrived: Arrived, sent_ms: int, receives: int) -> ReceiveHistory:
    """What is no attribute of ours is as good as none."""
    before = _before(arrived.attributes.get(REQUEUE_ATTRIBUTE))
    if before is None:
        return ReceiveHistory(arrived.message_id, sent_ms, receives)
    return replace(before, sent_ms=min(before.sent_ms, sent_ms), tries=before.tries + receives)


def _before(text: str | None) -> ReceiveHistory | None:
    """None unless each fact is of its type and within its bounds."""
    try:
        facts = json.loads(text or "null")
    except (ValueError, RecursionError):
        return None
    if not isinstance(facts, dict):
        return None
    first_id, sent_ms, tries = facts.get("id"), facts.get("sent"), facts.get("tries")
    if not isinstance(first_id, str) or not 1 <= len(first_id) <= sqs_records.MESSAGE_ID_CHARACTERS_MAX:
        return None
    if not _is_number(sent_ms, DUE_MS_MAX) or not _is_number(tries, _TRIES_MAX):
        return None
    if "places" not in facts:
        return ReceiveHistory(first_id, sent_ms, tries, by_older_rules=True)
    places = _places(facts["places"])
    untold = _untold(facts.get("untold", {}), frozenset(places))
    if not places or untold is None:
        return None
    return ReceiveHistory(first_id, sent_ms, tries, places, untold, by_older_rules=facts.get("rules") != RULES)


def _is_number(value: object, most: int) -> TypeGuard[int]:
    return type(value) is int and 0 <= value <= most


def _places(value: object) -> list[int]:
    """In order, and each once; empty if it is no list of such."""
    if not isinstance(value, list) or len(value) > BATCH_SCHEDULES_MAX:
        return []
    places = [place for place in value if _is_number(place, BATCH_SCHEDULES_MAX - 1)]
    return places if value == sorted(set(places)) else []


def _grouped(untold: Sequence[Untold]) -> dict[str, dict[str, list[int]]]:
    """Places by error and by failure target: many members of a letter share both."""
    groups: dict[str, dict[str, list[int]]] = {}
    for each in untold:
        groups.setdefault(each.error, {}).setdefault(each.failure_target, []).append(each.place)
    return groups


def _untold(groups: object, known: frozenset[int]) -> list[Untold] | None:
    """What `_grouped` made; None if it made no such thing."""
    found: list[Untold] = []
    if not isinstance(groups, dict):
        return None
    for error, failure_targets in groups.items():
        if not _is_text(error, ERROR_CHARACTERS_MAX) or not isinstance(failure_targets, dict):
            return None
        for failure_target, value in failure_targets.items():
            places = _places(value)
            if not _is_text(failure_target, _HEARER_CHARACTERS_MAX) or not places or not known.issuperset(places):
                return None
            found += [Untold(place, failure_target, error) for place in places]
    return sorted(found)


def _is_text(value: object, characters_max: int) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= characters_max and fault(value) is None


def _read(text: str) -> object:
    too_deep = InvalidSchedule(f"the message is nested more than {LEVELS_MAX} levels deep; {WANTED}")
    try:
        content: object = json.loads(text)
    except RecursionError:
        raise too_deep from None
    except json.JSONDecodeError as fault:
        raise InvalidSchedule(f"the message is no JSON: {fault.msg} at position {fault.pos}; {WANTED}") from None
    except ValueError:  # Python's own limit, past which it would work on the digits for ever.
        raise InvalidSchedule(f"the message holds a number of thousands of digits; {WANTED}") from None
    if deeper_than(content, LEVELS_MAX):
        raise too_deep
    return content


def _is_envelope(content: object) -> TypeGuard[dict[str, str]]:
    return (
        isinstance(content, dict)
        and content.get("Type") == "Notification"
        and all(isinstance(content.get(part), str) for part in _ENVELOPE)
    )


def _dated_ms(timestamp: str) -> int:
    try:
        return timestamps.due_ms_from_timestamp(timestamp)
    except InvalidSchedule as refusal:
        raise InvalidSchedule(f"the envelope's {refusal}") from None
