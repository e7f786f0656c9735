"""Measure `punctual import` against the local AWS: rate, peak memory, and a SIGKILL in the middle.

    python -m bench.import_lines --lines 100000

The reference is a plain loop of `invoke`, in the same run. Every import is a process of its own, as a user starts it.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "functions"))  # The functions are no package.

from punctual.local.deployment import Stack, deploy  # noqa: E402
from punctual.local.emulation.emulator import Emulator  # noqa: E402
from scheduler.aws import items  # noqa: E402
from scheduler.model.schedule import Schedule  # noqa: E402

AHEAD_S, SPREAD_S = 30 * 86_400, 86_400
LOOP = 300
"""Invocations of the plain loop. Its rate does not depend on their number."""
NOT_CONFIRMED = 5
"""The exit status if AWS did not confirm every line, as happens on a busy machine."""
RUNS_MAX = 10
POLL_S = 0.005
END_S_MAX = 3_600
RATIO_MIN, MEMORY_MAX = 20.0, 1.2


@dataclass(frozen=True)
class Import:
    """One process that imported a file, to its end or until it was killed."""

    status: int
    wall_s: float
    peak_kb: int
    errors: str


def write_lines(path: Path, count: int) -> Path:
    """Write far schedules, due within one day a month ahead, each with data of its own."""
    begin_s = int(time.time()) + AHEAD_S
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            due_s = begin_s + number * 7_919 % SPREAD_S
            file.write(json.dumps({"timestamp": due_s, "data": {"order": number, "text": "x" * 60}}) + "\n")
    return path


def import_file(emulator: Emulator, path: Path, *options: str, killed_after: int | None = None) -> Import:
    """Run the command with these options.

    With `killed_after`, end it by SIGKILL once the journal has so many finished batches.
    """
    environment = {**os.environ, **emulator.environment(), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "punctual", "import", str(path), *options]
    begun_s = time.monotonic()
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        if killed_after is not None:
            _await_batches(Path(f"{path}.journal"), killed_after, process)
            process.send_signal(signal.SIGKILL)
        assert process.stderr is not None
        with process.stderr:
            errors = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    finally:
        if process.returncode is None:
            process.kill()
            process.wait()
    return Import(process.returncode, time.monotonic() - begun_s, usage.ru_maxrss, errors)


def _await_batches(journal: Path, count: int, process: subprocess.Popen[str]) -> None:
    deadline_s = time.monotonic() + END_S_MAX
    while process.poll() is None and time.monotonic() < deadline_s:
        if journal.exists() and journal.read_bytes().count(b"\ndone ") >= count:
            return
        time.sleep(POLL_S)
    raise RuntimeError(f"the import ended before {count} batches were done")


def orders(stack: Stack) -> Counter[int]:
    """Return how often the table has each order. It is scanned, because the local AWS is slow to list so many."""
    found: Counter[int] = Counter()
    pages = stack.emulator.client("dynamodb").get_paginator("scan").paginate(TableName=stack.outputs["TableName"])
    for page in pages:
        for item in page["Items"]:
            if item["partition"]["S"].isdigit():
                found.update(json.loads(each.data)["order"] for each in _schedules(item))
    return found


def _schedules(item: dict[str, Any]) -> list[Schedule]:
    return items.bundle(item).members() if "bundle" in item else [items.schedule(item)]


def loop_rate(stack: Stack, count: int) -> float:
    """Return how many schedules a second a plain loop of invocations makes."""
    client, function = stack.emulator.client("lambda"), stack.outputs["ScheduleFunction"]
    begun_s = time.monotonic()
    for number in range(count):
        due_s = int(time.time()) + AHEAD_S
        client.invoke(FunctionName=function, Payload=json.dumps({"timestamp": due_s, "data": {"order": -1 - number}}))
    return count / (time.monotonic() - begun_s)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.import_lines", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--lines", type=int, default=100_000, help="lines of the large file; the small one has a tenth")
    parser.add_argument("--only", choices=("rate", "kill"), help="one of the two parts")
    options = parser.parse_args(arguments)
    passed = True
    with Emulator(auth=True) as emulator, tempfile.TemporaryDirectory() as folder:
        if options.only != "kill":
            passed = _rates(emulator, Path(folder), options.lines)
        if options.only != "rate":
            passed = _killed(emulator, Path(folder), options.lines) and passed
    return 0 if passed else 1


def _rates(emulator: Emulator, folder: Path, lines: int) -> bool:
    """Measure rate and memory. Return whether both meet their bounds."""
    stack = deploy(emulator, ROOT / "template.yml")
    loop = loop_rate(stack, LOOP)
    stack.delete()
    print(f"A plain loop of invoke: {loop:,.0f} a second.", flush=True)
    (_, small_kb), (rate, large_kb) = (_whole(emulator, folder, count, loop) for count in (lines // 10, lines))
    print(f"Peak memory: {large_kb / small_kb:.2f} times that of a tenth of the lines (at most {MEMORY_MAX}).")
    return large_kb <= MEMORY_MAX * small_kb and rate >= RATIO_MIN * loop


def _whole(emulator: Emulator, folder: Path, count: int, loop: float) -> tuple[float, int]:
    """Import a file without a kill, print its figures, and return the rate and the peak memory."""
    deploy(emulator, ROOT / "template.yml", f"whole-{count}")
    os.environ["PUNCTUAL_STACK"] = f"whole-{count}"
    runs = _to_the_end(emulator, write_lines(folder / f"{count}.ndjson", count))
    took_s, peak_kb = sum(each.wall_s for each in runs), max(each.peak_kb for each in runs)
    rate = count / took_s
    print(
        f"{count:,} lines: {took_s:.1f} s in {len(runs)} runs, {rate:,.0f} a second, {rate / loop:.1f} times the loop "
        f"(at least {RATIO_MIN:.0f}), {peak_kb / 1024:.0f} MB at most.",
        flush=True,
    )
    return rate, peak_kb


def _killed(emulator: Emulator, folder: Path, count: int) -> bool:
    """Kill an import in the middle, start it again, and return whether every line is there exactly once."""
    stack = deploy(emulator, ROOT / "template.yml", "killed")
    os.environ["PUNCTUAL_STACK"] = "killed"
    path = write_lines(folder / "killed.ndjson", count)
    killed = import_file(emulator, path, killed_after=count // 2_000)
    print(f"SIGKILL (status {killed.status}) after {killed.wall_s:.1f} s.", flush=True)
    runs = _to_the_end(emulator, path)
    found = orders(stack)
    print(
        f"After {len(runs)} more runs and {sum(each.wall_s for each in runs):.1f} s: {found.total():,} schedules, "
        f"{len(found):,} distinct lines of {count:,}."
    )
    return found == Counter(range(count))


def _to_the_end(emulator: Emulator, path: Path) -> list[Import]:
    """Run the same command until every line is confirmed, as its message says. Return the runs."""
    runs: list[Import] = []
    while not runs or runs[-1].status == NOT_CONFIRMED:
        runs.append(import_file(emulator, path))
        if len(runs) > RUNS_MAX or runs[-1].status not in (0, NOT_CONFIRMED):
            raise RuntimeError(runs[-1].errors)
    return runs


if __name__ == "__main__":
    sys.exit(main())
