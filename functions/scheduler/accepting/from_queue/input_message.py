"""Parse input messages, the messages of the input queue. Publishers send a bare body; the topic adds SNS's envelope.

An input message has the same content at every delivery: its requests, the time from which their delays count, and the
root of their tokens. So a redelivery makes no second schedule.

If only some members of an input message are finished, the function sends it back to the queue for the others. The copy
has the same text. Its attribute holds the id and the time of the first message, the number of tries, and the indexes of
the waiting members. The text keeps the whole batch, because the keys depend on it. Under a token the key of a bundle is
a hash of all its members, and the packing depends on all members of the batch.

The attribute also lists refusals that the failure queue has but a failure target has not. These members are not
accepted or reported again. The attribute keeps their error, so that the failure target gets the same text.

Every permitted sender can write such an attribute, but gains nothing by it:
- It can choose the root of the tokens, as a batch can, and date the message earlier, as an envelope can.
- It can leave out some of its own members, have the others given up early, and choose the error text that its own
  failure target gets.

An operator writes the attribute without `places` to return a message from the dead-letter queue as the original one.

SNS signatures are not checked, because the queue's policy admits only the topic and the listed principals. With a
forged envelope a principal can only date its message earlier. A date in the future would block the names in the message
until then, because earlier requests change nothing. So the time at which SQS received the message replaces such a date.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import field, replace
from typing import NamedTuple, TypeGuard

from scheduler import timestamps
from scheduler.accepting import batch
from scheduler.accepting.request import SCHEDULE_WANTED
from scheduler.errors import InvalidSchedule
from scheduler.limits import BATCH_SCHEDULES_MAX, DUE_MS_MAX, NESTING_MAX
from scheduler.model import sqs_records
from scheduler.model.sqs_records import Arrived
from scheduler.text import deeper_than, fault
from scheduler.value_class import value_class

LEVELS_MAX = 2 * NESTING_MAX
"""More than `data` may have, so that one member with too many is refused alone. Parsers can still read the report."""

WANTED = f"wanted: {SCHEDULE_WANTED}, or {batch.BATCH_WANTED}"

SNS_AHEAD_MS_MAX = 1_000
"""How far SNS's clock may be ahead of SQS's.

SNS may deliver a message twice. Both copies must keep the same date, because their delays count from it.
"""

REQUEUE_ATTRIBUTE = "punctual-again"
"""The attribute of an input message that the function sends back to the queue."""
RULES = 2
"""The version of the rules for members. The previous rules allowed a delay together with a token."""
KNOWS_ZONES = "zones"  # The first try knew `zone` and `spread`. Without this they are refused, as they were then.
_TRIES_MAX = sqs_records.RECEIVES_MAX
ERROR_CHARACTERS_MAX = 2_000  # More than any error of this code has.
_FAILURE_TARGET_CHARACTERS_MAX = 512

_ENVELOPE = ("MessageId", "Message", "Timestamp", "TopicArn")


class Unnotified(NamedTuple):
    """A note that the failure queue has this refusal, and this failure target has not."""

    batch_index: int
    failure_target: str
    error: str

    @classmethod
    def noted(cls, index: int, failure_target: str, error: str) -> Unnotified:
        """Return a note with an error that fits into a message attribute, in its length and its characters."""
        return cls(index, failure_target, (error if fault(error) is None else ascii(error))[:ERROR_CHARACTERS_MAX])


@value_class
class InputMessage:
    message_id: str
    """The message id of SQS, for the response to SQS."""
    body: str
    history: ReceiveHistory
    sent_ms: int
    token_root: str
    """The token of the batch, or the id of the message. The token of a request is this and its index."""
    content: object
    """The parsed JSON, or the text if it cannot be parsed."""
    requests: list[object] = field(default_factory=list)
    failure: str | None = None
    """Why the whole message can never be accepted. It then has no requests."""
    has_token: bool = False
    """Whether the publisher gave the batch a token."""

    @property
    def indexes(self) -> Sequence[int]:
        """Return the indexes of the members that are left to accept, in order."""
        if not self._has_its_indexes:
            return range(max(1, len(self.requests)))
        reported = {each.batch_index for each in self.history.unnotified}
        return [index for index in self.history.indexes if index not in reported]

    @property
    def unnotified(self) -> Sequence[Unnotified]:
        """Return the notes on members that were reported before. A message that is refused as a whole has index 0."""
        return self.history.unnotified if self._has_its_indexes else ()

    @property
    def _has_its_indexes(self) -> bool:
        """Return whether the indexes in the attribute belong to this message."""
        indexes = self.history.indexes
        return bool(indexes) and indexes[-1] < max(1, len(self.requests))

    def content_of(self, index: int) -> object:
        """Return the member at this index, or the whole content if the message is refused as a whole."""
        return self.requests[index] if self.failure is None else self.content

    def remainder(self, indexes: Sequence[int], unnotified: Sequence[Unnotified] = ()) -> Remainder:
        """Return a message that repeats only these members.

        Its `places` include the members with a note, because the previous version reads only `places`.
        """
        history = self.history
        everything = sorted({*indexes, *(each.batch_index for each in unnotified)})
        facts: dict[str, object] = {
            "id": history.id,
            "sent": history.sent_ms,
            "tries": history.tries,
            "places": everything,
        }
        if not history.by_older_rules:
            facts["rules"] = RULES
        facts |= {} if history.before_zones else {KNOWS_ZONES: True}
        if unnotified:
            facts["untold"] = _grouped(unnotified)
        return Remainder(self.body, json.dumps(facts, separators=(",", ":")))


@value_class
class Remainder:
    """A message for the input queue: the text of an input message, and the value of `REQUEUE_ATTRIBUTE`."""

    body: str
    again: str

    @property
    def size_bytes(self) -> int:
        """Return the size of the message as SQS counts it."""
        return sum(
            len(text.encode(errors="surrogatepass")) for text in (self.body, self.again, REQUEUE_ATTRIBUTE, "String")
        )


@value_class
class ReceiveHistory:
    """How SQS delivered an input message, and the earlier messages whose unfinished members it repeats."""

    id: str
    """The message id of the first message."""
    sent_ms: int
    """When SQS received the first message."""
    tries: int
    """The number of tries, this one included."""
    indexes: Sequence[int] = ()
    """The indexes of the waiting members. Empty if all members are left to accept."""
    unnotified: Sequence[Unnotified] = ()
    by_older_rules: bool = False
    """Whether the previous rules apply. Every try must accept the same members, because the keys depend on them."""
    before_zones: bool = False  # Whether `zone` and `spread` are refused, because the first try refused them.


def opened(arrived: Arrived) -> InputMessage:
    """Return an input message, whatever the record holds. An error in the message as a whole becomes its `failure`."""
    if arrived.fault is not None or arrived.sent_ms is None or arrived.receives is None:
        history = ReceiveHistory(arrived.message_id, arrived.sent_ms or 0, arrived.receives or 1)
        why = arrived.fault or "the record has no SentTimestamp or no ApproximateReceiveCount"
        failure = f"the message cannot be read: {why}; {WANTED}"
        return InputMessage(arrived.message_id, arrived.body, history, 0, history.id, arrived.body, failure=failure)
    history = _history(arrived, arrived.sent_ms, arrived.receives)
    message = InputMessage(arrived.message_id, arrived.body, history, history.sent_ms, history.id, arrived.body)
    try:
        message = replace(message, content=_read(arrived.body))
        envelope = message.content
        if _is_envelope(envelope):
            message = replace(message, token_root=envelope["MessageId"], content=envelope["Message"])
            dated_ms = _dated_ms(envelope["Timestamp"])
            message = replace(
                message, sent_ms=dated_ms if dated_ms <= history.sent_ms + SNS_AHEAD_MS_MAX else history.sent_ms
            )
            message = replace(message, content=_read(envelope["Message"]))
        if not batch.is_batch(message.content):
            return replace(message, requests=[message.content])
        members, token = batch.unwrapped(message.content)
        has_token = token is not None
        return replace(message, requests=members, token_root=token or message.token_root, has_token=has_token)
    except InvalidSchedule as refusal:
        return replace(message, failure=str(refusal))


def _history(arrived: Arrived, sent_ms: int, receives: int) -> ReceiveHistory:
    """Return the history of a message. An invalid attribute is ignored."""
    before = _earlier_history(arrived.attributes.get(REQUEUE_ATTRIBUTE))
    if before is None:
        return ReceiveHistory(arrived.message_id, sent_ms, receives)
    return replace(before, sent_ms=min(before.sent_ms, sent_ms), tries=before.tries + receives)


def _earlier_history(text: str | None) -> ReceiveHistory | None:
    """Return the history in an attribute, or None unless each fact has its type and is within its bounds."""
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
    indexes = _indexes(facts["places"])
    unnotified = _unnotified(facts.get("untold", {}), frozenset(indexes))
    if not indexes or unnotified is None:
        return None
    versions = facts.get("rules") != RULES, facts.get(KNOWS_ZONES) is not True
    return ReceiveHistory(first_id, sent_ms, tries, indexes, unnotified, *versions)


def _is_number(value: object, most: int) -> TypeGuard[int]:
    return type(value) is int and 0 <= value <= most


def _indexes(value: object) -> list[int]:
    """Return a sorted list of indexes without duplicates, or an empty list if the value is anything else."""
    if not isinstance(value, list) or len(value) > BATCH_SCHEDULES_MAX:
        return []
    indexes = [index for index in value if _is_number(index, BATCH_SCHEDULES_MAX - 1)]
    return indexes if value == sorted(set(indexes)) else []


def _grouped(unnotified: Sequence[Unnotified]) -> dict[str, dict[str, list[int]]]:
    """Group indexes by error and by failure target, because many members of a message share both."""
    groups: dict[str, dict[str, list[int]]] = {}
    for each in unnotified:
        groups.setdefault(each.error, {}).setdefault(each.failure_target, []).append(each.batch_index)
    return groups


def _unnotified(groups: object, known: frozenset[int]) -> list[Unnotified] | None:
    """Return the notes that `_grouped` grouped, or None if the value has another format."""
    found: list[Unnotified] = []
    if not isinstance(groups, dict):
        return None
    for error, failure_targets in groups.items():
        if not _is_text(error, ERROR_CHARACTERS_MAX) or not isinstance(failure_targets, dict):
            return None
        for failure_target, value in failure_targets.items():
            indexes = _indexes(value)
            is_target = _is_text(failure_target, _FAILURE_TARGET_CHARACTERS_MAX)
            if not is_target or not indexes or not known.issuperset(indexes):
                return None
            found += [Unnotified(index, failure_target, error) for index in indexes]
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
    except ValueError:  # Python limits the digits, because converting them takes quadratic time.
        raise InvalidSchedule(f"the message holds a number of thousands of digits; {WANTED}") from None
    if deeper_than(content, LEVELS_MAX):
        raise too_deep
    return content


def _is_envelope(content: object) -> TypeGuard[dict[str, str]]:
    return (
        isinstance(content, dict)
        and content.get("Type") == "Notification"
        and all(isinstance(content.get(name), str) for name in _ENVELOPE)
    )


def _dated_ms(timestamp: str) -> int:
    try:
        return timestamps.due_ms_from_timestamp(timestamp)
    except InvalidSchedule as refusal:
        raise InvalidSchedule(f"the envelope's {refusal}") from None
