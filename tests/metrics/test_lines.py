"""The functions print their metrics in CloudWatch's embedded metric format, one line for each invocation."""

import importlib
import json
import threading
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import pytest

from cloudwatch import CloudWatch, metric_lines, names_in, run
from punctual.testing import Refused, Stack
from punctual.testing.calls import Fair
from punctual.testing.services.aws_errors import refusal
from punctual.testing.timeline import US
from scheduler import log
from scheduler.errors import NotConfirmed, Undelivered
from scheduler.measuring.embedded_metrics import UNITS, VALUES_MAX, EmbeddedMetrics
from scheduler.measuring.metrics import NO_METRICS

SCHEMA = json.loads((Path(__file__).parent / "emf_schema.json").read_text())
CONTRACT = {
    *("Accepted", "Rejected", "Fed", "FeedLag", "Overdue", "Quarantined"),
    *("Delivered", "Retried", "Failed", "Expired", "Lateness", "StalePartitions"),
}
HOOK = {"url": "https://shop.example.com/hook"}
GONE = {"url": "https://gone.example.com/hook"}
DOWN = {"url": "https://down.example.com/hook"}


def busy(**parameters):
    """Return a stack in which every metric has something to count."""
    stack = Stack(PartitionCount=2, WebhookHosts="*.example.com", **parameters)
    stack.answer("gone.example.com", 410)
    stack.answer("down.example.com", 503)
    stack._cloud.sqs.refused = lambda body: body == "poison"
    stack.schedule({"delay": 5, "data": "near"})
    with pytest.raises(Refused):
        stack.schedule({"delay": 5})
    stack.schedule([{"delay": 5, "data": "x"}, {"data": "no time"}, {"delay": 5, "data": "y", "target": HOOK}])
    stack.schedule([{"delay": 5, "data": "gone", "target": GONE}, {"delay": 5, "data": "down", "target": DOWN}])
    stack.schedule([{"delay": 4_000 + number, "data": f"far {number}"} for number in range(20)])
    stack.schedule({"delay": 4_000, "data": "poison"})
    stack.schedule({"delay": 4_000, "data": "named", "name": "n"})
    stack.schedule({"delay": 4_000, "data": "late", "expires_after": 60})
    body = json.dumps({"schedules": [{"delay": 60, "data": "by queue"}, {"data": "no time"}]})
    stack.client("sqs").send_message(QueueUrl=stack.output("InputQueueUrl"), MessageBody=body)
    run(stack, 900)
    stack._cloud.functions.skip_ticks(round((stack.now + 3_600) * US))
    stack.advance(seconds=7_200)
    return stack


@pytest.fixture(scope="module")
def lines():
    return metric_lines(busy(Metrics=True))


def test_every_line_meets_the_published_schema_of_the_format(lines):
    """Targets of references are numbers, lists of at most a hundred numbers, or the text of a dimension."""
    assert len(lines) > 10
    for line in lines:
        jsonschema.validate(line, SCHEMA)
        for directive in line["_aws"]["CloudWatchMetrics"]:
            for each in directive["Metrics"]:
                value = line[each["Name"]]
                values = value if isinstance(value, list) else [value]
                assert 1 <= len(values) <= 100
                assert all(type(number) in (int, float) for number in values)
            assert [["Stack"]] == directive["Dimensions"]
            assert ("Punctual", "virtual") == (directive["Namespace"], line["Stack"])


def test_the_metrics_are_those_of_the_contract(lines):
    """Some hours with faults of all kinds bring each of them up."""
    assert set(UNITS) == CONTRACT == names_in(lines)
    units = {name: unit for name, unit in UNITS.items() if unit != "Count"}
    assert {"FeedLag": "Seconds", "Lateness": "Milliseconds"} == units


def test_the_metrics_count_what_became_of_the_schedules(lines):
    """Accepted ones are 29: 5 near, 23 far, and one of the input queue."""
    total = Counter()
    for line in lines:
        total.update({name: line[name] for name in names_in([line]) if UNITS[name] == "Count"})
    assert (29, 3) == (total["Accepted"], total["Rejected"])
    assert (21, 22, 1, 1) == tuple(total[name] for name in ("Fed", "Overdue", "Quarantined", "Expired"))
    assert (2, 2) == (total["Delivered"], total["Failed"])  # One was gone, and one was down for twelve attempts.
    assert 11 == total["Retried"]
    least = min(line["FeedLag"] for line in lines if "FeedLag" in line)
    assert -4_000 < least < 0


def test_an_invocation_prints_at_most_one_line_and_no_zeros(lines):
    """An invocation that did nothing prints none."""
    assert not [line for line in lines if 0 in [line[name] for name in names_in([line])]]
    stack = Stack(PartitionCount=1, Metrics=True)
    run(stack, 7_200)
    assert [] == metric_lines(stack)
    assert len([line for line in stack.log() if line["outcome"] == "fed"]) > 10
    stack.schedule([{"delay": 5, "data": "x"}] * 1_000)
    assert [1_000] == [line["Accepted"] for line in metric_lines(stack)]


def test_a_stack_without_metrics_prints_none_and_makes_no_object():
    stack = busy()
    assert [] == metric_lines(stack)
    assert "metrics" not in {line["outcome"] for line in stack.log()}
    assert not NO_METRICS.on


class Calls(Fair):
    """Counts the calls of the functions."""

    def __init__(self):
        super().__init__(there_s=0.0, back_s=0.0)
        self.counted = Counter()

    def call_fault(self, call):
        self.counted[call.process.name.split("#")[0].removeprefix("virtual-"), call.operation] += 1
        return super().call_fault(call)


def test_metrics_add_one_read_in_a_tick_and_no_other_call():
    """The lease of a partition is updated at the end of its feed instead of deleted."""
    counted = {}
    for metrics in (False, True):
        stack = Stack(PartitionCount=2, Metrics=metrics, WebhookHosts="*.example.com")
        stack._cloud.network.faults = calls = Calls()
        stack.schedule([{"delay": 2_000, "data": "x"}] * 50)
        stack.schedule({"delay": 60, "data": "x", "target": HOOK, "name": "n"})
        run(stack, 3_600)
        counted[metrics] = calls.counted
    without, with_ = counted[False], counted[True]
    ticks = without["TriggerFunction", "get_item"]
    assert ticks > 2
    ended = without["FeedFunction", "delete_item"]
    assert {("TriggerFunction", "query"): ticks, ("FeedFunction", "update_item"): ended} == dict(with_ - without)
    assert {("FeedFunction", "delete_item"): ended} == dict(without - with_)


def test_a_feed_that_fails_prints_what_it_did():
    """The queue of the stack takes nothing, so the feed raises an error. The schedules are overdue meanwhile."""

    class Down(Fair):
        def call_fault(self, call):
            fault = super().call_fault(call)
            if call.operation == "send_message_batch" and "OutputQueue" in call.parameters["QueueUrl"]:
                fault.error_before = refusal("ServiceUnavailable", "", 503)
            return fault

    stack = Stack(PartitionCount=1, Metrics=True)
    stack.schedule([{"timestamp": stack.now + 1_500, "data": "x", "token": f"t{number}"} for number in range(3)])
    stack._cloud.network.faults = Down(there_s=0.0, back_s=0.0)
    stack.advance(seconds=1_900)
    found = metric_lines(stack)[1:]
    assert {"Overdue"} == names_in(found)
    assert [3] * len(found) == [line["Overdue"] for line in found]


class Clock:
    now_s = 1_893_456_000.25

    def __call__(self):
        return self.now_s


@pytest.fixture
def metrics():
    return EmbeddedMetrics("shop", Clock())


def written(metrics, capsys):
    capsys.readouterr()
    metrics.write()
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    for line in found:
        jsonschema.validate(line, SCHEMA)
    return found


def test_a_line_holds_what_was_counted_since_the_last_one(metrics, capsys):
    metrics.received(3, 0)
    metrics.retried()
    metrics.retried()
    (line,) = written(metrics, capsys)
    assert (3, 2, "shop", 1_893_456_000_250) == (
        line["Accepted"],
        line["Retried"],
        line["Stack"],
        line["_aws"]["Timestamp"],
    )
    assert {"Accepted", "Retried"} == names_in([line])
    assert [] == written(metrics, capsys)


def test_more_than_a_hundred_latenesses_take_more_lines(metrics, capsys):
    """The format allows no more in a list. All other metrics are in the first line."""
    for number in range(2 * VALUES_MAX + 1):
        metrics.attempted(number, 1, None)
    first, second, third = written(metrics, capsys)
    assert [100, 100, 1] == [len(line["Lateness"]) for line in (first, second, third)]
    assert list(range(201)) == first["Lateness"] + second["Lateness"] + third["Lateness"]
    assert 201 == first["Delivered"]
    assert {"Lateness"} == names_in([second, third])


def test_lateness_is_that_of_the_first_call_of_the_target(metrics, capsys):
    """The target causes the lateness of a second call. A fault of our own made no call."""
    metrics.attempted(7, 1, Undelivered("503"))
    metrics.attempted(9_000, 2, None)
    metrics.attempted(5, 1, Undelivered("no secret", ours=True))
    (line,) = written(metrics, capsys)
    assert ([7], 1) == (line["Lateness"], line["Delivered"])


def test_the_lag_is_the_least_of_a_run(metrics, capsys):
    """It is negative for schedules that leave after their time."""
    metrics.left([], 10_000)
    metrics.left([70_000, 50_000], 10_000)
    metrics.left([60_000], 10_000)
    (line,) = written(metrics, capsys)
    assert 40 == line["FeedLag"]
    metrics.left([9_500], 10_000)
    assert -0.5 == written(metrics, capsys)[0]["FeedLag"]


def test_a_request_without_confirmation_counts_as_rejected(metrics, capsys):
    """The caller gets an error in either case."""

    def unconfirmed():
        raise NotConfirmed("time is over")

    with pytest.raises(NotConfirmed):
        metrics.accepting(unconfirmed)
    assert 1 == written(metrics, capsys)[0]["Rejected"]


def test_threads_of_an_invocation_count_together(metrics, capsys):
    def work():
        for _ in range(1_000):
            metrics.attempted(1, 2, None)
            metrics.ended("failed")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (line,) = written(metrics, capsys)
    assert (8_000, 8_000) == (line["Delivered"], line["Failed"])


@pytest.mark.parametrize("level", ["WARN", "ERROR"])
def test_every_log_level_keeps_the_metrics(capsys, monkeypatch, level):
    """Lambda drops a line below the level of the stack. It takes a line without level and timestamp for INFO."""
    monkeypatch.setenv("AWS_LAMBDA_LOG_LEVEL", level)
    fresh = importlib.reload(log)
    fresh.at_any_level("metrics", '"Fed": 1')
    (line,) = [json.loads(text) for text in capsys.readouterr().out.splitlines()]
    assert (level, 1) == (line["level"], line["Fed"])
    assert datetime.fromisoformat(line["timestamp"]).tzinfo is UTC
    monkeypatch.undo()
    importlib.reload(log)


def test_a_line_of_metrics_is_info_where_the_stack_logs_that(capsys, monkeypatch):
    """The line has no level then."""
    for level in ("", "DEBUG", "INFO"):
        monkeypatch.setenv("AWS_LAMBDA_LOG_LEVEL", level)
        importlib.reload(log).at_any_level("metrics", '"Fed": 1')
    found = [json.loads(text) for text in capsys.readouterr().out.splitlines()]
    assert [{"outcome": "metrics", "Fed": 1}] * 3 == found
    monkeypatch.undo()
    importlib.reload(log)


def test_the_api_counts_what_it_accepts():
    stack = Stack(Metrics=True, ApiEnabled=True)
    key = stack.administer("create", name="owner")["data"]["key"]
    watch = CloudWatch(stack)
    assert 201 == stack.request("POST", "/schedules", {"delay": 60, "data": "x"}, key=key).status
    assert 400 == stack.request("POST", "/schedules", {"delay": 60}, key=key).status
    watch.look()
    assert (1, 1) == (watch.total("Accepted"), watch.total("Rejected"))
