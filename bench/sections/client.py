"""Measure the Python client: its import, its memory, and its rate on the local AWS beside a plain loop of invoke."""

from __future__ import annotations

from collections.abc import Iterator

from bench.laboratory.processes import ROOT, Laboratory
from bench.trials import Figure, Measurement, Series, Size, at_least, at_most, tell
from punctual.local.deployment import deploy
from punctual.local.emulation.emulator import Emulator

STREAMS = (10_000, 100_000)
LOOPED = 100
"""Invocations of the plain loop. It makes about 20 a second on the local AWS."""
RATE_WANTED, MEMORY_WANTED, IMPORT_WANTED = 20, 1.2, 1.1
SECTION = "The Python client, on the local AWS"


def client(laboratory: Laboratory, size: Size) -> Iterator[Figure]:
    """Measure the import, then `schedule_many` over a short stream and a long one."""
    yield from _imports(laboratory, size)
    with Emulator() as emulator:
        tell("client: deploy to the local AWS")
        outputs = deploy(emulator, ROOT / "template.yml").outputs
        credentials = {name: value for name, value in emulator.environment().items() if name.startswith("AWS_")}
        variables = {**credentials, "AWS_ENDPOINT_URL": emulator.endpoint_url}
        common = {"outputs": outputs, "variables": variables}
        tell("client: the plain loop")
        loop = laboratory.run(trial="client_loop", count=LOOPED, **common)
        short, long = STREAMS if size.rounds > 1 else (size.most, 10 * size.most)
        taken = {}
        for count in (short, long):
            tell(f"client: {count:,} schedules")
            taken[count] = laboratory.run(trial="client_stream", count=count, **common)
    for count, outcome in taken.items():
        bound = at_least(RATE_WANTED) if count == long else None
        rate, plain = count / outcome["wall_s"], LOOPED / loop["wall_s"]
        yield Figure(SECTION, f"{count:,}: schedules per second", "", rate, plain, rate / plain, bound)
    peaks = [taken[count]["memory_bytes_max"] / 2**20 for count in (short, long)]
    name = f"{long:,}: peak memory, beside {short:,}"
    yield Figure(SECTION, name, "MiB", peaks[1], peaks[0], peaks[1] / peaks[0], at_most(MEMORY_WANTED))


def _imports(laboratory: Laboratory, size: Size) -> Iterator[Figure]:
    series = Series()
    for number in range(1, size.starts + 1):
        tell(f"import of the client, round {number} of {size.starts}")
        modules = {"reference": "boto3", "ours": "punctual"}
        series.rounds.append(
            {who: laboratory.run(trial="client_import", module=module) for who, module in modules.items()}
        )
    reference, ours = (series.median(who, _wall_ms) for who in ("reference", "ours"))
    ratio = series.ratio("ours", _wall_ms)
    yield Figure(SECTION, "import punctual, beside import boto3", "ms", ours, reference, ratio, at_most(IMPORT_WANTED))


def _wall_ms(outcome: Measurement) -> float:
    return outcome["wall_s"] * 1000
