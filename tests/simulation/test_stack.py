"""`punctual.testing`, as people use it in tests of their own."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path

import pytest

from punctual.testing import Refused, Stack

PAGE = Path(__file__).parents[2] / "docs" / "testing.md"
START = 1_893_456_000


@pytest.fixture
def stack():
    return Stack(start=START)


def test_the_example_in_the_documentation_runs():
    """Every test in it passes, as it stands there."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    example = types.ModuleType("example")
    exec(compile(code, str(PAGE), "exec"), example.__dict__)
    tests = [value for name, value in vars(example).items() if name.startswith("test_")]
    assert len(tests) == 3
    for test in tests:
        test()


def test_a_far_schedule_comes_out_to_the_second(stack):
    """And not a moment before."""
    answer = stack.schedule({"timestamp": START + 86_400 * 365, "data": "in a year"})
    assert answer["state"] == "stored"
    stack.advance_to(START + 86_400 * 365 - 0.001)
    assert stack.released() == []
    stack.advance(seconds=1.001)
    (released,) = stack.released()
    assert (answer["id"], "in a year") == (released.id, released.data)


def test_centuries_pass_in_a_moment(stack):
    stack.schedule({"timestamp": "9999-12-31T23:00:00Z", "data": "last"})
    stack.advance(days=365 * 1000)
    assert stack.released() == []


def test_things_come_out_in_the_order_of_their_moments(stack):
    """Near or far, whatever the order of asking."""
    stack.schedule([{"delay": delay, "data": f"{delay}"} for delay in (5000, 3, 90_000, 0)])
    stack.advance(days=2)
    assert ["0", "3", "5000", "90000"] == [released.data for released in stack.released()]


def test_what_expired_is_told_of(stack):
    """Lateness is made by a feed that never came: the trigger's rule is taken away for a while."""
    stack.schedule({"delay": 3600, "data": "stale", "expires_after": 60})
    rules = dict(stack._cloud.functions.rules)
    stack._cloud.functions.rules.clear()
    stack._cloud.timeline.run_until(round((START + 7200) * 1e6))
    for rule in rules.values():
        rule.next_us = stack._cloud.timeline.now_us
        stack._cloud.functions.add_rule(rule)
    stack.advance(minutes=20)
    assert stack.released() == []
    assert ["expired"] == [failure["reason"] for failure in stack.failures()]


def test_a_queue_of_ones_own_may_be_a_target(stack):
    arn = stack.add_target("mine")
    stack.schedule({"delay": 1, "data": "x", "target": arn})
    stack.advance(seconds=3)
    (released,) = stack.released()
    assert released.queue.endswith("/mine")


def test_the_stack_is_updated_with_all_that_is_in_it(stack):
    """Fewer partitions, and nothing is orphaned."""
    stack.schedule([{"delay": 7200, "data": f"{number}"} for number in range(20)])
    stack.update(PartitionCount=1)
    stack.advance(hours=3)
    assert 20 == len(stack.released())


def test_a_refusal_says_why(stack):
    with pytest.raises(Refused, match="exactly one of the two"):
        stack.schedule({"timestamp": START, "delay": 1, "data": "x"})


def test_an_unknown_parameter_is_an_error():
    with pytest.raises(ValueError, match="PartitionsCount"):
        Stack(PartitionsCount=2)


def test_time_does_not_go_backwards(stack):
    with pytest.raises(ValueError, match="backwards"):
        stack.advance(seconds=-1)


def test_a_module_named_scheduler_of_ones_own_is_left_alone(monkeypatch):
    """The functions' package has that name too; in a test of yours yours is meant."""
    mine = types.ModuleType("scheduler")
    monkeypatch.setitem(sys.modules, "scheduler", mine)
    Stack().schedule({"delay": 1, "data": "x"})
    assert sys.modules["scheduler"] is mine


def test_the_consumer_of_the_stack_sees_each_schedule():
    """With ConsumerEnabled its function logs every one, with its lateness."""
    stack = Stack(start=START, ConsumerEnabled=True)
    stack.schedule([{"delay": delay, "data": "x"} for delay in (1, 2, 3)])
    stack.advance(seconds=5)
    assert 3 == len([line for line in stack.log() if line["outcome"] == "consumed"])


@pytest.mark.parametrize("pollers", [1, 201, "two"])
def test_a_parameter_that_the_template_does_not_allow_is_refused_with_what_it_allows(pollers):
    """As CloudFormation would."""
    with pytest.raises(ValueError, match="from 2 to 200"):
        Stack(DeliveryPollers=pollers)
    Stack(DeliveryPollers=2)
