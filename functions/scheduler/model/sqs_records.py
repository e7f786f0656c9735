"""Read the records of an SQS event: every record becomes an `Arrived`, whatever it holds.

The sender chooses the body and the message attributes. So reading never raises, and one record never fails its batch.
The input queue, the delivery queue and the consumer all read their records here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import TypeGuard

from scheduler.limits import DUE_MS_MAX
from scheduler.text import shown
from scheduler.value_class import value_class

RECEIVES_MAX = 1_000_000
"""SQS never counts this far."""
MESSAGE_ID_CHARACTERS_MAX = 128
"""Message ids of SQS have 36."""
_DIGITS_MAX = 15


@value_class
class Arrived:
    """One message of a queue, as Lambda received it."""

    message_id: str
    """Empty if the record has no id. If such a message must come again, Lambda takes the whole batch as failed."""
    body: str
    """The body, or a description of the value if it is not a text."""
    fault: str | None = None
    """Why the record is not a valid message. Its body is then only for a report."""
    sent_ms: int | None = None
    """When SQS received it from the sender, or None if the record does not say."""
    receives: int | None = None
    """How often SQS has delivered it, or None if the record does not say."""
    attributes: Mapping[str, str] = field(default_factory=dict)
    """The message attributes that are strings or numbers, as texts."""


def read(record: object) -> Arrived:
    """Return the usable parts of a record."""
    facts = _object(record)
    message_id, body = facts.get("messageId"), facts.get("body")
    system = _object(facts.get("attributes"))
    return Arrived(
        message_id if _is_id(message_id) else "",
        body if isinstance(body, str) else shown(body),
        _fault(message_id, body),
        _number(system.get("SentTimestamp"), DUE_MS_MAX),
        _number(system.get("ApproximateReceiveCount"), RECEIVES_MAX),
        _texts(_object(facts.get("messageAttributes"))),
    )


def _object(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def _is_id(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and 1 <= len(value) <= MESSAGE_ID_CHARACTERS_MAX


def _fault(message_id: object, body: object) -> str | None:
    if not _is_id(message_id):
        return "the record has no message id"
    if not isinstance(body, str):
        return "the record has no body"
    try:
        body.encode()
    except UnicodeEncodeError:
        return "the body holds a lone surrogate"
    return None


def _number(text: object, most: int) -> int | None:
    """Return a whole number in the format of SQS, a text of digits without a sign. Return None for anything else."""
    if not isinstance(text, str) or not (text.isascii() and text.isdigit()) or len(text) > _DIGITS_MAX:
        return None
    number = int(text)
    return number if number <= most else None


def _texts(attributes: dict[str, object]) -> dict[str, str]:
    values = {name: _object(attribute).get("stringValue") for name, attribute in attributes.items()}
    return {name: value for name, value in values.items() if isinstance(value, str)}
