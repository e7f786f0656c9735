"""Settings for all tests. One process repeats here hundreds of times what a cold start does once."""

import gc
import itertools
import random
from collections.abc import Iterator

import pytest

COLLECT_EVERY = 20
"""Tests between two collections. A collection takes longer than most tests."""

_ended = itertools.count(1)


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
