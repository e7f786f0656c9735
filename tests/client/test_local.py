"""The client against the local AWS: real boto3, several threads, and the stack found by its outputs."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import boto3
import pytest

from punctual import InvalidSchedule, NotFound, Scheduled, Scheduler, StackNotFound
from punctual.local.deployment import deploy
from punctual.local.emulation.emulator import Emulator

pytestmark = pytest.mark.slow

TEMPLATE = Path(__file__).parents[2] / "template.yml"


@pytest.fixture(scope="module")
def local():
    """A deployed stack, and how to reach its AWS."""
    with Emulator() as emulator:
        stack = deploy(emulator, TEMPLATE)
        session = boto3.Session(
            aws_access_key_id="test", aws_secret_access_key="test", region_name=emulator.region
        )  # fmt: skip
        yield stack.name, {"session": session, "endpoint_url": emulator.endpoint_url}


def test_the_stack_is_found_and_schedules(local):
    name, reached = local
    with Scheduler(name, **reached) as scheduler:
        scheduled = scheduler.schedule({"order": 7}, delay=timedelta(hours=2), name="order/7")
        assert (scheduled.id, {"order": 7}) == (scheduler.get("order/7").id, scheduler.get("order/7").json)
        moved = scheduler.move("order/7", delay=timedelta(days=1))
        assert moved.due - scheduled.due > timedelta(hours=21)
        assert "cancelled" == scheduler.cancel("order/7").state
        with pytest.raises(NotFound):
            scheduler.get("order/8")
        with pytest.raises(InvalidSchedule, match="name is"):
            scheduler.schedule("x", delay=1, name="a b")


def test_a_stack_that_is_missing_is_named_beside_the_one_there_is(local):
    name, reached = local
    with (
        Scheduler("missing", **reached) as scheduler,
        pytest.raises(StackNotFound, match=rf"'missing'.*there is {name}$"),
    ):
        scheduler.get("n")


def test_several_workers_schedule_a_stream_once_and_in_order(local):
    name, reached = local
    with Scheduler(name, **reached) as scheduler:
        requests = ({"data": str(number), "delay": 90_000 + number, "user": "stream"} for number in range(3_000))
        results = list(scheduler.schedule_many(requests, batch_size=250, workers=3))
        assert {Scheduled} == {type(result) for result in results}
        dues = [result.due for result in results]
        assert dues == sorted(dues)
        listed = [schedule.id for schedule in scheduler.list(results[0].due, results[-1].due + timedelta(seconds=1))]
        assert {result.id for result in results} == set(listed)
        assert 3_000 == len(listed)
