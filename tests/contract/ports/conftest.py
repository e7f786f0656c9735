"""The implementations of each port: the fakes, the adapters on the virtual AWS and on moto, those of an application."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from moto import mock_aws

from port_backends import APPLICATION, BACKENDS, REGION, AwsPorts, FakePorts, on_moto, on_virtual_aws
from scheduler.wiring import runtime


@pytest.fixture(scope="module")
def moto() -> Iterator[tuple[Any, Any]]:
    """Start moto once for a file, because its start and the clients take longer than the tests."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("AWS_DEFAULT_REGION", REGION), ("AWS_ACCESS_KEY_ID", "t"), ("AWS_SECRET_ACCESS_KEY", "t")):
            patch.setenv(name, value)
        with mock_aws():
            current = runtime.current()
            yield current.client("dynamodb", 4), current.client("sqs", 4)


@pytest.fixture(params=[*BACKENDS[:-1], pytest.param(BACKENDS[-1], marks=pytest.mark.slow)])
def ports(request: pytest.FixtureRequest) -> FakePorts | AwsPorts:
    if request.param == "fake":
        return FakePorts()
    if request.param == "virtual":
        return on_virtual_aws()
    application = APPLICATION if request.param == "application" else ""
    return on_moto(*request.getfixturevalue("moto"), application)
