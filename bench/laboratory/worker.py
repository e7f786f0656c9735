"""Run one trial in the measured process and write its cost.

The command is `python -m bench.laboratory.worker TRIAL FUNCTIONS OUTCOME`. The process has the environment that Lambda
would set, and the deployed functions on its path. It asks the stand-in for nothing while a stopwatch runs. It prints
what the functions log.
"""

from __future__ import annotations

import base64
import importlib
import json
import os
import resource
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.laboratory.api_trials import post
from bench.laboratory.client_trials import client_import, client_loop, client_stream
from bench.laboratory.context import Context
from bench.laboratory.metrics_trials import feed_with_metrics, schedule_with_metrics

REACH_S = 900
FEED_TIMEOUT_S = 20
SCHEDULE_TIMEOUT_S = 30
MANAGE_TIMEOUT_S = 30
DELIVER_TIMEOUT_S = 50
DATA_BYTES_MAX = 262_144
INVOCATIONS_MAX = 300
"""Invocations per trial. The trial fails if a feed needs more, instead of waiting forever."""
WARM_CALLS = 30
PAGES_MAX = 1_000
ITEMS_LAID = 2_000
"""Items in one request to the stand-in."""
LINE_UP_S_MAX = 60

Trial = dict[str, Any]
Measurement = dict[str, float]


class Stopwatch:
    """CPU and wall seconds of the calls it times."""

    def __init__(self) -> None:
        self.cpu_s = self.wall_s = 0.0

    def __call__(self, work: Callable[..., Any], *arguments: Any) -> Any:
        cpu_s, wall_s = time.process_time(), time.perf_counter()
        try:
            return work(*arguments)
        finally:
            self.cpu_s += time.process_time() - cpu_s
            self.wall_s += time.perf_counter() - wall_s


def control(order: str, **body: Any) -> Any:
    """Send the stand-in an order that AWS does not offer."""
    url = f"{os.environ['AWS_ENDPOINT_URL']}/_standin/{order}"
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode()), timeout=120) as answer:
        return json.load(answer)


def handler_of(function: str, ahead_s: float) -> Callable[[Any, Any], Any]:
    """Return the real handler. `ahead_s` moves only its clock."""
    if ahead_s:
        runtime_module = importlib.import_module("scheduler.wiring.runtime")
        moved = runtime_module.Runtime(clock=lambda: time.time() + ahead_s)
        setattr(runtime_module, "current", lambda: moved)  # noqa: B010 - The seam; mypy knows it as a function.
    handler: Callable[[Any, Any], Any] = importlib.import_module(function).handler
    return handler


def feed(trial: Trial) -> Measurement:
    """Feed the partitions until nothing is left, with all continuations, in one warm environment.

    Items that a whole tick leaves behind would wait for the next tick. The trial starts that tick at once and counts
    it.
    """
    ahead_s = trial["ahead_s"]
    work = _plain_feed(ahead_s) if trial["who"] == "reference" else _our_feed(ahead_s)
    _line_up(trial["side_by_side"])
    watch, invocations, failed, ticks = Stopwatch(), 0, 0, 0
    horizon_s = time.time() + ahead_s + REACH_S
    orders: list[dict[str, Any]] = []
    while orders or control("waiting", partitions=trial["partitions"], before_s=horizon_s):
        if not orders:
            ticks += 1
            until_s = time.time() + ahead_s + 600
            orders = [{"partition": partition, "until": until_s} for partition in trial["partitions"]]
        order = orders.pop(0)
        invocations += 1
        if invocations > INVOCATIONS_MAX:
            raise RuntimeError(f"not at an end after {INVOCATIONS_MAX} invocations")
        try:
            watch(work, order)
        except Exception as failure:  # noqa: BLE001 - Lambda would retry after any error.
            print(f"{type(failure).__name__}: {failure}", file=sys.stderr)
            failed += 1
            orders.append(order)
        orders += control("invoked", partitions=trial["partitions"])
    outcome = {"invocations": invocations, "failed": failed, "ticks": ticks}
    return {"cpu_s": watch.cpu_s, "wall_s": watch.wall_s, **outcome}


def _line_up(workers: int) -> None:
    """Wait until all parallel workers have started, because a start takes longer than many a feed."""
    there = control("ready", more=1)
    ends_s = time.monotonic() + LINE_UP_S_MAX
    while there < workers and time.monotonic() < ends_s:
        time.sleep(0.05)
        there = control("ready", more=0)


def _our_feed(ahead_s: float) -> Callable[[Any], Any]:
    handler = handler_of("feed", ahead_s)
    return lambda order: handler(order, Context(FEED_TIMEOUT_S))


def _plain_feed(ahead_s: float) -> Callable[[Any], Any]:
    plain = _plain(ahead_s)
    return lambda order: plain.feed(order["partition"], REACH_S)


def _plain(ahead_s: float = 0) -> Any:
    from bench.laboratory.reference import Plain  # noqa: PLC0415 - A trial of ours must not import it.

    return Plain(os.environ["OUTPUT_QUEUE_URL"], lambda: time.time() + ahead_s)


def schedule_singly(trial: Trial) -> Measurement:
    """Time our function and the plain call in turns, in one warm process, so that both meet the same noise."""
    handler, plain = handler_of("schedule", 0), _plain()
    far = trial["distance"] == "far"
    call = plain.schedule_far if far else plain.schedule_near
    ours, reference = Stopwatch(), Stopwatch()
    for index in range(trial["count"] + WARM_CALLS):
        if index == WARM_CALLS:
            ours, reference = Stopwatch(), Stopwatch()
        timestamp = int(time.time()) + (100_000 if far else 100)
        request = {"timestamp": timestamp, "data": f"{index:0100d}"}
        ours(handler, request, Context(SCHEDULE_TIMEOUT_S))
        reference(call, timestamp, request["data"])
    return {"ours_cpu_s": ours.cpu_s, "reference_cpu_s": reference.cpu_s}


def schedule_batches(trial: Trial) -> Measurement:
    """Time our function and the plain call in turns, with whole batches."""
    handler, plain = handler_of("schedule", 0), _plain()
    far = trial["distance"] == "far"
    call = plain.schedule_all_far if far else plain.schedule_all_near
    ours, reference = Stopwatch(), Stopwatch()
    for index in range(trial["batches"] + 1):
        if index == 1:  # The first batch opens the connections.
            ours, reference = Stopwatch(), Stopwatch()
        timestamp = int(time.time()) + (100_000 if far else 100)
        batch = [{"timestamp": timestamp, "data": f"{member:0100d}"} for member in range(trial["size"])]
        answer = ours(handler, batch, Context(SCHEDULE_TIMEOUT_S))
        assert answer["accepted"] == trial["size"], answer
        reference(call, batch)
    return {"ours_cpu_s": ours.cpu_s, "reference_cpu_s": reference.cpu_s}


def fill(trial: Trial) -> Measurement:
    """Schedule everything for one second, in batches, as a caller would."""
    from bench.laboratory.payloads import payload  # noqa: PLC0415 - Only trials that need it import it.

    handler, watch = handler_of("schedule", 0), Stopwatch()
    timestamp = int(time.time()) + trial["ahead_s"]
    for start in range(0, trial["count"], trial["size"]):
        members = range(start, min(start + trial["size"], trial["count"]))
        batch = [{"timestamp": timestamp, "data": payload(trial["data"], index)} for index in members]
        answer = watch(handler, batch, Context(SCHEDULE_TIMEOUT_S))
        assert answer["accepted"] == len(members), answer
    return {"wall_s": watch.wall_s, "cpu_s": watch.cpu_s}


def pack(trial: Trial) -> Measurement:
    """Pack a batch of maximum size, and compress the same bytes once."""
    import random  # noqa: PLC0415 - A timed start must not import it.
    import zlib  # noqa: PLC0415

    from bench.laboratory.payloads import batch  # noqa: PLC0415
    from scheduler.limits import BATCH_SCHEDULES_MAX  # noqa: PLC0415
    from scheduler.model.schedule import Request  # noqa: PLC0415
    from scheduler.placing.keys import KeyGenerator  # noqa: PLC0415

    datas = list(batch(trial["data"], trial["bytes"], BATCH_SCHEDULES_MAX))
    requests = {place: Request(1_893_456_000_000, data) for place, data in enumerate(datas)}
    key_generator, plain = KeyGenerator(4, random.Random(1), 60_000), "".join(datas).encode()
    ours, reference = Stopwatch(), Stopwatch()
    found = ours(lambda: [bundle for bundle, _ in key_generator.bundles(requests, "token")])
    reference(zlib.compress, plain)
    fill = sum(len(bundle.packed) for bundle in found) / max(1, len(found))
    return {"ours_cpu_s": ours.cpu_s, "reference_cpu_s": reference.cpu_s, "fill": fill}


def schedule_names(trial: Trial) -> Measurement:
    """Send a batch of many names again under its token until the function has accepted all of them."""
    handler, watch, calls, accepted = handler_of("schedule", 0), Stopwatch(), 0, 0
    timestamp = int(time.time()) + trial["ahead_s"]
    members = [{"timestamp": timestamp, "data": "x", "name": f"bench/{index}"} for index in range(trial["count"])]
    while accepted < trial["count"]:
        if calls == INVOCATIONS_MAX:
            raise RuntimeError(f"{accepted:,} of {trial['count']:,} accepted in {calls} calls")
        answer = watch(handler, {"schedules": members, "token": "bench"}, Context(SCHEDULE_TIMEOUT_S))
        calls, accepted = calls + 1, answer["accepted"]
    return {"wall_s": watch.wall_s, "cpu_s": watch.cpu_s, "invocations": calls}


def invoke(trial: Trial) -> Measurement:
    """Invoke any function once."""
    handler, watch = handler_of(trial["function"], 0), Stopwatch()
    watch(handler, trial["event"], Context(SCHEDULE_TIMEOUT_S))
    return {"wall_s": watch.wall_s, "cpu_s": watch.cpu_s}


def deliver(trial: Trial) -> Measurement:
    """Deliver due webhooks with the most data that a schedule may hold, all in one invocation.

    Each host gets one before. New hosts share a part of the threads until they have answered.
    """
    handler, watch, due_ms = handler_of("deliver", 0), Stopwatch(), int(time.time() * 1000)
    origins, records = trial["origins"], []
    for number in range(len(origins) + trial["count"]):
        target = json.dumps({"url": f"{origins[number % len(origins)]}/"})
        key = f"0-{due_ms:015d}-{number:016x}"
        body = json.dumps({"id": key, "due": due_ms, "data": "x" * DATA_BYTES_MAX, "target": target})
        records.append({"messageId": str(number), "body": body})
    first, at_once = records[: len(origins)], records[len(origins) :]
    handler({"Records": first}, Context(DELIVER_TIMEOUT_S))
    answer = watch(handler, {"Records": at_once}, Context(DELIVER_TIMEOUT_S))
    assert answer == {"batchItemFailures": []}, answer
    return {"wall_s": watch.wall_s, "cpu_s": watch.cpu_s}


def lay_month(trial: Trial) -> dict[str, Any]:
    """Store a month of schedules in the table. Return their times and ids, in order."""
    from bench.laboratory.month import month  # noqa: PLC0415 - It uses the functions' own packing, and takes time.

    laid = month(trial["count"], trial["partition_count"], trial["first_ms"], trial["hours"])
    wired = [{name: _wired(value) for name, value in item.items()} for item in laid.items]
    for begin in range(0, len(wired), ITEMS_LAID):
        control("lay", items=wired[begin : begin + ITEMS_LAID])
    return {"items": len(wired), "schedules": [(each.due_ms, each.id) for each in laid.schedules]}


def _wired(value: dict[str, Any]) -> dict[str, Any]:
    """Return the value as boto3 sends it."""
    return {"B": base64.b64encode(value["B"]).decode()} if "B" in value else value


def manage(trial: Trial) -> dict[str, Any]:
    """Read every page for each of `events` in one warm environment. Return the answers and what each event took."""
    handler, found = handler_of("manage", 0), []
    handler({"operation": "list", "limit": 1}, Context(MANAGE_TIMEOUT_S))  # Open the connections.
    for event in trial["events"]:
        watch, before = Stopwatch(), control("figures")
        answers = _pages(event, handler, watch)
        took = {name: value - before.get(name, 0) for name, value in control("figures").items()}
        found.append({**took, "cpu_s": watch.cpu_s, "wall_s": watch.wall_s, "answers": answers})
    return {"asked": found}


def _pages(event: dict[str, Any], handler: Callable[[Any, Any], Any], watch: Stopwatch) -> list[Any]:
    answers = [watch(handler, event, Context(MANAGE_TIMEOUT_S))]
    while answers[-1]["next"] is not None:
        if len(answers) == PAGES_MAX:
            raise RuntimeError(f"not at an end after {PAGES_MAX} pages: {event}")
        event = {**event, "next": answers[-1]["next"]}
        answers.append(watch(handler, event, Context(MANAGE_TIMEOUT_S)))
    return answers


def lives(trial: Trial) -> dict[str, Any]:
    """Count whole lives, without HTTP and without timing."""
    from bench import calls_per_schedule as bench_lives  # noqa: PLC0415 - It replaces the runtime of the functions.

    return bench_lives.lives(trial["count"])


def debounce(trial: Trial) -> dict[str, Any]:
    """Count the calls for one name that a caller postpones for an hour."""
    from bench import calls_per_schedule as bench_lives  # noqa: PLC0415 - As above.

    return bench_lives.debounce()


def look(trial: Trial) -> dict[str, Any]:
    """Count what looks at many pending schedules read."""
    from bench import looks as bench_looks  # noqa: PLC0415 - As above.

    return {"looks": bench_looks.looks(trial["count"])}


def start(trial: Trial) -> Measurement:
    """Time a cold start: imports and clients. The reference imports boto3 and makes the same clients."""
    watch = Stopwatch()
    if trial["who"] == "reference":
        watch(_plain_start, trial["clients"])
    else:
        watch(importlib.import_module, trial["function"])
    return {"cpu_s": watch.cpu_s, "wall_s": watch.wall_s}


def _plain_start(services: list[str]) -> list[object]:
    import boto3  # noqa: PLC0415 - The trial times this import.

    make: Any = boto3.client
    return [make(service) for service in services]


def clients(trial: Trial) -> dict[str, list[str]]:
    """Return which clients a function makes when it starts."""
    from botocore.session import Session  # noqa: PLC0415 - Only this trial needs it.

    made: list[str] = []
    make: Any = Session.create_client

    def noted(session: Any, service: str, *arguments: Any, **options: Any) -> Any:
        made.append(service)
        return make(session, service, *arguments, **options)

    setattr(Session, "create_client", noted)  # noqa: B010 - Boto3 calls it as well.
    importlib.import_module(trial["function"])
    return {"clients": made}


def memory_bytes_max() -> int:
    """Return the most memory that this process ever had.

    On Linux, getrusage starts with the parent's figure, so the function reads /proc there.
    """
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # A Mac reports bytes.


TRIALS: dict[str, Callable[[Trial], Any]] = {
    each.__name__: each
    for each in (
        feed,
        schedule_singly,
        schedule_batches,
        fill,
        pack,
        schedule_names,
        invoke,
        deliver,
        lay_month,
        manage,
        lives,
        debounce,
        look,
        start,
        clients,
        client_import,
        client_loop,
        client_stream,
        post,
        feed_with_metrics,
        schedule_with_metrics,
    )
}


def main() -> None:
    trial, functions, outcome = json.loads(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    sys.path.insert(0, functions)
    taken = TRIALS[trial["trial"]](trial)
    outcome.write_text(json.dumps({**taken, "memory_bytes_max": memory_bytes_max()}))


if __name__ == "__main__":
    main()
