"""For all tests: what a cold start does once in a process happens here hundreds of times."""

import gc
import itertools
from collections.abc import Iterator

import pytest

COLLECT_EVERY = 20
"""Tests. To collect after each would take longer than most of them."""

_ended = itertools.count(1)


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    """Clients freeze what was made before them, for an environment keeps it for good. Here it is garbage by then, and
    a run of all tests would hold on to gigabytes of it."""
    yield
    gc.unfreeze()
    if next(_ended) % COLLECT_EVERY == 0:
        gc.collect()
