"""A stack that two applications share."""

from __future__ import annotations

import pytest

from shared_stack import A, B, Shared


@pytest.fixture
def shared() -> Shared:
    found = Shared()
    for each in (A, B):
        found.create(each)
    return found
