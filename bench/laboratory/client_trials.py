"""The trials of the Python client, each in a fresh process."""

from __future__ import annotations

import importlib
import json
import time
from typing import Any

Measurement = dict[str, float]
FAR_S = 86_400


def client_import(trial: dict[str, Any]) -> Measurement:
    """Time the import of one module."""
    began_s = time.perf_counter()
    importlib.import_module(trial["module"])
    return {"wall_s": time.perf_counter() - began_s}


def client_loop(trial: dict[str, Any]) -> Measurement:
    """Time a plain loop of `invoke`, one schedule after the other."""
    import boto3  # noqa: PLC0415 - The other trials do without it.

    client: Any = boto3.client("lambda")
    function = trial["outputs"]["ScheduleFunction"]

    def schedule(number: int) -> None:
        request = {"delay": FAR_S + number, "data": {"order": number}}
        answer = client.invoke(FunctionName=function, Payload=json.dumps(request))
        json.load(answer["Payload"])["id"]

    schedule(0)  # The cold start of the function.
    began_s = time.perf_counter()
    for number in range(trial["count"]):
        schedule(number)
    return {"wall_s": time.perf_counter() - began_s}


def client_stream(trial: dict[str, Any]) -> Measurement:
    """Time `schedule_many`, and check that every schedule is accepted. The worker adds the peak memory."""
    from punctual import Scheduled, Scheduler  # noqa: PLC0415 - As above.

    scheduler, count = Scheduler.from_outputs(trial["outputs"]), trial["count"]
    requests = ({"delay": FAR_S + number, "data": {"order": number}} for number in range(count))
    began_s = time.perf_counter()
    accepted = sum(isinstance(result, Scheduled) for result in scheduler.schedule_many(requests))
    wall_s = time.perf_counter() - began_s
    if accepted != count:
        raise RuntimeError(f"{accepted} of {count} schedules were accepted")
    return {"wall_s": wall_s}
