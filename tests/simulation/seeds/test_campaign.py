"""A campaign runs many seeds side by side in processes."""

import gc
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from simulator.simulation import Simulation, simulate

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
LATE_S = 20
WITH_A_CLOSED_QUEUE = 75


def test_a_run_leaves_nothing_of_an_earlier_one_in_memory():
    """Ten thousand runs in a few processes would otherwise need all memory of the machine."""
    for _ in range(2):
        simulate(WITH_A_CLOSED_QUEUE)
    gc.collect()
    assert 1 >= sum(isinstance(each, Simulation) for each in gc.get_objects())


def test_no_process_outlives_a_killed_campaign():
    """The pool's processes would otherwise wait for work forever. The test checks their process group."""
    campaign = subprocess.Popen(
        [sys.executable, "-m", "simulator", "--seeds", "100000", "--processes", "2"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        children = Path(f"/proc/{campaign.pid}/task/{campaign.pid}/children")
        assert wait_until(lambda: not children.exists() or len(children.read_text().split()) >= 3)
        campaign.send_signal(signal.SIGKILL)
        campaign.wait()
        assert wait_until(lambda: not is_there(campaign.pid))
    finally:
        if is_there(campaign.pid):
            os.killpg(campaign.pid, signal.SIGKILL)


def is_there(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def wait_until(fact):
    ends_s = time.monotonic() + LATE_S
    while not fact():
        if time.monotonic() > ends_s:
            return False
        time.sleep(0.05)
    return True
