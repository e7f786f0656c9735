"""Settings for all tests. One process repeats here hundreds of times what a cold start does once."""

import gc
import itertools
import random
import signal
from collections.abc import Iterator

import pytest

COLLECT_EVERY = 200
"""Tests between two collections. A collection takes as long as dozens of tests."""

_ended = itertools.count(1)

# A shell starts its background jobs with SIGINT ignored, and so would they start the processes that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def same_random_numbers(request: pytest.FixtureRequest) -> None:
    """Let a test draw the same numbers in every run, so that one that failed fails again."""
    random.seed(request.node.nodeid)


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    """Unfreeze the garbage collector's objects after a test.

    Clients freeze all objects that exist at their creation, because an environment keeps them. In a test run they
    become garbage, which would add up to gigabytes.
    """
    yield
    gc.unfreeze()
    if next(_ended) % COLLECT_EVERY == 0:
        gc.collect()
