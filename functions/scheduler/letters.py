"""Letters: messages of the input queue, opened. A publisher's own is bare, those of the topic are in SNS's envelope.

All in a letter is the same however often it is delivered: its requests, the moment from which their delays count, and
the root of their tokens. So a redelivery makes no second schedule.

Signatures of SNS are not checked: the queue's policy admits only the topic and the principals that the owner listed.
The most that one of these could do with an envelope of its own making is to date its letter earlier: one from the
future would leave its names deaf to all letters until then, so what SQS says of when it came counts instead.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
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

_ENVELOPE = ("MessageId", "Message", "Timestamp", "TopicArn")


@dataclass(frozen=True, slots=True)
class Letter:
    message_id: str
    """By which SQS knows it, for the answer to SQS."""
    sent_ms: int
    token_root: str
    """The token of the batch, or the id under which the letter was sent: a request's own is this and its place."""
    content: object
    """As it came: what the JSON says, or the text where it cannot be read."""
    requests: list[object] = field(default_factory=list)
    failure: str | None = None
    """Why the letter as a whole can never be accepted; it has no requests then."""


def opened(record: Mapping[str, Any]) -> Letter:
    """A letter, whatever the body holds: what is wrong with it as a whole stands in its `failure`."""
    sent_ms = int(record["attributes"]["SentTimestamp"])
    letter = Letter(record["messageId"], sent_ms, record["messageId"], record["body"])
    try:
        letter = replace(letter, content=_read(record["body"]))
        envelope = letter.content
        if _is_envelope(envelope):
            letter = replace(letter, token_root=envelope["MessageId"], content=envelope["Message"])
            dated_ms = _dated_ms(envelope["Timestamp"])
            letter = replace(letter, sent_ms=dated_ms if dated_ms <= sent_ms + CLOCKS_MS else sent_ms)
            letter = replace(letter, content=_read(envelope["Message"]))
        if not batches.is_batch(letter.content):
            return replace(letter, requests=[letter.content])
        members, token = batches.unwrapped(letter.content)
        return replace(letter, requests=members, token_root=token or letter.token_root)
    except InvalidSchedule as refusal:
        return replace(letter, failure=str(refusal))


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
