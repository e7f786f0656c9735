"""Random faults and checked promises: a few hundred seeds in every test run, and ten thousand in a soak test."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from simulator import campaign
from simulator.campaign import Total
from simulator.simulation import simulate
from simulator.workload.sharing import FIRST_SEED

ROOT = Path(__file__).parents[3]
SEEDS = 300
LARGE = (6, 12, 32, 52)
"""Seeds that make many thousands of calls. Each takes as long as five others, so they run with the slow tests."""
QUICK_SEEDS = [seed for seed in range(54) if seed not in LARGE]
SLOW_SEEDS = [seed for seed in range(SEEDS) if seed not in QUICK_SEEDS]
CHUNK = 50
SEEDS_WITH_APPLICATIONS = range(FIRST_SEED, FIRST_SEED + 30)
SOAK_SEEDS = 10_000
FINGERPRINT = "from simulator.simulation import simulate; print(simulate({seed}).fingerprint)"

QUIET = (9, 45, 49, 60, 72, 74, 77)
REGRESSIONS = {
    7: "a bundle was sent on past the end of its feed, which was stopped before it could write back what was left",
    28: "on a slow day a chunk was sent on past the end of its feed, which was stopped before it could delete it",
    1_004_300: "a bundle sent in part and written back was no progress, and its feed waited for Lambda's retry",
    4: "what the output queue refused for its content was sent to it once a minute for ever, under a name",
    101: "of a batch under one name the earlier members were accepted, though the timer of the last could not be set",
    2_003_155: "a batch sent again under its token removed the timer of what it had put under a name once more",
    23: "a member of a batch that was kept came out 20 s late, by its second timer",
    2_005_082: "a caller of fail was refused for what may have been its own write, moved meanwhile",
    1_000_300: "a dead host was called late in every invocation, and nobody polled for the others until it timed out",
    2_000_000_996: "copies of a delivery to a dead host multiplied with every postponement, and the run did not end",
    3_007_903: "a member of a batch that kept what stands was told the refusal of a later one with the same id",
}
"""Seeds that once found a fault in our code, with that fault.

A changed workload makes another run of the seed. The mutations then keep the fault.
"""


def traces(total: Total) -> str:
    """Return the failed seeds and the trace of each."""
    told = []
    for result in total.broken:
        told += [
            f"seed {result.seed}: {result.violation}",
            *result.trace,
            f"replay: make simulate SEED={result.seed}",
            "",
        ]
    return "\n".join(told)


def test_the_promises_hold_under_random_faults():
    """They hold under faults of every kind, and after the faults stop."""
    total = campaign.run(QUICK_SEEDS)
    assert not total.broken, traces(total)
    assert 50 == total.seeds
    kinds = {"crash", "partial", "timed out", "done late", "doubled", "lost", "tick missed", "tick late", "outage"}
    assert kinds <= set(total.faults)


@pytest.mark.slow
def test_the_promises_hold_while_applications_share_the_stack():
    """The workload is that of the other seeds, and belongs to the owner and three applications."""
    total = campaign.run(SEEDS_WITH_APPLICATIONS)
    assert not total.broken, traces(total)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, len(SLOW_SEEDS), CHUNK))
def test_the_promises_hold_for_more_seeds(first):
    """The quick test has fifty of the first ones."""
    total = campaign.run(SLOW_SEEDS[first : first + CHUNK])
    assert not total.broken, traces(total)


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_the_promises_hold_for_ten_thousand_seeds():
    """The same test with more seeds."""
    total = campaign.run(range(1_000_000, 1_000_000 + SOAK_SEEDS))
    print(*total.lines(), sep="\n")
    assert not total.broken, traces(total)


@pytest.mark.parametrize("seed", REGRESSIONS, ids=str)
def test_a_seed_that_found_a_fault_passes(seed):
    """The list names the fault of each."""
    result = simulate(seed)
    assert result.violation is None, "\n".join([REGRESSIONS[seed], *result.trace])


@pytest.mark.slow
def test_a_seed_gives_the_same_run_in_every_process():
    """Neither the order of sets nor the process makes a difference."""
    fingerprints = {simulate(5).fingerprint, simulate(5).fingerprint}
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
        ran = subprocess.run(
            [sys.executable, "-c", FINGERPRINT.format(seed=5)],
            check=True,
            capture_output=True,
            text=True,
            env=environment,
            cwd=ROOT,
        )
        fingerprints.add(ran.stdout.strip())
    assert len(fingerprints) == 1


@pytest.mark.slow
def test_two_seeds_give_two_runs():
    assert simulate(4).fingerprint != simulate(7).fingerprint


@pytest.mark.parametrize("seed", [*QUIET[:2], *(pytest.param(each, marks=pytest.mark.slow) for each in QUIET[2:])])
def test_nothing_is_repeated_or_late_without_faults(seed):
    """These seeds draw no faults."""
    result = simulate(seed)
    assert not result.faults
    assert 0 == result.stats.repeats
    assert result.stats.lateness_s_max < 1.1
