"""Letters: messages of the input queue, opened. A publisher's own is bare, those of the topic are in SNS's envelope.

All in a letter is the same however often it is delivered: its requests, the moment from which their delays count, and
the root of their tokens. So a redelivery makes no second schedule.

A letter of which only a part is done with is put back for the rest of it: its text as it came, and in an attribute by
which id and when the first one came, how often it was tried, and the places that wait. All the rest of the batch stays
in the text because the keys hang on it: under a token a bundle has its key from all its members, and what is packed
with what from all that is in the batch.

Such an attribute can be written by whoever may send to the queue. It lets them do no more than they can do without it:
name the root of tokens, as the token of a batch does; date a letter earlier, as an envelope does; leave out some of
what they send themselves, and have the rest given up early.

Signatures of SNS are not checked: the queue's policy admits only the topic and the principals that the owner listed.
The most that one of these could do with an envelope of its own making is to date its letter earlier: one from the
future would leave its names deaf to all letters until then, so what SQS says of when it came counts instead.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeGuard

from scheduler import batches, moments
from scheduler.errors import InvalidSchedule
from scheduler.limits import NESTING_MAX
from scheduler.nesting import deeper_than
from scheduler.request import SCHEDULE_WANTED

LEVELS_MAX = 2 * NESTING_MAX
"""So that data that is too deep is refused alone, in a batch too; and no parser that reads the report minds it."""

WANTED = f"wanted: {SCHEDULE_WANTED}, or {batches.BATCH_WANTED}"

CLOCKS_MS = 1_000
"""How far SNS's clock may be ahead of SQS's. Not nothing: of a message that SNS hands over twice both copies have to
have one date, for their delays count from it."""

AGAIN = "punctual-again"
"""The attribute of a letter that is put back."""
_ID_CHARACTERS_MAX = 128
"""Those of SQS have 36."""

_ENVELOPE = ("MessageId", "Message", "Timestamp", "TopicArn")


@dataclass(frozen=True, slots=True)
class Letter:
    message_id: str
    """By which SQS knows it, for the answer to SQS."""
    body: str
    came: Coming
    sent_ms: int
    token_root: str
    """The token of the batch, or the id under which the letter was sent: a request's own is this and its place."""
    content: object
    """As it came: what the JSON says, or the text where it cannot be read."""
    requests: list[object] = field(default_factory=list)
    failure: str | None = None
    """Why the letter as a whole can never be accepted; it has no requests then."""

    @property
    def places(self) -> Sequence[int]:
        """Of the requests that are at hand, in order; the others were done with before."""
        places, count = self.came.places, len(self.requests)
        return places if places and places[-1] < count else range(count)

    def part(self, places: Sequence[int]) -> Part:
        """What is put back so that only these come again."""
        came = self.came
        facts = {"id": came.id, "sent": came.sent_ms, "tries": came.tries, "places": list(places)}
        return Part(self.body, json.dumps(facts, separators=(",", ":")))


@dataclass(frozen=True, slots=True)
class Part:
    """A message for the input queue: the text of a letter, and its attribute `AGAIN`."""

    body: str
    again: str

    @property
    def size_bytes(self) -> int:
        """As SQS counts it."""
        return sum(len(text.encode(errors="surrogatepass")) for text in (self.body, self.again, AGAIN, "String"))


@dataclass(frozen=True, slots=True)
class Coming:
    """How a letter came, and those before it of which it is the rest."""

    id: str
    """The first one's, by SQS."""
    sent_ms: int
    """When the first one was, by SQS."""
    tries: int
    """With this one."""
    places: Sequence[int] = ()
    """None where it is all at hand."""


def opened(record: Mapping[str, Any]) -> Letter:
    """A letter, whatever the body holds: what is wrong with it as a whole stands in its `failure`."""
    came = _came(record)
    letter = Letter(record["messageId"], record["body"], came, came.sent_ms, came.id, record["body"])
    try:
        letter = replace(letter, content=_read(record["body"]))
        envelope = letter.content
        if _is_envelope(envelope):
            letter = replace(letter, token_root=envelope["MessageId"], content=envelope["Message"])
            dated_ms = _dated_ms(envelope["Timestamp"])
            letter = replace(letter, sent_ms=dated_ms if dated_ms <= came.sent_ms + CLOCKS_MS else came.sent_ms)
            letter = replace(letter, content=_read(envelope["Message"]))
        if not batches.is_batch(letter.content):
            return replace(letter, requests=[letter.content])
        members, token = batches.unwrapped(letter.content)
        return replace(letter, requests=members, token_root=token or letter.token_root)
    except InvalidSchedule as refusal:
        return replace(letter, failure=str(refusal))


def _came(record: Mapping[str, Any]) -> Coming:
    """What is no attribute of ours is as good as none."""
    facts = record["attributes"]
    own = Coming(record["messageId"], int(facts["SentTimestamp"]), int(facts["ApproximateReceiveCount"]))
    before = _before(record.get("messageAttributes", {}).get(AGAIN, {}).get("stringValue"))
    if before is None:
        return own
    return replace(before, sent_ms=min(before.sent_ms, own.sent_ms), tries=before.tries + own.tries)


def _before(text: str | None) -> Coming | None:
    try:
        facts = json.loads(text or "null")
        first_id, sent_ms, tries, places = (facts[fact] for fact in ("id", "sent", "tries", "places"))
        numbers = [sent_ms, tries, *places]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    if not isinstance(first_id, str) or not 1 <= len(first_id) <= _ID_CHARACTERS_MAX:
        return None
    if not places or not all(type(number) is int and number >= 0 for number in numbers):
        return None
    return Coming(first_id, sent_ms, tries, places) if places == sorted(set(places)) else None


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
        return moments.due_ms_from_timestamp(timestamp)
    except InvalidSchedule as refusal:
        raise InvalidSchedule(f"the envelope's {refusal}") from None
