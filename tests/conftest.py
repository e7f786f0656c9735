"""Settings for all tests. One process repeats here hundreds of times what a cold start does once."""

import functools
import gc
import random
import signal

import botocore.loaders
import pytest

freeze = gc.freeze
gc.freeze = lambda: None  # Clients freeze all objects, because an environment keeps them. Here they become garbage.

# Every client of a new session reads the description of its service anew, which takes longer than most tests.
botocore.loaders.create_loader = functools.cache(botocore.loaders.create_loader)

# A shell starts its background jobs with SIGINT ignored, and nohup ignores SIGHUP. Processes of tests would inherit it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def same_random_numbers(request: pytest.FixtureRequest) -> None:
    """Let a test draw the same numbers in every run, so that one that failed fails again."""
    random.seed(request.node.nodeid)


def pytest_collection_finish() -> None:
    """Spare the garbage collector the modules of all tests, which stay until the end."""
    gc.collect()
    freeze()
