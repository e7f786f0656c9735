"""`punctual.testing`, as people use it in their own tests."""

from __future__ import annotations

import random
import re
import sys
import time
import types
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from punctual.testing import Refused, Stack

PAGE = Path(__file__).parents[2] / "docs" / "testing.md"
START = 1_893_456_000


@pytest.fixture
def stack():
    return Stack(start=START)


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL))
def test_the_examples_in_the_documentation_run(code):
    """Every test in them passes unchanged."""
    example = types.ModuleType("example")
    exec(compile(code, str(PAGE), "exec"), example.__dict__)
    tests = [value for name, value in vars(example).items() if name.startswith("test_")]
    assert tests
    for test in tests:
        test()


def test_the_documentation_begins_with_the_client():
    """Users test with the API that they use."""
    first = PAGE.read_text(encoding="utf-8").split("```python")[1]
    assert "Scheduler(stack)" in first


def test_a_far_schedule_is_sent_to_the_second(stack):
    """It is never early."""
    answer = stack.schedule({"timestamp": START + 86_400 * 365, "data": "in a year"})
    assert answer["state"] == "stored"
    stack.advance_to(START + 86_400 * 365 - 0.001)
    assert stack.released() == []
    stack.advance(seconds=1.001)
    (released,) = stack.released()
    assert (answer["id"], "in a year") == (released.id, released.data)


def test_centuries_pass_in_an_instant(stack):
    stack.schedule({"timestamp": "9999-12-31T23:00:00Z", "data": "last"})
    stack.advance(days=365 * 1000)
    assert stack.released() == []


def test_schedules_are_sent_in_the_order_of_their_times(stack):
    """Near or far, in any order of the requests."""
    stack.schedule([{"delay": delay, "data": f"{delay}"} for delay in (5000, 3, 90_000, 0)])
    stack.advance(days=2)
    assert ["0", "3", "5000", "90000"] == [released.data for released in stack.released()]


def test_a_message_to_the_topic_is_scheduled(stack):
    """It becomes a message of the input queue, without an answer to the publisher."""
    stack.client("sns").publish(TopicArn=stack.output("InputTopicArn"), Message='{"delay": 60, "data": "published"}')
    stack.advance(seconds=61)
    (released,) = stack.released()
    assert ("published", START + 60) == (released.data, released.due)


def test_an_expired_schedule_is_reported(stack):
    """Removing the trigger's rule for a while makes the schedule late."""
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


def test_a_queue_of_the_user_can_be_a_target(stack):
    arn = stack.add_target("mine")
    stack.schedule({"delay": 1, "data": "x", "target": arn})
    stack.advance(seconds=3)
    (released,) = stack.released()
    assert released.queue.endswith("/mine")


@pytest.mark.parametrize("kind", ["sns", "lambda", "events", "states"])
def test_every_kind_of_target_can_be_a_target(stack, kind):
    """The test sees what each target got, and when."""
    arn = stack.add_target("theirs", kind)
    answer = stack.schedule({"delay": 3600, "data": {"order": 1}, "target": arn})
    stack.advance(hours=2)
    (delivered,) = stack.delivered()
    assert (arn, {"order": 1}, START + 3600) == (delivered.target, delivered.json, delivered.at)
    assert delivered.id in (answer["id"], None)


def test_a_second_target_does_not_replace_the_first():
    """A target that the stack was created with stays as well."""
    first = "arn:aws:sns:eu-central-1:123456789012:first"
    stack = Stack(TargetArns=first)
    stack._cloud.add_external_target("sns", "first")
    second = stack.add_target("second")
    stack.schedule([{"delay": 1, "data": "x", "target": target} for target in (first, second)])
    stack.advance(seconds=5)
    assert (1, 1) == (len(stack.delivered()), len(stack.released()))


def test_a_webhook_is_retried_until_its_host_accepts_it():
    """A host answers as the test wants. A refused request is no delivery."""
    stack = Stack(start=START, WebhookHosts="api.example.com")
    url = "https://api.example.com/orders"
    answer = stack.schedule({"delay": 10, "data": "x", "target": {"url": url}})
    stack.answer("api.example.com", status=503)
    stack.advance(seconds=12)
    assert [] == stack.delivered()
    stack.answer("api.example.com", status=204)
    stack.advance(minutes=15)
    (delivered,) = stack.delivered()
    assert (url, "x", answer["id"]) == (delivered.target, delivered.data, delivered.id)


def test_a_webhook_to_a_hanging_host_is_reported_as_failed():
    stack = Stack(start=START, WebhookHosts="*.example.com")
    stack.answer("api.example.com", status=None)
    stack.schedule({"delay": 1, "data": "x", "target": {"url": "https://api.example.com/"}, "retry": {"attempts": 2}})
    stack.advance(hours=1)
    assert [] == stack.delivered()
    assert ["failed"] == [failure["reason"] for failure in stack.failures()]


def test_a_stack_is_updated_with_all_its_schedules(stack):
    """The update lowers the partition count, and no schedule is orphaned."""
    stack.schedule([{"delay": 7200, "data": f"{number}"} for number in range(20)])
    stack.update(PartitionCount=1)
    stack.advance(hours=3)
    assert 20 == len(stack.released())


def test_a_refusal_has_a_reason(stack):
    with pytest.raises(Refused, match="exactly one of the two"):
        stack.schedule({"timestamp": START, "delay": 1, "data": "x"})


def test_an_unknown_parameter_is_an_error():
    with pytest.raises(ValueError, match="PartitionsCount"):
        Stack(PartitionsCount=2)


def test_time_does_not_go_backwards(stack):
    with pytest.raises(ValueError, match="backwards"):
        stack.advance(seconds=-1)


@pytest.mark.parametrize(
    "start",
    [
        "2030-06-01T08:00:00Z",
        "2030-06-01T10:00:00+02:00",
        "2030-06-01T08:00",
        1_906_531_200,
        datetime(2030, 6, 1, 8, tzinfo=UTC),
    ],
)
def test_the_clock_starts_at_any_form_of_a_moment(start, monkeypatch):
    """A text without an offset is in UTC, as in a request, wherever the machine stands."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert 1_906_531_200 == Stack(start=start).now
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    "moment", ["2030-01-02T00:00:00Z", START + 86_400, datetime(2030, 1, 2, 1, tzinfo=ZoneInfo("Europe/Berlin"))]
)
def test_the_clock_is_moved_to_any_form_of_a_moment(stack, moment):
    stack.schedule({"timestamp": "2030-01-01T23:59:58Z", "data": "x"})
    stack.advance_to(moment)
    assert START + 86_400 == stack.now
    assert ["x"] == [released.data for released in stack.released()]


@pytest.mark.parametrize(
    ("moment", "reason"),
    [
        (datetime(2031, 1, 1), "no time zone"),  # noqa: DTZ001 - That is the fault.
        ("tomorrow", "not ISO 8601"),
        (float("nan"), "no moment"),
        (None, "no moment"),
        ("2029-12-31", "it is 2030-01-01T00:00:00"),
    ],
)
def test_a_moment_that_is_none_is_refused_with_a_reason(stack, moment, reason):
    """The clock stays where it is."""
    with pytest.raises(ValueError, match=reason):
        stack.advance_to(moment)
    assert START == stack.now


def test_an_unknown_part_is_an_error_that_lists_what_there_is(stack):
    """Services, kinds of target and outputs."""
    with pytest.raises(ValueError, match=r"no service 's3'; it has apigateway, dynamodb, events, lambda, sns, sqs"):
        stack.client("s3")
    with pytest.raises(ValueError, match="no kind 'kinesis' of target; there are sqs, sns, lambda, events, states"):
        stack.add_target("mine", "kinesis")
    with pytest.raises(ValueError, match=r"no output 'QueueUrl'; it has .*OutputQueueUrl"):
        stack.output("QueueUrl")


def test_after_an_unsupported_call_the_next_ones_work(stack):
    """The error concerns the caller alone. The clock moves on, and functions run."""
    sqs = stack.client("sqs")
    with pytest.raises(NotImplementedError, match=r"the virtual sqs has no list_queues; it has .*receive_message"):
        sqs.list_queues()
    with pytest.raises(NotImplementedError, match="MessageGroupId"):
        sqs.send_message(QueueUrl=stack.output("OutputQueueUrl"), MessageBody="x", MessageGroupId="a")
    with pytest.raises(NotImplementedError, match="DryRun"):
        stack.client("lambda").invoke(FunctionName=stack.output("ScheduleFunction"), InvocationType="DryRun")
    stack.schedule({"delay": 3600, "data": "x"})
    stack.advance(hours=2)
    assert ["x"] == [released.data for released in stack.released()]
    assert {} == sqs.receive_message(QueueUrl=stack.output("FailureQueueUrl"))


def test_a_stack_says_that_it_belongs_to_one_thread(stack):
    """A web framework's test client, for example, calls the application in another thread."""
    with ThreadPoolExecutor(1) as pool, pytest.raises(RuntimeError, match="the thread that made it"):
        pool.submit(stack.schedule, {"delay": 1, "data": "x"}).result()
    stack.schedule({"delay": 1, "data": "x"})
    stack.advance(seconds=3)
    assert 1 == len(stack.released())


def test_after_a_refused_update_the_next_one_works(stack):
    with pytest.raises(ValueError, match="PartitionsCount"):
        stack.update(PartitionsCount=2)
    stack.update(PartitionCount=2)
    stack.add_target("mine")


def test_a_delivered_webhook_shows_its_request_and_the_failed_attempts():
    """The headers are those that the functions send."""
    stack = Stack(start=START, WebhookHosts="api.example.com")
    webhook = {"url": "https://api.example.com/a?b", "method": "PUT", "headers": {"X-Key": "k"}, "cookies": {"c": "d"}}
    answer = stack.schedule({"delay": 10, "data": {"order": 7}, "target": webhook, "name": "order/7", "user": "shop"})
    stack.answer("api.example.com", status=503)
    stack.advance(seconds=12)
    stack.answer("api.example.com", status=None)
    stack.advance(seconds=30)
    (refused, unanswered) = stack.failed_attempts()
    assert (503, None) == (refused.status, unanswered.status)
    assert (answer["id"], START + 10) == (refused.id, refused.at)
    stack.answer("api.example.com", status=204)
    stack.advance(minutes=15)
    (delivered,) = stack.delivered()
    assert ("PUT", "order/7", "shop") == (delivered.method, delivered.name, delivered.user)
    assert (refused, unanswered) == delivered.failed_attempts
    assert {
        "host": "api.example.com",
        "x-key": "k",
        "cookie": "c=d",
        "content-type": "application/json",
        "punctual-id": answer["id"],
    }.items() <= delivered.headers.items()


def test_a_webhook_without_data_is_a_get():
    stack = Stack(start=START, WebhookHosts="api.example.com")
    stack.schedule({"delay": 10, "target": {"url": "https://api.example.com/"}})
    stack.advance(seconds=12)
    (delivered,) = stack.delivered()
    assert ("GET", "", ()) == (delivered.method, delivered.data, delivered.failed_attempts)
    assert "content-type" not in delivered.headers


def test_a_delivery_shows_the_name_and_user_that_its_target_gets(stack):
    """A topic gets attributes, and a function gets them in an envelope."""
    topic, function = stack.add_target("topic", "sns"), stack.add_target("function", "lambda")
    for target in (topic, function, {"arn": function, "envelope": True}):
        stack.schedule({"delay": 10, "data": "x", "target": target, "name": f"n/{len(str(target))}", "user": "shop"})
    stack.advance(seconds=15)
    found = {(each.target, each.user) for each in stack.delivered()}
    assert {(topic, "shop"), (function, None), (function, "shop")} == found
    assert 2 == sum(each.name is not None and each.id is not None for each in stack.delivered())


def test_a_users_module_named_scheduler_stays_importable(monkeypatch):
    """The functions' package has the same name. The user's test imports the user's module."""
    mine = types.ModuleType("scheduler")
    monkeypatch.setitem(sys.modules, "scheduler", mine)
    Stack().schedule({"delay": 1, "data": "x"})
    assert sys.modules["scheduler"] is mine


def test_the_consumer_of_the_stack_logs_each_schedule():
    """ConsumerEnabled creates its function, which logs the lateness as well."""
    stack = Stack(start=START, ConsumerEnabled=True)
    stack.schedule([{"delay": delay, "data": "x"} for delay in (1, 2, 3)])
    stack.advance(seconds=5)
    assert 3 == len([line for line in stack.log() if line["outcome"] == "consumed"])


def test_large_schedules_due_together_are_sent_once_and_on_time():
    """A throttled partition needs half a minute to delete a hundred of the largest.

    The feed sends no more at once than it can delete before its end.
    """
    stack, data = Stack(start=START, PartitionCount=1), random.Random(0).randbytes(131_072).hex()
    for _ in range(20):
        assert 5 == stack.schedule([{"timestamp": START + 1_500, "data": data}] * 5)["accepted"]
        stack.advance(seconds=10)
    stack.advance(minutes=40)
    released = stack.released()
    assert (100, 100) == (len(released), len({each.id for each in released}))
    assert all(0 <= each.at - each.due < 1 for each in released)


@pytest.mark.parametrize("pollers", [1, 201, "two"])
def test_a_parameter_that_the_template_does_not_allow_is_refused(pollers):
    """The error says what is allowed, like that of CloudFormation."""
    with pytest.raises(ValueError, match="from 2 to 200"):
        Stack(DeliveryPollers=pollers)
    Stack(DeliveryPollers=2)
