"""The table in DynamoDB: schedules by partition and moment, what was put aside, the leases and the partition memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from scheduler import items
from scheduler.answers import code, confirmed
from scheduler.bundle import Bundle
from scheduler.errors import NotConfirmed
from scheduler.failures import Report
from scheduler.items import META
from scheduler.leasing import Lease
from scheduler.limits import DYNAMODB_BATCH_WRITES_MAX
from scheduler.moving import Aside
from scheduler.outcome import Outcome
from scheduler.reading import Page
from scheduler.schedule import Key, Schedule, Timer

Thing = TypeVar("Thing")

PAGE_SCHEDULES_MAX = 1_000
"""DynamoDB ends a page at 1 MB by itself; of small schedules this many share the work with the other strand."""


class Table:
    def __init__(self, client: Any, name: str) -> None:
        self._client, self._name = client, name

    def put(self, things: Sequence[Schedule | Bundle]) -> Outcome[Schedule | Bundle]:
        return self._write(things, [{"PutRequest": {"Item": items.item(thing)}} for thing in things])

    def delete(self, keys: Sequence[Key]) -> Outcome[Key]:
        return self._write(keys, [{"DeleteRequest": {"Key": items.key(*key)}} for key in keys])

    def put_aside(self, things: Sequence[Aside]) -> Outcome[Aside]:
        return self._write(things, [{"PutRequest": {"Item": items.quarantined(aside)}} for aside in things])

    def put_failed(self, reports: Sequence[Report[Any]]) -> Outcome[Report[Any]]:
        return self._write(reports, [{"PutRequest": {"Item": items.failed(report)}} for report in reports])

    def write_back(self, read: Bundle, kept: Bundle) -> Outcome[Bundle]:
        """What is left of a bundle, where it is as it was read. Where it is not, somebody else has seen to it."""
        try:
            confirmed(
                self._client.put_item,
                TableName=self._name,
                Item=items.item(kept),
                ConditionExpression="#bundle = :read",
                ExpressionAttributeNames={"#bundle": "bundle"},
                ExpressionAttributeValues={":read": {"B": read.packed}},
            )
        except NotConfirmed as failure:
            return Outcome(left=[read], why=str(failure))
        except ClientError as failure:
            if code(failure) != "ConditionalCheckFailedException":
                raise
        return Outcome(done=[read])

    def remove_timer(self, timer: Timer) -> None:
        """Where that very one lies there; under the same key a later request may have set another."""
        try:
            confirmed(
                self._client.delete_item,
                TableName=self._name,
                Key=items.key(*timer.key),
                ConditionExpression="#asked = :asked",
                ExpressionAttributeNames={"#asked": "asked"},
                ExpressionAttributeValues={":asked": {"N": str(timer.asked)}},
            )
        except ClientError as failure:
            if code(failure) != "ConditionalCheckFailedException":
                raise

    def page(self, partition: str, from_sort: str, to_sort: str) -> Page:
        """From `from_sort` on, and before `to_sort`, as it is after every write that was confirmed before."""
        answer = confirmed(
            self._client.query,
            TableName=self._name,
            KeyConditionExpression="#partition = :partition AND #sort BETWEEN :from AND :to",
            ExpressionAttributeNames={"#partition": "partition", "#sort": "sort"},
            ExpressionAttributeValues={
                ":partition": {"S": partition},
                ":from": {"S": from_sort},
                ":to": {"S": to_sort},
            },
            ConsistentRead=True,
            Limit=PAGE_SCHEDULES_MAX,
        )
        schedules: list[Schedule] = []
        bundles: list[Bundle] = []
        unreadable: list[Aside] = []
        for item in answer["Items"]:
            try:
                if "bundle" in item:
                    bundles.append(items.bundle(item))
                else:
                    schedules.append(items.schedule(item))
            except (KeyError, ValueError) as fault:
                key = Key(item["partition"]["S"], item["sort"]["S"])
                unreadable.append(Aside(key, item, f"no schedule: {type(fault).__name__} {fault}"))
        last = answer.get("LastEvaluatedKey")
        return Page(schedules, bundles, unreadable, last["sort"]["S"] + " " if last else None)

    def remember_partitions(self, counts: Sequence[int]) -> Outcome[int]:
        (count,) = counts
        try:
            confirmed(
                self._client.update_item,
                TableName=self._name,
                Key=items.key(META, "partitions"),
                UpdateExpression="SET #count = :count",
                ConditionExpression="attribute_not_exists(#count) OR #count < :count",
                ExpressionAttributeNames={"#count": "count"},
                ExpressionAttributeValues={":count": {"N": str(count)}},
            )
        except NotConfirmed as failure:
            return Outcome(left=[count], why=str(failure))
        except ClientError as failure:
            if code(failure) != "ConditionalCheckFailedException":  # Which says that as many or more are remembered.
                raise
        return Outcome(done=[count])

    def recall_partitions(self) -> int:
        answer = confirmed(
            self._client.get_item, TableName=self._name, Key=items.key(META, "partitions"), ConsistentRead=True
        )
        return int(answer["Item"]["count"]["N"]) if "Item" in answer else 0

    def take_lease(self, lease: Lease, now_ms: int, inherited: str | None) -> Lease | None:
        """None where it is ours now, else the lease that stands."""
        try:
            confirmed(
                self._client.update_item,
                TableName=self._name,
                Key=_lease_key(lease),
                UpdateExpression="SET #until = :until, #holder = :holder, #ends = :ends",
                ConditionExpression="attribute_not_exists(#holder) OR #ends <= :now OR #holder = :inherited",
                ExpressionAttributeNames={"#until": "until", "#holder": "holder", "#ends": "ends"},
                ExpressionAttributeValues={
                    ":until": {"N": str(lease.until_ms)},
                    ":holder": {"S": lease.holder},
                    ":ends": {"N": str(lease.ends_ms)},
                    ":now": {"N": str(now_ms)},
                    ":inherited": {"S": inherited or "-"},
                },
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ClientError as failure:
            if code(failure) != "ConditionalCheckFailedException":
                raise
            response: Any = failure.response  # Its stubs do not know of ALL_OLD.
            standing = response["Item"]
            until_ms, ends_ms = int(standing["until"]["N"]), int(standing["ends"]["N"])
            return Lease(lease.partition, until_ms, standing["holder"]["S"], ends_ms)
        return None

    def end_lease(self, lease: Lease) -> None:
        try:
            confirmed(
                self._client.delete_item,
                TableName=self._name,
                Key=_lease_key(lease),
                ConditionExpression="#holder = :holder",
                ExpressionAttributeNames={"#holder": "holder"},
                ExpressionAttributeValues={":holder": {"S": lease.holder}},
            )
        except ClientError as failure:
            if code(failure) != "ConditionalCheckFailedException":  # Which says that it is another's by now.
                raise

    def _write(self, things: Sequence[Thing], requests: Sequence[dict[str, Any]]) -> Outcome[Thing]:
        total: Outcome[Thing] = Outcome()
        for start in range(0, len(requests), DYNAMODB_BATCH_WRITES_MAX):
            end = start + DYNAMODB_BATCH_WRITES_MAX
            total.add(self._write_batch(things[start:end], requests[start:end]))
        return total

    def _write_batch(self, things: Sequence[Thing], requests: Sequence[dict[str, Any]]) -> Outcome[Thing]:
        """DynamoDB answers with success and a list of what it has not done."""
        try:
            answer = confirmed(self._client.batch_write_item, RequestItems={self._name: list(requests)})
        except NotConfirmed as failure:
            return Outcome(left=list(things), why=str(failure))
        unprocessed = {_key_of(request) for request in answer.get("UnprocessedItems", {}).get(self._name, [])}
        if not unprocessed:
            return Outcome(done=list(things))
        outcome: Outcome[Thing] = Outcome(why="UnprocessedItems")
        for thing, request in zip(things, requests, strict=True):
            (outcome.left if _key_of(request) in unprocessed else outcome.done).append(thing)
        return outcome


def _lease_key(lease: Lease) -> items.Item:
    return items.key(META, f"lease#{lease.partition}")


def _key_of(request: dict[str, Any]) -> Key:
    """The key that a request of BatchWriteItem is about; what comes back unprocessed is told by it."""
    item = request["PutRequest"]["Item"] if "PutRequest" in request else request["DeleteRequest"]["Key"]
    return Key(item["partition"]["S"], item["sort"]["S"])
