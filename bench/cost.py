"""Calculate what a million schedules cost, from counted calls and units and the prices in prices.json.

The second table shows what a stack costs in a month without any schedule: see idle.py. The third one compares the two
capacity modes of the table: see capacity.py.

The real functions run against the services of the bench, without HTTP and without waiting, and the script sets their
clock. So all counts are the same at every run. The script does not measure the functions' time: it assumes a time per
counted call, which prices.json states. bench/results has the measured times. Storage and free tiers are left out.
"""

from __future__ import annotations

import base64
import contextlib
import importlib
import io
import json
import math
import os
import random
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "functions")]  # The functions are no package, and this file runs as a script.

from botocore.exceptions import ClientError  # noqa: E402
from samtranslator.yaml_helper import yaml_parse  # noqa: E402

from bench import capacity, idle  # noqa: E402
from bench.laboratory.payloads import BYTES, payload  # noqa: E402
from bench.laboratory.services import Services  # noqa: E402

MILLION = 1_000_000
SAMPLE, NAMED_SAMPLE = 10_000, 2_000
BATCH = 1_000
PARTITIONS = 4
NOW_S = 1_893_456_000
NEAR_S, FAR_S = 60, 100_000
FED_BEFORE_S = 300
TIMEOUT_S = 600
"""Longer than the timeout of any function, because no clock ticks while the functions run here."""

VCPU_MB = 1_769
"""Lambda gives a function with this much memory one whole vCPU, and other functions a proportional share."""

ENVIRONMENT = {
    "TABLE_NAME": "table",
    "OUTPUT_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/000000000000/output",
    "FAILURE_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/000000000000/failures",
    "DELIVERY_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/000000000000/delivery",
    "INPUT_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/000000000000/input",
    "FEED_FUNCTION": "feed",
    "PARTITION_COUNT": str(PARTITIONS),
    "REACH_SECONDS": "900",
    "WEBHOOK_HOSTS": "api.example.com",
    "AWS_REGION": "us-east-1",
}


@dataclass
class Stage:
    """The services and the clock that the functions see."""

    services: Services
    now_s: float = NOW_S


class Wire:
    """A boto3 client for the services on the stage. It has only the calls that our adapters make."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def __getattr__(self, operation: str) -> Callable[..., dict[str, Any]]:
        def call(**request: Any) -> dict[str, Any]:
            if operation == "invoke":
                self._stage.services.invoke(request["Payload"])
                return {"StatusCode": 202}
            status, answer = self._stage.services.answer(operation, json.dumps(request, default=_as_text).encode())
            if status == 200:
                decoded: dict[str, Any] = json.loads(answer, object_hook=_as_bytes)
                return decoded
            refusal: Any = json.loads(answer)
            error = {"Code": refusal["__type"].lstrip("#"), "Message": refusal["message"]}
            response: Any = {**refusal, "Error": error, "ResponseMetadata": {"HTTPStatusCode": status}}
            raise ClientError(response, operation)

        return call


class Context:
    function_name = "feed"

    def get_remaining_time_in_millis(self) -> int:
        return TIMEOUT_S * 1000


@dataclass
class Functions:
    """The handlers of the functions, and the stage that they run on."""

    stage: Stage
    schedule: Callable[[Any, Any], Any]
    trigger: Callable[[Any, Any], Any]
    feed: Callable[[Any, Any], Any]


def functions() -> Functions:
    """Import the functions once, without AWS, randomness or real time."""
    os.environ.update(ENVIRONMENT)
    runtime_module = importlib.import_module("scheduler.wiring.runtime")
    pool = importlib.import_module("scheduler.execution.worker_pool")
    stage = Stage(Services())
    staged = runtime_module.Runtime(
        clock=lambda: stage.now_s,
        sleep=lambda pause_s: None,
        randomness=random.Random(1),
        client=lambda service, connections: Wire(stage),
        pool=lambda width: pool.SerialPool(),
    )
    setattr(runtime_module, "current", lambda: staged)  # noqa: B010 - The seam; mypy knows it as a function.
    handlers = [importlib.import_module(name).handler for name in ("schedule", "trigger", "feed")]
    return Functions(stage, *handlers)


@dataclass(frozen=True)
class Way:
    name: str
    ahead_s: int
    batch: int
    data: str
    target: dict[str, str] | None = None
    named: bool = False
    """The count ends at the delivery queue. The deliver function's share is not counted here."""

    @property
    def sample(self) -> int:
        return NAMED_SAMPLE if self.named else SAMPLE


WAYS = (
    Way("near, one by one", NEAR_S, 1, "json"),
    Way(f"near, in batches of {BATCH:,}", NEAR_S, BATCH, "json"),
    Way("far, one by one", FAR_S, 1, "json"),
    Way(f"far, in batches of {BATCH:,}, random data", FAR_S, BATCH, "hex"),
    Way(f"far, in batches of {BATCH:,}, data of one kind", FAR_S, BATCH, "json"),
    Way(
        "near, for a webhook, one by one, to the delivery queue", NEAR_S, 1, "json", {"url": "https://api.example.com/"}
    ),
    Way("named, near, one by one", NEAR_S, 1, "json", named=True),
    Way(f"named, near, in batches of {BATCH:,}", NEAR_S, BATCH, "json", named=True),
    Way("named, far, one by one", FAR_S, 1, "json", named=True),
    Way(f"named, far, in batches of {BATCH:,}", FAR_S, BATCH, "json", named=True),
)


STORED = {"far, one by one": "one by one", f"far, in batches of {BATCH:,}, random data": "in bundles"}
"""The ways that the comparison of the capacity modes shows, and their names there."""


def count(way: Way, its: Functions, assumed: dict[str, float], memory_mb: dict[str, int]) -> Counter[str]:
    """Return what AWS bills for a sample of schedules from the request to the queue."""
    its.stage.services, its.stage.now_s = Services(), NOW_S
    billed: Counter[str] = Counter()

    def invoke(function: str, event: Any, schedules: int) -> None:
        calls, log = its.stage.services.counted["calls"], io.StringIO()
        with contextlib.redirect_stdout(log):
            (its.schedule if function == "ScheduleFunction" else its.feed)(event, Context())
        calls = its.stage.services.counted["calls"] - calls
        cpu_ms = calls * assumed["cpu_ms_per_aws_call"] + schedules * assumed["cpu_ms_per_schedule"]
        took_ms = cpu_ms * max(1, VCPU_MB / memory_mb[function]) + assumed["wait_ms_per_invocation"]
        billed["lambda_mb_ms"] += round(took_ms * memory_mb[function])
        billed["log_bytes"] += len(log.getvalue()) + round(assumed["lambda_log_bytes_per_invocation"])
        billed["lambda_requests"] += 1

    for start in range(0, way.sample, way.batch):
        members = range(start, start + way.batch)
        due = [_request(way, index) for index in members]
        invoke("ScheduleFunction", due if way.batch > 1 else due[0], way.batch)
    items, stored_bytes = its.stage.services.database.stored()
    billed["stored_bytes"] = stored_bytes + items * capacity.ITEM_OVERHEAD_BYTES
    if way.ahead_s == FAR_S:
        its.stage.now_s = NOW_S + way.ahead_s - FED_BEFORE_S
        for partition in range(PARTITIONS):
            invoke("FeedFunction", {"partition": str(partition)}, way.sample // PARTITIONS)
    counted = its.stage.services.counted
    if counted["messages"] != way.sample:
        raise RuntimeError(f"{way.name}: {way.sample:,} schedules, and {counted['messages']:,.0f} messages")
    billed["sqs_requests"] = round(counted["sqs_requests"])
    billed["sqs_fair_requests"] = round(counted["sqs_fair_requests"])
    billed["dynamodb_write_units"] = round(counted["write_units"])
    billed["dynamodb_read_units"] = round(counted["read_units"])
    return billed


def tick(its: Functions, assumed: dict[str, float], resources: dict[str, Any]) -> Counter[str]:
    """Return what AWS bills for one tick: the trigger and the feeds of empty partitions that follow."""
    its.stage.services, its.stage.now_s = Services(), NOW_S
    billed: Counter[str] = Counter()

    def invoke(function: str, event: Any) -> None:
        before, log = its.stage.services.counted["calls"], io.StringIO()
        with contextlib.redirect_stdout(log):
            (its.trigger if function == "TriggerFunction" else its.feed)(event, Context())
        memory_mb = resources[function]["Properties"]["MemorySize"]
        cpu_ms = (its.stage.services.counted["calls"] - before) * assumed["cpu_ms_per_aws_call"]
        took_ms = cpu_ms * max(1, VCPU_MB / memory_mb) + assumed["wait_ms_per_invocation"]
        billed["lambda_mb_ms"] += round(took_ms * memory_mb)
        billed["log_bytes"] += len(log.getvalue())
        billed["lambda_requests"] += 1

    invoke("TriggerFunction", {})
    for partition in range(PARTITIONS):
        invoke("FeedFunction", {"partition": str(partition)})
    billed["dynamodb_write_units"] = round(its.stage.services.counted["write_units"])
    billed["dynamodb_read_units"] = math.ceil(its.stage.services.counted["read_units"])
    return billed


def _request(way: Way, index: int) -> dict[str, Any]:
    name = {"name": f"order/{index:05d}/reminder"} if way.named else {}
    target = {"target": way.target} if way.target else {}
    return {"timestamp": NOW_S + way.ahead_s, "data": payload(way.data, index), **name, **target}


def dollars(billed: Counter[str], prices: dict[str, Any], sample: int) -> float:
    """Return the price of a million schedules, given the counts of a sample."""
    total: float = sum(billed[name] * price for name, price in prices["dollars_per_million"].items()) / MILLION
    total += billed["lambda_mb_ms"] / 1024 / 1000 * prices["dollars_per_lambda_gb_second_arm"]
    total += billed["log_bytes"] / 1e9 * prices["dollars_per_log_gb"]
    return total * MILLION / sample


def _as_text(value: object) -> str:
    """Write binary data as base64, like boto3."""
    if not isinstance(value, bytes | bytearray):
        raise TypeError(type(value))
    return base64.b64encode(value).decode()


def _as_bytes(value: dict[str, Any]) -> dict[str, Any]:
    return {"B": base64.b64decode(value["B"])} if list(value) == ["B"] else value


def _rounded(number: float) -> str:
    """Round to two digits, because the compressed size of a text differs slightly between builds of Python."""
    return f"{float(f'{number:.2g}'):,.0f}"


def main() -> None:
    prices = json.loads((Path(__file__).parent / "prices.json").read_text())
    template = yaml_parse((ROOT / "template.yml").read_text())
    resources = template["Resources"]
    memory_mb = {name: resources[name]["Properties"]["MemorySize"] for name in ("ScheduleFunction", "FeedFunction")}
    its = functions()
    print(f"A million schedules of {BYTES} bytes, due at one instant, from request to queue.")
    print(f"Prices of {prices['region']} as of {prices['date']}; assumed: {prices['assumed']}")
    print()
    print("| way | dollars | calls to SQS | write units | read units |")
    print("|---|---|---|---|---|")
    uses: list[tuple[str, capacity.Use]] = []
    for way in WAYS:
        billed = count(way, its, prices["assumed"], memory_mb)
        if way.name in STORED:
            uses.append((STORED[way.name], capacity.Use.of(billed, way.sample)))
        units = ("sqs_requests", "dynamodb_write_units", "dynamodb_read_units")
        numbers = [_rounded(billed[unit] * MILLION / way.sample) for unit in units]
        print(f"| {way.name} | {dollars(billed, prices, way.sample):.2f} | {' | '.join(numbers)} |")
    per_million = prices["dollars_per_million"]
    beside = per_million["eventbridge_schedules"] + per_million["sqs_requests"]
    print(f"| EventBridge Scheduler to a queue, for comparison | {beside:.2f} | 1,000,000 | | |")
    print()
    print("A month of a stack with the default parameters in which nothing is scheduled, without free tiers.")
    print()
    print("\n".join(idle.table(tick(its, prices["assumed"], resources), template, prices)))
    print()
    print("The table in a month in which far schedules come evenly, and each waits a month.")
    print()
    print("\n".join(capacity.table(uses, int(template["Parameters"]["WriteCapacityMin"]["Default"]), prices)))


if __name__ == "__main__":
    main()
