"""The table in DynamoDB: schedules by partition and moment, what was put aside, the leases and the partition memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from scheduler.answers import code, confirmed
from scheduler.bundle import Bundle
from scheduler.errors import NotConfirmed
from scheduler.leasing import Lease
from scheduler.limits import DUE_DIGITS, DYNAMODB_BATCH_WRITES_MAX
from scheduler.moving import Aside
from scheduler.outcome import Outcome
from scheduler.reading import Page
from scheduler.schedule import Key, Schedule
from scheduler.targets import unfit

Thing = TypeVar("Thing")
Item = dict[str, dict[str, Any]]

PAGE_SCHEDULES_MAX = 1_000
"""DynamoDB ends a page at 1 MB by itself; of small schedules this many share the work with the other strand."""

META = "meta"
QUARANTINE = "quarantine"


class Table:
    def __init__(self, client: Any, name: str) -> None:
        self._client, self._name = client, name

    def put(self, things: Sequence[Schedule | Bundle]) -> Outcome[Schedule | Bundle]:
        return self._write(things, [{"PutRequest": {"Item": _item(thing)}} for thing in things])

    def delete(self, keys: Sequence[Key]) -> Outcome[Key]:
        return self._write(keys, [{"DeleteRequest": {"Key": _key(*key)}} for key in keys])

    def put_aside(self, things: Sequence[Aside]) -> Outcome[Aside]:
        return self._write(things, [{"PutRequest": {"Item": _quarantined(aside)}} for aside in things])

    def write_back(self, read: Bundle, kept: Bundle) -> Outcome[Bundle]:
        """What is left of a bundle, where it is as it was read. Where it is not, somebody else has seen to it."""
        try:
            confirmed(
                self._client.put_item,
                TableName=self._name,
                Item=_item(kept),
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
                    bundles.append(_bundle(item))
                else:
                    schedules.append(_schedule(item))
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
                Key=_key(META, "partitions"),
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
            self._client.get_item, TableName=self._name, Key=_key(META, "partitions"), ConsistentRead=True
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


def _key(partition: str, sort: str) -> Item:
    return {"partition": {"S": partition}, "sort": {"S": sort}}


def _lease_key(lease: Lease) -> Item:
    return _key(META, f"lease#{lease.partition}")


def _key_of(request: dict[str, Any]) -> Key:
    """The key that a request of BatchWriteItem is about; what comes back unprocessed is told by it."""
    item = request["PutRequest"]["Item"] if "PutRequest" in request else request["DeleteRequest"]["Key"]
    return Key(item["partition"]["S"], item["sort"]["S"])


def _item(thing: Schedule | Bundle) -> Item:
    item = _key(*thing.key)
    if isinstance(thing, Bundle):
        return {**item, "bundle": {"B": thing.packed}, "members": {"N": str(thing.count)}}
    schedule = thing
    item["data"] = {"S": schedule.data}
    if schedule.target is not None:
        item["target"] = {"S": schedule.target}
    if schedule.user is not None:
        item["user"] = {"S": schedule.user}
    if schedule.expires_after_ms is not None:
        item["expires_after"] = {"N": str(schedule.expires_after_ms)}
    return item


def _bundle(item: Item) -> Bundle:
    return Bundle(_key_in_time(item), item["bundle"]["B"], int(item["members"]["N"]))


def _key_in_time(item: Item) -> Key:
    """KeyError or ValueError where the item is none: it is then put aside rather than stopping the feed for ever."""
    key = Key(item["partition"]["S"], item["sort"]["S"])
    digits, mark, _ = key.sort.partition("#")
    if not (mark and len(digits) == DUE_DIGITS and digits.isascii() and digits.isdigit()):
        raise ValueError("its sort key is not a moment")
    return key


def _schedule(item: Item) -> Schedule:
    key, data = _key_in_time(item), item["data"]["S"]
    target = item["target"]["S"] if "target" in item else None
    fault = unfit(data, target)
    if fault:
        raise ValueError(fault)
    return Schedule(
        key,
        key.due_ms,
        data,
        target,
        item["user"]["S"] if "user" in item else None,
        int(item["expires_after"]["N"]) if "expires_after" in item else None,
    )


def _quarantined(aside: Aside) -> Item:
    """Under its moment, so that it sorts by it, with where it was and why it is here. A member of a bundle becomes a
    schedule of its own, told from its fellows by its index."""
    content = aside.content
    sort = content.own_sort if isinstance(content, Schedule) else aside.key.sort
    return {
        **(dict(content) if isinstance(content, dict) else _item(content)),
        **_key(QUARANTINE, sort),
        "origin": {"S": aside.key.partition},
        "reason": {"S": aside.reason},
    }
