"""Command line of the simulator."""

from __future__ import annotations

import argparse
import random
import sys

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from simulator import campaign
from simulator.campaign import Total
from simulator.event_log import lines
from simulator.faults import crashpoints
from simulator.simulation import Result, Simulation

SEEDS_DEFAULT = 1000
FIRST_MAX = 10**9
PARTS = 20
"""Without a terminal, and so without a bar, a campaign prints this many lines while it runs."""


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    if options.seed is not None:
        return _replay(options.seed)
    if options.exhaustive:
        return _exhaust()
    first = options.first if options.first is not None else random.SystemRandom().randrange(FIRST_MAX)
    return _campaign(first, options.seeds, options.processes)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m simulator",
        description="Runs the real functions in a virtual AWS with virtual time, with faults drawn from a seed, and "
        "checks the guarantees of README.md. Ends with 1 if one is broken.",
        epilog="A seed gives the same run every time: a failure names its seed, and --seed replays it.",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--seeds", type=int, default=SEEDS_DEFAULT, metavar="N", help="so many seeds (1000)")
    what.add_argument("--seed", type=int, metavar="N", help="this one, with the log of what happened to each schedule")
    what.add_argument(
        "--exhaustive", action="store_true", help="a small workload, crashed at every single call of AWS in turn"
    )
    parser.add_argument("--first", type=int, metavar="N", help="the first seed; a random one, printed, by default")
    parser.add_argument("--processes", type=int, metavar="N", help="so many at once; one for each core by default")
    return parser


def _campaign(first: int, count: int, processes: int | None) -> int:
    console = Console()
    console.print(f"seeds {first} to {first + count - 1}", highlight=False)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("simulating", total=count)
        printed = 0

        def tell(total: Total) -> None:
            nonlocal printed
            years = total.stats.virtual_s / 31_557_600
            so_far = f"{years:,.0f} years, {len(total.broken)} broken"
            progress.update(bar, completed=total.seeds, description=so_far)
            if not console.is_terminal and total.seeds * PARTS // count > printed:
                printed = total.seeds * PARTS // count
                print(f"{total.seeds:,} of {count:,} seeds, {so_far}", flush=True)

        total = campaign.run(range(first, first + count), processes=processes, tell=tell)
    for result in total.broken:
        _print_violation(result)
    for line in total.lines():
        print(line)
    return 1 if total.broken else 0


def _print_violation(result: Result) -> None:
    assert result.violation is not None
    print(f"\nseed {result.seed}: promise {result.violation.promise} is broken: {result.violation.what}")
    for line in result.trace:
        print(f"  {line}")
    print(f"  replay: make simulate SEED={result.seed}\n")


def _replay(seed: int) -> int:
    simulation = Simulation(seed)
    result = simulation.run()
    for line in lines(entry for entry in simulation.event_log.entries if not entry.tags):
        print(line)
    for tag in simulation.expected_schedules.by_tag:
        print(f"\n{tag}")
        for line in lines(entry for entry in simulation.event_log.entries if tag in entry.tags):
            print(f"  {line}")
    print()
    total = Total()
    total.add(result)
    for line in total.lines():
        print(line)
    print(f"fingerprint {result.fingerprint}")
    if result.violation is not None:
        _print_violation(result)
    return 1 if result.violation is not None else 0


def _exhaust() -> int:
    results = crashpoints.exhaust()
    broken = [result for result in results if result.violation is not None]
    for point in broken:
        assert point.violation is not None
        print(f"\n{point.name}: promise {point.violation.promise} is broken: {point.violation.what}")
        for line in point.trace:
            print(f"  {line}")
    print(f"{len(results)} crash points, {len(broken)} of them with a broken promise")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
