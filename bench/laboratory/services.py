"""Answer for DynamoDB, SQS and Lambda, as far as the bench calls them, and count what AWS would bill.

Requests and answers are the JSON that boto3 sends and reads. The services keep items as the JSON of a query's answer,
so that a page only has to be joined. The less CPU this takes, the more is left for the measured client. The services
refuse every request that they do not know.
"""

from __future__ import annotations

import json
import re
import time
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from bench.laboratory.expressions import Expression

# Amazon DynamoDB, "quotas" and "read and write capacity".
WRITE_UNIT_BYTES = 1_024
READ_UNIT_BYTES = 4_096
PAGE_BYTES_MAX = 1_048_576
BATCH_WRITES_MAX = 25
BATCH_READS_MAX = 100
BATCH_READ_BYTES_MAX = 16_777_216
ITEM_BYTES_MAX = 409_600
WRITE_UNITS_PER_S = 1_000
"""The write capacity of one partition key."""

# Amazon SQS, "message quotas", and its price list.
BATCH_MESSAGES_MAX = 10
BATCH_BYTES_MAX = 1_048_576
DELAY_S_MAX = 900
REQUEST_BYTES = 65_536
"""AWS bills every started part of this size as a request."""

ACCOUNTING_S = 1.0
"""The services count units by the second: a second's unused units lapse."""
BURST_S = 0.0
"""Unused seconds that a partition saves up. DynamoDB saves some and promises none, so the bench relies on none."""

Item = dict[str, dict[str, Any]]
Request = dict[str, Any]
Counted = defaultdict[str, float]
Stored = tuple[bytes, int]
"""An item as the JSON of a query's answer, and its size as DynamoDB counts it."""

_compact = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


class Refusal(Exception):
    """AWS refuses a request: its error code, and the other fields of the answer."""

    def __init__(self, code: str, message: str, **more: Any) -> None:
        super().__init__(code)
        self.code, self.message, self.more = code, message, more


@dataclass(slots=True)
class Bucket:
    """The write units of one partition, counted from its first write.

    It begins empty, so that no run gets more units than its time is worth.
    """

    filled_s: float | None = None
    units: float = WRITE_UNITS_PER_S * BURST_S

    def take(self, units: int, now_s: float) -> bool:
        depth = WRITE_UNITS_PER_S * (ACCOUNTING_S + BURST_S)
        if self.filled_s is None:
            self.filled_s = now_s
        self.units = min(depth, self.units + (now_s - self.filled_s) * WRITE_UNITS_PER_S)
        self.filled_s = now_s
        if self.units < units:
            return False
        self.units -= units
        return True


@dataclass(slots=True)
class Partition:
    """Items by sort key.

    Deleted keys stay in the list until they are half of it. A query sorts new keys in.
    """

    bucket: Bucket = field(default_factory=Bucket)
    items: dict[str, Stored] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)
    in_order: bool = True

    def put(self, sort: str, stored: Stored) -> None:
        if sort in self.gone:
            self.gone.discard(sort)
        elif sort not in self.items:
            self.in_order = self.in_order and (not self.keys or self.keys[-1] < sort)
            self.keys.append(sort)
        self.items[sort] = stored

    def delete(self, sort: str) -> None:
        if self.items.pop(sort, None) is not None:
            self.gone.add(sort)

    def between(self, low: str, high: str, after: str | None) -> Iterator[str]:
        if len(self.gone) * 2 > len(self.keys):
            self.keys, self.gone, self.in_order = sorted(self.items), set(), True
        if not self.in_order:
            self.keys.sort()
            self.in_order = True
        start = bisect_left(self.keys, low) if after is None else bisect_right(self.keys, after)
        for index in range(start, bisect_right(self.keys, high)):
            if self.keys[index] not in self.gone:
                yield self.keys[index]


class Database:
    """The one table, with `partition` and `sort` as its key."""

    def __init__(self, counted: Counted, throttled: bool, clock: Callable[[], float]) -> None:
        self._counted, self._throttled, self._clock = counted, throttled, clock
        self.partitions: dict[str, Partition] = {}

    def preload(self, item: Item) -> None:
        """Store an item without counting a call."""
        self._partition(item["partition"]["S"]).put(item["sort"]["S"], _stored(item))

    def throttle(self, throttled: bool) -> None:
        self._throttled = throttled

    def stored(self) -> tuple[int, int]:
        """Return the number of far schedules, bundles and timers, and their size as DynamoDB counts it."""
        sizes = [
            size
            for name, partition in self.partitions.items()
            if name.isdigit()
            for _, size in partition.items.values()
        ]
        return len(sizes), sum(sizes)

    def waiting(self, partition: str, before: str) -> int:
        """Return how many items have a sort key below this one."""
        return sum(sort < before for sort in self._partition(partition).items)

    def batch_write_item(self, request: Request) -> str:
        ((table, writes),) = request["RequestItems"].items()
        keys = [_key(_written(write)) for write in writes]
        if not 1 <= len(writes) <= BATCH_WRITES_MAX or len(set(keys)) != len(keys):
            raise Refusal("ValidationException", "1 to 25 writes with different keys are wanted")
        left = [write for write, key in zip(writes, keys, strict=True) if not self._write(write, key)]
        self._counted["unprocessed"] += len(left)
        if len(left) == len(writes):
            raise self._exceeded()
        return '{"UnprocessedItems":' + (_compact({table: left}) if left else "{}") + "}"

    def put_item(self, request: Request) -> str:
        key = _key(request["Item"])
        self._check(request, key)
        old = self._item(key) if request.get("ReturnValues") == "ALL_OLD" else None
        if not self._write({"PutRequest": {"Item": request["Item"]}}, key):
            raise self._exceeded()
        return _compact({"Attributes": old}) if old is not None else "{}"

    def delete_item(self, request: Request) -> str:
        key = _key(request["Key"])
        self._check(request, key)
        if not self._write({"DeleteRequest": {"Key": request["Key"]}}, key):
            raise self._exceeded()
        return "{}"

    def update_item(self, request: Request) -> str:
        key = _key(request["Key"])
        self._check(request, key)
        item = _expression(request, "UpdateExpression").update(self._item(key) or request["Key"])
        if not self._write({"PutRequest": {"Item": item}}, key):
            raise self._exceeded()
        return "{}"

    def get_item(self, request: Request) -> str:
        stored = self._partition(request["Key"]["partition"]["S"]).items.get(request["Key"]["sort"]["S"])
        self._read(stored[1] if stored else 0, request)
        return '{"Item":' + stored[0].decode() + "}" if stored else "{}"

    def batch_get_item(self, request: Request) -> str:
        """Answer a batch read. DynamoDB bills every item by itself, in full, and every missing item as well."""
        ((table, wanted),) = request["RequestItems"].items()
        keys = [_key(key) for key in wanted["Keys"]]
        if not 1 <= len(keys) <= BATCH_READS_MAX or len(set(keys)) != len(keys):
            raise Refusal("ValidationException", "1 to 100 different keys are wanted")
        found: list[bytes] = []
        found_bytes, done = 0, 0
        for partition, sort in keys:
            stored, size_bytes = self._partition(partition).items.get(sort, (b"", 0))
            if found_bytes + size_bytes > BATCH_READ_BYTES_MAX:
                break
            self._read(size_bytes, wanted)
            found_bytes, done = found_bytes + size_bytes, done + 1
            if stored:
                found.append(stored)
        self._counted["items_read"] += len(found)
        items = b",".join(_shown(found, wanted)).decode()
        left = {table: {**wanted, "Keys": wanted["Keys"][done:]}} if done < len(keys) else {}
        return f'{{"Responses":{{{_compact(table)}:[{items}]}},"UnprocessedKeys":{_compact(left)}}}'

    def query(self, request: Request) -> bytes:
        names, values = request["ExpressionAttributeNames"], request["ExpressionAttributeValues"]
        partition, low, high = _range(request["KeyConditionExpression"], names, values)
        if request.keys() & {"ScanIndexForward", "IndexName", "Select"}:
            raise Refusal("ValidationException", "the stand-in queries the table, forwards")
        after = request.get("ExclusiveStartKey")
        limit = request.get("Limit", PAGE_BYTES_MAX)
        found: list[bytes] = []
        found_bytes, last = 0, ""
        shelf = self._partition(partition)
        for sort in shelf.between(low, high, after["sort"]["S"] if after else None):
            stored, size_bytes = shelf.items[sort]
            if len(found) == limit or (found and found_bytes + size_bytes > PAGE_BYTES_MAX):
                break
            found.append(stored)
            found_bytes, last = found_bytes + size_bytes, sort
        else:  # DynamoDB stops at the limit and does not check whether more items follow.
            last = last if len(found) == limit else ""
        self._read(found_bytes, request)
        self._counted["items_read"] += len(found)
        more = f',"LastEvaluatedKey":{_compact(_as_key(partition, last))}' if last else ""
        shown = _shown(found, request)
        return b'{"Count":%d,"Items":[%s]%s,"ScannedCount":%d}' % (
            len(shown),
            b",".join(shown),
            more.encode(),
            len(found),
        )

    # ------------------------------------------------------------------------------------------------------- inside

    def _partition(self, name: str) -> Partition:
        if name not in self.partitions:
            self.partitions[name] = Partition()
        return self.partitions[name]

    def _write(self, write: Request, key: tuple[str, str]) -> bool:
        """Return whether the write went through. AWS bills the larger of the old and the new item."""
        partition, sort = key
        shelf = self._partition(partition)
        old = shelf.items.get(sort)
        new = _stored(write["PutRequest"]["Item"]) if "PutRequest" in write else None
        if new is not None and new[1] > ITEM_BYTES_MAX:
            raise Refusal("ValidationException", "Item size has exceeded the maximum allowed size")
        units = _started(max(old[1] if old else 0, new[1] if new else 0), WRITE_UNIT_BYTES)
        if self._throttled and not shelf.bucket.take(units, self._clock()):
            return False
        self._counted["write_units"] += units
        if new is None:
            self._counted["items_deleted"] += 1
            shelf.delete(sort)
        else:
            self._counted["items_put"] += 1
            shelf.put(sort, new)
        return True

    def _read(self, size_bytes: int, request: Request) -> None:
        units = _started(size_bytes, READ_UNIT_BYTES)
        self._counted["read_units"] += units if request.get("ConsistentRead") else units / 2

    def _item(self, key: tuple[str, str]) -> Item | None:
        stored = self._partition(key[0]).items.get(key[1])
        item: Item | None = json.loads(stored[0]) if stored else None
        return item

    def _check(self, request: Request, key: tuple[str, str]) -> None:
        if "ConditionExpression" not in request:
            return
        item = self._item(key)
        if _expression(request, "ConditionExpression").holds(item or {}):
            return
        self._counted["write_units"] += 1  # DynamoDB bills a failed condition as a write.
        shown = request.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD" and item is not None
        raise Refusal(
            "ConditionalCheckFailedException", "The conditional request failed", **({"Item": item} if shown else {})
        )

    def _exceeded(self) -> Refusal:
        self._counted["throttled_calls"] += 1
        return Refusal(
            "ProvisionedThroughputExceededException",
            "Throughput exceeds the current capacity of a key range of the table.",
        )


class Queue:
    """Any queue. It counts messages and keeps only their ids.

    A message without attributes waits until the bench takes it, because the functions write to the delivery queue that
    way.
    """

    def __init__(self, counted: Counted) -> None:
        self._counted = counted
        self.ids: set[str] = set()
        self.bare: list[str] = []

    def send_message(self, request: Request) -> str:
        self._accept([request])
        return "{" + _DIGESTS + "}"

    def send_message_batch(self, request: Request) -> str:
        entries = request["Entries"]
        if not 1 <= len(entries) <= BATCH_MESSAGES_MAX:
            raise Refusal("AWS.SimpleQueueService.TooManyEntriesInBatchRequest", "1 to 10 entries are wanted")
        self._accept(entries)
        return '{"Successful":[' + ",".join(f'{{"Id":"{entry["Id"]}",{_DIGESTS}}}' for entry in entries) + "]}"

    def _accept(self, entries: list[Request]) -> None:
        sent_bytes = sum(_message_bytes(entry) for entry in entries)
        if sent_bytes > BATCH_BYTES_MAX:
            raise Refusal("AWS.SimpleQueueService.BatchRequestTooLong", "more than 1,048,576 bytes")
        for entry in entries:
            if not 0 <= entry.get("DelaySeconds", 0) <= DELAY_S_MAX:
                raise Refusal("InvalidParameterValue", "DelaySeconds is out of range")
            if "MessageAttributes" in entry:
                self.ids.add(entry["MessageAttributes"]["id"]["StringValue"])
            else:
                self.bare.append(entry["MessageBody"])
        self._counted["messages"] += len(entries)
        requests = _started(sent_bytes, REQUEST_BYTES)
        self._counted["sqs_requests"] += requests
        if any("MessageGroupId" in entry for entry in entries):
            self._counted["sqs_fair_requests"] += requests


@dataclass
class Services:
    """All services. `answer` is what their endpoint does with a request, without the delay."""

    throttled: bool = False
    clock: Callable[[], float] = time.monotonic
    counted: Counted = field(default_factory=lambda: defaultdict(float))
    invoked: list[Request] = field(default_factory=list)
    """Events of asynchronous invocations. They wait until a trial takes them."""

    def __post_init__(self) -> None:
        self.database = Database(self.counted, self.throttled, self.clock)
        self.queue = Queue(self.counted)
        operations: list[Callable[[Request], str | bytes]] = [
            self.database.batch_write_item,
            self.database.put_item,
            self.database.delete_item,
            self.database.update_item,
            self.database.get_item,
            self.database.batch_get_item,
            self.database.query,
            self.queue.send_message,
            self.queue.send_message_batch,
        ]
        self._operations = {operation.__name__: operation for operation in operations}

    def answer(self, operation: str, body: bytes) -> tuple[int, bytes]:
        """Return status and body. The operation has its name in boto3."""
        counted = self.counted
        counted["calls"] += 1
        counted[f"calls_{operation}"] += 1
        counted["bytes"] += len(body)
        try:
            answer = self._operations[operation](json.loads(body))
        except Refusal as refusal:
            return 400, _compact({"__type": f"#{refusal.code}", "message": refusal.message, **refusal.more}).encode()
        except (KeyError, ValueError) as fault:  # Unknown here, or refused by DynamoDB as well.
            said = f"{type(fault).__name__}: {fault}"
            return 400, _compact({"__type": "#ValidationException", "message": said}).encode()
        return 200, answer if isinstance(answer, bytes) else answer.encode()

    def invoke(self, body: bytes) -> None:
        self.counted["calls"] += 1
        self.counted["calls_invoke"] += 1
        self.invoked.append(json.loads(body))

    def taken(self, partitions: list[str]) -> list[Request]:
        """Return the orders to feed these partitions that came in since the last call."""
        mine = [event for event in self.invoked if event["partition"] in partitions]
        self.invoked = [event for event in self.invoked if event not in mine]
        return mine

    def figures(self) -> dict[str, float]:
        """Return all counters. `ids` counts the different message ids."""
        return {**self.counted, "ids": len(self.queue.ids)}


_DIGESTS = ",".join(
    [
        f'"MD5OfMessageAttributes":"{"0" * 32}"',
        f'"MD5OfMessageBody":"{"0" * 32}"',
        '"MessageId":"00000000-0000-0000-0000-000000000000"',
    ]
)
"""Digests as long as real ones. No client of the bench checks them."""
_BETWEEN = re.compile(r"\s*(#\w+) = (:\w+) AND (#\w+) BETWEEN (:\w+) AND (:\w+)\s*")


def _range(expression: str, names: dict[str, str], values: Item) -> tuple[str, str, str]:
    found = _BETWEEN.fullmatch(expression)
    if found is None or (names[found[1]], names[found[3]]) != ("partition", "sort"):
        raise Refusal("ValidationException", "the stand-in knows: #partition = :p AND #sort BETWEEN :from AND :to")
    return values[found[2]]["S"], values[found[4]]["S"], values[found[5]]["S"]


def _expression(request: Request, parameter: str) -> Expression:
    names, values = request.get("ExpressionAttributeNames", {}), request.get("ExpressionAttributeValues", {})
    return Expression(request[parameter], names, values)


def _shown(found: list[bytes], request: Request) -> list[bytes]:
    """Return the parts of the read items that the request asks for. DynamoDB bills the items in full."""
    if not request.keys() & {"FilterExpression", "ProjectionExpression"}:
        return found
    items: list[Item] = [json.loads(stored) for stored in found]
    if "FilterExpression" in request:
        wanted = _expression(request, "FilterExpression")
        items = [item for item in items if wanted.holds(item)]
    if "ProjectionExpression" in request:
        names = request["ExpressionAttributeNames"]
        kept = [names[word.strip()] for word in request["ProjectionExpression"].split(",")]
        items = [{name: item[name] for name in kept if name in item} for item in items]
    return [_compact(item).encode() for item in items]


def _written(write: Request) -> Item:
    item: Item = write["PutRequest"]["Item"] if "PutRequest" in write else write["DeleteRequest"]["Key"]
    return item


def _key(item: Item) -> tuple[str, str]:
    return item["partition"]["S"], item["sort"]["S"]


def _as_key(partition: str, sort: str) -> Item:
    return {"partition": {"S": partition}, "sort": {"S": sort}}


def _stored(item: Item) -> Stored:
    return _compact(item).encode(), sum(len(name) + _value_bytes(value) for name, value in item.items())


def _value_bytes(value: dict[str, Any]) -> int:
    """Return the size by DynamoDB's "item sizes and formats". The scheduler stores no maps."""
    ((kind, content),) = value.items()
    if kind == "L":
        return 3 + sum(1 + _value_bytes(each) for each in content)
    if kind == "S":
        return len(content) if content.isascii() else len(content.encode())
    if kind == "N":
        return len(content.lstrip("-").replace(".", "").strip("0")) // 2 + 2
    if kind == "B":  # Binary data travels as base64.
        return len(content) // 4 * 3 - (2 if content.endswith("==") else int(content.endswith("=")))
    if kind in ("BOOL", "NULL"):
        return 1
    raise Refusal("ValidationException", f"the stand-in knows no {kind}")


def _message_bytes(entry: Request) -> int:
    attributes_bytes = sum(
        len(name) + len(value["DataType"]) + len(value["StringValue"])
        for name, value in entry.get("MessageAttributes", {}).items()
    )
    body = entry["MessageBody"]
    return attributes_bytes + (len(body) if body.isascii() else len(body.encode()))


def _started(size_bytes: int, unit_bytes: int) -> int:
    return max(1, -(-size_bytes // unit_bytes))
