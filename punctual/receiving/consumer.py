"""Handle the messages of the output queue in a Lambda function of your own: `@punctual.consumer`."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, TypedDict, overload

from punctual.receiving.dedupe import Dedupe, Ids, ids_of
from punctual.receiving.handling import Handler, checked, handle, log, told
from punctual.receiving.message import Message, from_parts

RESERVE_S = 0.5
"""The time that is left for the answer. A message that would not end before is not begun."""
LONGER = 1.5
"""How much longer than the longest one so far a message may take."""
LEASE_BEYOND_S = 5
"""How long a claim lasts beyond the deadline of the function: clocks of two environments may differ."""


class ItemFailure(TypedDict):
    itemIdentifier: str


class Report(TypedDict):
    """The answer to Lambda: the messages that SQS has to send again."""

    batchItemFailures: list[ItemFailure]


LambdaHandler: TypeAlias = "Callable[[Mapping[str, Any], Any], Report]"


@overload
def consumer(handler: Handler, /) -> LambdaHandler: ...
@overload
def consumer(*, dedupe: Dedupe = False) -> Callable[[Handler], LambdaHandler]: ...
def consumer(
    handler: Handler | None = None, /, *, dedupe: Dedupe = False
) -> LambdaHandler | Callable[[Handler], LambdaHandler]:
    """Make a Lambda function of a function that handles one message.

    The event source mapping needs `FunctionResponseTypes: [ReportBatchItemFailures]`: without it Lambda deletes failed
    messages. `dedupe=True` drops the repeats that this environment has seen, and `dedupe=Table("handled")` all repeats.
    Your own function is at `__wrapped__`, so that a test can call it with a message.
    """
    if handler is not None:
        return _LambdaFunction(checked(handler, "@consumer"), ids_of(dedupe)).made()
    ids = ids_of(dedupe)
    return lambda given: _LambdaFunction(checked(given, "@consumer"), ids).made()


class _LambdaFunction:
    def __init__(self, handler: Handler, ids: Ids, clock: Callable[[], float] = time.time) -> None:
        self._handler, self._ids, self._clock = handler, ids, clock

    def made(self) -> LambdaHandler:
        # `wraps` sets `__wrapped__` and keeps the name that logs and traces show.
        @functools.wraps(self._handler)
        def function(event: Mapping[str, Any], context: Any) -> Report:
            return self._handle_all(_records(event), context)

        return function

    def _handle_all(self, records: Sequence[Mapping[str, Any]], context: Any) -> Report:
        failed: list[ItemFailure] = []
        longest_s = 0.0
        for number, record in enumerate(records):
            left_s = _left_s(context)
            if left_s < RESERVE_S + longest_s * LONGER:
                rest = records[number:]
                log.warning("%d messages were not begun, because the time of the function is over", len(rest))
                failed += [{"itemIdentifier": each["messageId"]} for each in rest]
                break
            if not self._handled(record, left_s):
                failed.append({"itemIdentifier": record["messageId"]})
            longest_s = max(longest_s, left_s - _left_s(context))
        return {"batchItemFailures": failed}

    def _handled(self, record: Mapping[str, Any], left_s: float) -> bool:
        try:
            message = _message(record, self._clock())
        except Exception as error:  # noqa: BLE001 - One record must not fail the others of a batch.
            log.error("cannot read message %s, and SQS will send it again: %s", record["messageId"], told(error))
            return False
        return handle(message, self._handler, self._ids, left_s + LEASE_BEYOND_S) != "failed"


def _left_s(context: Any) -> float:
    left_ms: int = context.get_remaining_time_in_millis()
    return left_ms / 1000


def _records(event: object) -> Sequence[Mapping[str, Any]]:
    records: Any = event.get("Records") if isinstance(event, Mapping) else None
    if not isinstance(records, list) or any(record.get("eventSource") != "aws:sqs" for record in records):
        raise ValueError(
            "this is no event of SQS; @consumer is for a function with an event source mapping of the output queue"
        )
    return records


def _message(record: Mapping[str, Any], now_s: float) -> Message:
    parts = record.get("messageAttributes", {})
    attributes = {name: str(part.get("stringValue", "")) for name, part in parts.items()}
    sent_ms = int(record.get("attributes", {}).get("SentTimestamp", now_s * 1000))
    return from_parts(record["body"], attributes, record["messageId"], sent_ms, now_s)
