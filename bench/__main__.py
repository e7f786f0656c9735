"""Command line of the bench."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from bench import report, trials
from bench.laboratory.processes import Laboratory
from bench.sections.api import api
from bench.sections.client import client
from bench.sections.deliveries import deliveries
from bench.sections.failures import failures
from bench.sections.intake import names, packing
from bench.sections.managing import manage
from bench.sections.metrics import metrics
from bench.sections.pending import pending
from bench.sections.virtual_stack import virtual_stack
from bench.trials import QUICK, Figure, Size

SECTIONS = {
    **trials.SECTIONS,
    "manage": manage,
    "pending": pending,
    "deliveries": deliveries,
    "failures": failures,
    "packing": packing,
    "names": names,
    "api": api,
    "client": client,
    "virtual_stack": virtual_stack,
    "metrics": metrics,
}
RESULTS = Path(__file__).parent / "results"


def main(arguments: list[str] | None = None) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # SIGTERM then runs the clean-up, too.
    size = QUICK if options.quick else Size()
    if options.rounds is not None:
        size = replace(size, rounds=options.rounds)
    long = min(size.rounds, trials.ROUNDS_OF_LONG_ONES_MAX)
    how = f"Medians of {size.rounds} rounds, or of up to {long} if a round takes minutes."
    how += " The reference and Punctual take turns."
    folder = options.results or (RESULTS if not (options.quick or options.only) else None)
    known: list[Figure] = []
    if folder is not None and options.only and not options.quick:
        try:
            known = report.known(folder)
        except ValueError as fault:
            parser.error(str(fault))
    figures: list[Figure] = []
    failed = []
    try:
        with Laboratory() as laboratory:
            for section in options.only or SECTIONS:
                try:  # A whole run takes an hour, and one section must not cost the figures of the others.
                    figures += SECTIONS[section](laboratory, size)
                except (RuntimeError, OSError, subprocess.SubprocessError) as failure:
                    trials.tell(f"{section} failed: {failure}")
                    failed.append(section)
    finally:  # Also when Ctrl-C ends it.
        print(report.markdown(figures, how))
    if failed:
        nothing = "" if folder is None else " So nothing was written."
        print(f"These sections failed: {', '.join(failed)}.{nothing}", file=sys.stderr)
        return 1
    if folder is not None:
        report.write(report.merged(known, figures), folder, how)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measures the real functions against a stand-in for DynamoDB and SQS on loopback, beside a plain "
        "boto3 loop in the same run. Prints Markdown tables; a bound in bold was missed.",
        epilog="All of it takes about an hour, and is written to bench/results; a part of it, or a quick one, is "
        "written only where --results says. A part replaces its sections there, and leaves the others.",
    )
    parser.add_argument(
        "--only", action="append", choices=list(SECTIONS), help="this section alone; may be given again for more"
    )
    parser.add_argument("--quick", action="store_true", help="small numbers and one round: whether it works at all")
    parser.add_argument("--rounds", type=int, choices=range(1, 21), metavar="N", help="so many of each (5)")
    parser.add_argument("--results", type=Path, metavar="FOLDER", help="where to write results")
    return parser


if __name__ == "__main__":
    sys.exit(main())
