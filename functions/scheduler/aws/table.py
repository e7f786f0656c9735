"""The table as the writers see it: schedules and timers, failures, the quarantine and the number of partitions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from scheduler.aws import items
from scheduler.aws.calls import ConditionFailed, conditional, confirmed
from scheduler.aws.items import META
from scheduler.errors import NotConfirmed
from scheduler.execution.batch_result import BatchResult
from scheduler.limits import DYNAMODB_BATCH_WRITES_MAX
from scheduler.model.bundle import Bundle
from scheduler.model.schedule import Key, Schedule, Timer

if TYPE_CHECKING:
    from scheduler.feeding.jobs import QuarantinedItem
    from scheduler.model.failure_report import Report
    from scheduler.placing.near_names import Row

Thing = TypeVar("Thing")


class Table:
    def __init__(self, client: Any, name: str) -> None:
        self._client, self._name = client, name

    def put(self, things: Sequence[Schedule | Bundle]) -> BatchResult[Schedule | Bundle]:
        return self._write(things, lambda thing: {"PutRequest": {"Item": items.item(thing)}})

    def put_near_names(self, rows: Sequence[Row]) -> BatchResult[Row]:
        return self._write(rows, lambda row: {"PutRequest": {"Item": row.item}})

    def delete(self, keys: Sequence[Key]) -> BatchResult[Key]:
        return self._write(keys, lambda key: {"DeleteRequest": {"Key": items.key(*key)}})

    def quarantine(self, things: Sequence[QuarantinedItem]) -> BatchResult[QuarantinedItem]:
        return self._write(
            things, lambda quarantined_item: {"PutRequest": {"Item": items.quarantined(quarantined_item)}}
        )

    def put_failed(self, reports: Sequence[Report[Any]]) -> BatchResult[Report[Any]]:
        return self._write(reports, lambda report: {"PutRequest": {"Item": items.failed(report)}})

    def remove_timer(self, timer: Timer) -> None:
        """Remove this timer, unless a later request has set another one under the same key."""
        with suppress(ConditionFailed):
            conditional(
                self._client.delete_item,
                TableName=self._name,
                Key=items.key(*timer.key),
                ConditionExpression="#asked = :asked",
                ExpressionAttributeNames={"#asked": "asked"},
                ExpressionAttributeValues={":asked": {"N": str(timer.request_number)}},
            )

    def remember_partitions(self, counts: Sequence[int]) -> BatchResult[int]:
        (count,) = counts
        try:
            conditional(
                self._client.update_item,
                TableName=self._name,
                Key=items.key(META, "partitions"),
                UpdateExpression="SET #count = :count",
                ConditionExpression="attribute_not_exists(#count) OR #count < :count",
                ExpressionAttributeNames={"#count": "count"},
                ExpressionAttributeValues={":count": {"N": str(count)}},
            )
        except NotConfirmed as failure:
            return BatchResult(unconfirmed=[count], last_error=str(failure))
        except ConditionFailed:
            pass  # As many or more are remembered.
        return BatchResult(confirmed=[count])

    def remember_applications(self, applications: Sequence[str]) -> BatchResult[str]:
        """Add an application to those that the feeds read. Confirm every application that the table remembers."""
        (application,) = applications
        try:
            answer = confirmed(
                self._client.update_item,
                TableName=self._name,
                Key=items.key(META, "partitions"),
                UpdateExpression="ADD #applications :applications",
                ExpressionAttributeNames={"#applications": "applications"},
                ExpressionAttributeValues={":applications": {"SS": [application]}},
                ReturnValues="ALL_NEW",
            )
        except NotConfirmed as failure:
            return BatchResult(unconfirmed=[application], last_error=str(failure))
        return BatchResult(confirmed=list(answer["Attributes"]["applications"]["SS"]))

    def recall_partitions(self) -> int:
        return self.recall_fed()[0]

    def recall_fed(self) -> tuple[int, list[str]]:
        """Return the number of partitions to feed, and the applications whose items lie beside the owner's."""
        answer = confirmed(
            self._client.get_item, TableName=self._name, Key=items.key(META, "partitions"), ConsistentRead=True
        )
        item = answer.get("Item", {})
        count = int(item["count"]["N"]) if "count" in item else 0
        return count, sorted(item["applications"]["SS"]) if "applications" in item else []

    def _write(self, things: Sequence[Thing], request_of: Callable[[Thing], dict[str, Any]]) -> BatchResult[Thing]:
        """Write one batch. Items beyond its limit count as not attempted.

        DynamoDB answers with success even if it lists some items as unprocessed.
        """
        not_attempted = list(things[DYNAMODB_BATCH_WRITES_MAX:])
        things = things[:DYNAMODB_BATCH_WRITES_MAX]
        requests = [request_of(thing) for thing in things]
        try:
            answer = confirmed(self._client.batch_write_item, RequestItems={self._name: list(requests)})
        except NotConfirmed as failure:
            return BatchResult(unconfirmed=list(things), not_attempted=not_attempted, last_error=str(failure))
        unprocessed = {_key_of(request) for request in answer.get("UnprocessedItems", {}).get(self._name, [])}
        if not unprocessed:
            return BatchResult(confirmed=list(things), not_attempted=not_attempted)
        outcome: BatchResult[Thing] = BatchResult(not_attempted=not_attempted, last_error="UnprocessedItems")
        for thing, request in zip(things, requests, strict=True):
            (outcome.unconfirmed if _key_of(request) in unprocessed else outcome.confirmed).append(thing)
        return outcome


def _key_of(request: dict[str, Any]) -> Key:
    """Return the key of a request of BatchWriteItem, which identifies the requests that come back unprocessed."""
    item = request["PutRequest"]["Item"] if "PutRequest" in request else request["DeleteRequest"]["Key"]
    return Key(item["partition"]["S"], item["sort"]["S"])
