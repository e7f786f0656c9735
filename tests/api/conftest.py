"""The HTTP API of the virtual stack."""

import pytest

from punctual.testing import Stack
from tests.api.virtual_api import Api


@pytest.fixture
def stack() -> Stack:
    return Stack(ApiEnabled=True)


@pytest.fixture
def api(stack: Stack) -> Api:
    return Api(stack)
