"""The reference for the measurements: plain boto3 that makes the same calls, with threads.

It is a limit and not an example to copy. It reads pages, but it checks no other answer: it sends an item again that
DynamoDB left unprocessed, and it loses a message that SQS refused.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
from botocore.config import Config

TABLE = "table"
WIDTH = 16
SENT_AT_ONCE = 10
WRITTEN_AT_ONCE = 25
MOVED_AT_ONCE = 50
PASSES_MAX = 1_000

Item = dict[str, Any]


class Plain:
    """Clients as anyone would make them, but with as many connections as there are threads."""

    def __init__(self, queue_url: str, clock: Callable[[], float] = time.time) -> None:
        config = Config(max_pool_connections=WIDTH)
        make: Any = boto3.client  # The type stubs want each service spelt out.
        self._dynamodb, self._sqs = make("dynamodb", config=config), make("sqs", config=config)
        self._queue_url, self._clock = queue_url, clock
        self._threads = ThreadPoolExecutor(WIDTH)

    # --------------------------------------------------------------------------------------------------------- feed

    def feed(self, partition: str, reach_s: int) -> None:
        """Feed until nothing is left. The next pass queries and sends again whatever DynamoDB did not delete."""
        for _ in range(PASSES_MAX):
            if not self._pass(partition, reach_s):
                return
        raise RuntimeError(f"partition {partition} is not empty after {PASSES_MAX} passes")

    def _pass(self, partition: str, reach_s: int) -> int:
        horizon = f"{int((self._clock() + reach_s) * 1000):015d}"
        query = {
            "TableName": TABLE,
            "KeyConditionExpression": "#partition = :partition AND #sort BETWEEN :from AND :to",
            "ExpressionAttributeNames": {"#partition": "partition", "#sort": "sort"},
            "ExpressionAttributeValues": {
                ":partition": {"S": partition},
                ":from": {"S": f"{0:015d}"},
                ":to": {"S": horizon},
            },
            "ConsistentRead": True,
        }
        moves = []
        more = True
        while more:
            page = self._dynamodb.query(**query)
            items = page["Items"]
            moves += [self._threads.submit(self._move, some) for some in _cut(items, MOVED_AT_ONCE)]
            more = "LastEvaluatedKey" in page
            query["ExclusiveStartKey"] = page.get("LastEvaluatedKey")
        for move in moves:
            move.result()
        return len(moves)

    def _move(self, items: list[Item]) -> None:
        for some in _cut(items, SENT_AT_ONCE):
            self._send(some)
        for some in _cut(items, WRITTEN_AT_ONCE):
            deletes = [
                {"DeleteRequest": {"Key": {"partition": item["partition"], "sort": item["sort"]}}} for item in some
            ]
            self._dynamodb.batch_write_item(RequestItems={TABLE: deletes})

    def _send(self, items: list[Item]) -> None:
        entries = [{"Id": str(index), **self._message(item)} for index, item in enumerate(items)]
        self._sqs.send_message_batch(QueueUrl=self._queue_url, Entries=entries)

    def _message(self, item: Item) -> dict[str, Any]:
        sort = item["sort"]["S"]
        due_s = int(sort[:15]) / 1000
        return {
            "MessageBody": item["data"]["S"],
            "DelaySeconds": max(0, int(due_s - self._clock() + 1)),
            "MessageAttributes": {
                "id": {"DataType": "String", "StringValue": f"{item['partition']['S']}-{sort}"},
                "due": {"DataType": "Number", "StringValue": f"{due_s:.3f}"},
            },
        }

    # ----------------------------------------------------------------------------------------------------- schedule

    def schedule_far(self, timestamp: int, data: str) -> str:
        item = self._item(timestamp, data)
        self._dynamodb.put_item(TableName=TABLE, Item=item)
        return str(item["sort"]["S"])

    def schedule_near(self, timestamp: int, data: str) -> str:
        item = self._item(timestamp, data)
        self._sqs.send_message(QueueUrl=self._queue_url, **self._message(item))
        return str(item["sort"]["S"])

    def schedule_all_far(self, requests: list[dict[str, Any]]) -> None:
        items = [self._item(request["timestamp"], request["data"]) for request in requests]
        list(self._threads.map(self._put, _cut(items, WRITTEN_AT_ONCE)))

    def schedule_all_near(self, requests: list[dict[str, Any]]) -> None:
        items = [self._item(request["timestamp"], request["data"]) for request in requests]
        list(self._threads.map(self._send, _cut(items, SENT_AT_ONCE)))

    def _put(self, items: list[Item]) -> None:
        self._dynamodb.batch_write_item(RequestItems={TABLE: [{"PutRequest": {"Item": item}} for item in items]})

    def _item(self, timestamp: int, data: str) -> Item:
        sort = f"{timestamp * 1000:015d}#{random.getrandbits(64):016x}"
        return {"partition": {"S": "0"}, "sort": {"S": sort}, "data": {"S": data}}


def _cut(items: list[Item], size: int) -> list[list[Item]]:
    return [items[start : start + size] for start in range(0, len(items), size)]
