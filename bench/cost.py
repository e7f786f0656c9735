"""What a million schedules cost: calls and units are counted while the real code runs, prices come from prices.json.

The services are stood in for by counters that answer at once, so the time of the functions is assumed rather than
measured; prices.json says how much.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import random
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "functions"))

from samtranslator.yaml_helper import yaml_parse  # noqa: E402 - The functions are no package of this environment.

from scheduler import feeding, partitions, request, scheduling  # noqa: E402
from scheduler.crew import Alone  # noqa: E402
from scheduler.feeding import Order  # noqa: E402
from scheduler.patience import Patience  # noqa: E402
from scheduler.queues import Queues  # noqa: E402
from scheduler.table import Table  # noqa: E402

MILLION = 1_000_000
SAMPLE = 5_000
BATCH = 1_000
DATA = "x" * 100
NOW_S = 1_893_456_000

WRITE_UNIT_BYTES = 1_024
READ_UNIT_BYTES = 4_096
SQS_REQUEST_BYTES = 65_536

Item = dict[str, dict[str, Any]]


@dataclass
class Services:
    """DynamoDB and SQS as far as our adapters call them, counting what AWS would bill."""

    billed: Counter[str] = field(default_factory=Counter)
    items: dict[tuple[str, str], Item] = field(default_factory=dict)

    def batch_write_item(self, RequestItems: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:  # noqa: N803 - boto3's.
        (requests,) = RequestItems.values()
        for each in requests:
            if "PutRequest" in each:
                item = each["PutRequest"]["Item"]
                self.items[_key(item)] = item
            else:
                item = self.items.pop(_key(each["DeleteRequest"]["Key"]))
            self.billed["dynamodb_write_units"] += _units(_item_bytes(item), WRITE_UNIT_BYTES)
        return {}

    def query(self, ExpressionAttributeValues: Item, Limit: int, **_: Any) -> dict[str, Any]:  # noqa: N803 - boto3's.
        values = {name: value["S"] for name, value in ExpressionAttributeValues.items()}
        keys = sorted(
            key for key in self.items if key[0] == values[":partition"] and values[":from"] <= key[1] <= values[":to"]
        )
        found = [self.items[key] for key in keys[:Limit]]
        self.billed["dynamodb_read_units"] += _units(sum(map(_item_bytes, found)), READ_UNIT_BYTES)
        return {"Items": found} | ({"LastEvaluatedKey": found[-1]} if len(keys) > Limit else {})

    def update_item(self, **_: Any) -> dict[str, Any]:
        self.billed["dynamodb_write_units"] += 1
        return {}

    delete_item = update_item

    def send_message_batch(self, Entries: list[dict[str, Any]], **_: Any) -> dict[str, Any]:  # noqa: N803 - boto3's.
        sent_bytes = sum(len(entry["MessageBody"]) + len(str(entry["MessageAttributes"])) for entry in Entries)
        self.billed["sqs_requests"] += _units(sent_bytes, SQS_REQUEST_BYTES)
        return {"Successful": [{"Id": entry["Id"]} for entry in Entries]}


def _key(item: Item) -> tuple[str, str]:
    return item["partition"]["S"], item["sort"]["S"]


def _item_bytes(item: Item) -> int:
    return sum(len(name) + len(str(*value.values())) for name, value in item.items())


def _units(size_bytes: int, unit_bytes: int) -> int:
    return max(1, math.ceil(size_bytes / unit_bytes))


def count(ahead_s: int, batch: int, assumed: dict[str, float], memory_gb: dict[str, float]) -> Counter[str]:
    """What AWS bills for SAMPLE schedules of 100 bytes from the request to the queue."""
    services = Services()
    table, queues = Table(services, "table"), Queues(services, "https://sqs/1/output")
    desk = scheduling.Desk(
        table, partitions.Memory(table), queues, Alone(), random.Random(1), request.Rules(), 4, 900_000
    )
    due = {"timestamp": NOW_S + ahead_s, "data": DATA}
    for _ in range(SAMPLE // batch):
        scheduling.accept([due] * batch if batch > 1 else due, desk, _patience(NOW_S))
        services.billed["lambda_requests"] += 1
        one_ms = assumed["milliseconds_of_one_schedule_call"]
        call_ms = one_ms if batch == 1 else assumed["milliseconds_per_1000_in_a_batch"] * batch / 1000
        services.billed["lambda_gb_ms"] += round(call_ms * memory_gb["ScheduleFunction"] * 1000)
    line = feeding.Line(table, queues, Alone(), 900_000, lambda event, patience: None)
    for partition in range(4) if services.items else ():
        tally = feeding.feed(Order(str(partition)), line, _patience(NOW_S + ahead_s - 300), str(partition))
        services.billed["lambda_requests"] += 1
        fed_ms = assumed["milliseconds_per_1000_fed"] * tally.sent / 1000
        services.billed["lambda_gb_ms"] += round(fed_ms * memory_gb["FeedFunction"] * 1000)
    return services.billed


def _patience(now_s: float) -> Patience:
    return Patience(lambda: now_s, lambda pause_s: None, lambda: 0.5, now_s + 600)


def dollars(billed: Counter[str], prices: dict[str, Any]) -> float:
    """For a million of what was counted for SAMPLE."""
    total = sum(billed[name] * price for name, price in prices["dollars_per_million"].items()) / MILLION
    total += billed["lambda_gb_ms"] / 1e6 * prices["dollars_per_lambda_gb_second_arm"]
    return total * MILLION / SAMPLE


def main() -> None:
    prices = json.loads((Path(__file__).parent / "prices.json").read_text())
    resources = yaml_parse((ROOT / "template.yml").read_text())["Resources"]
    memory_gb = {
        name: resources[name]["Properties"]["MemorySize"] / 1024 for name in ("ScheduleFunction", "FeedFunction")
    }
    print(
        f"A million schedules of {len(DATA)} bytes, from request to queue; {prices['region']}, prices of {prices['date']}."
    )
    print(f"Assumed time of the functions: {prices['assumed']}")
    print()
    print("| way | dollars | calls to SQS | write units | read units |")
    print("|---|---|---|---|---|")
    scale = MILLION // SAMPLE
    for name, ahead_s, batch in [
        ("near, one by one", 60, 1),
        (f"near, in batches of {BATCH:,}", 60, BATCH),
        ("far, one by one", 5000, 1),
        (f"far, in batches of {BATCH:,}", 5000, BATCH),
    ]:
        with contextlib.redirect_stdout(io.StringIO()):  # The line that the code logs for each outcome.
            billed = count(ahead_s, batch, prices["assumed"], memory_gb)
        numbers = [billed[unit] * scale for unit in ("sqs_requests", "dynamodb_write_units", "dynamodb_read_units")]
        print(f"| {name} | {dollars(billed, prices):.2f} | " + " | ".join(f"{number:,}" for number in numbers) + " |")
    per_million = prices["dollars_per_million"]
    beside = per_million["eventbridge_schedules"] + per_million["sqs_requests"]
    print(f"| EventBridge Scheduler to a queue, for comparison | {beside:.2f} | 1,000,000 | | |")


if __name__ == "__main__":
    main()
