"""The canary on the virtual AWS: no alarm in a healthy time, and an alarm for each fault that a user would notice."""

from __future__ import annotations

import json
from copy import copy
from dataclasses import replace

import pytest

from punctual.testing import Stack
from punctual.testing.outcomes import Refused
from punctual.testing.template import Template
from scheduler.canary import watching
from scheduler.canary.probes import FAR, NAMED, NEAR, PROBE_KINDS, Probe, State

START = 1_893_456_000
INTERVAL_S = 600


@pytest.fixture
def stack():
    return Stack(start=START, PartitionCount=2, Canary=True)


def metrics(stack):
    """Return the time in seconds and the value of each metric line."""
    return [(line["_aws"]["Timestamp"] / 1000, line["CanaryMissed"]) for line in stack.log() if "_aws" in line]


def is_alarm(stack):
    """Return for each period whether CanaryAlarm is in ALARM, by its definition in the template."""
    alarm = stack._cloud.template.of_type("AWS::CloudWatch::Alarm")["CanaryAlarm"]
    assert ("Sum", 1, "GreaterThanThreshold") == (
        alarm["Statistic"],
        alarm["EvaluationPeriods"],
        alarm["ComparisonOperator"],
    )
    states, values = [], metrics(stack)
    for begin_s in range(START, int(stack.now) - alarm["Period"] + 1, alarm["Period"]):
        found = [value for at_s, value in values if begin_s <= at_s < begin_s + alarm["Period"]]
        states.append(sum(found) > alarm["Threshold"] if found else alarm["TreatMissingData"] == "breaching")
    return states


def faults(stack):
    return [(line["kind"], line["why"]) for line in stack.log() if line.get("outcome") == "canary missed"]


def queue(stack, name="CanaryQueue"):
    return next(each for url, each in stack._cloud.sqs.queues.items() if url.endswith(f"-{name}"))


def rule(stack, function):
    return next(each for each in stack._cloud.functions.rules.values() if each.function.endswith(f"-{function}"))


def test_no_alarm_in_a_healthy_time(stack):
    """Each kind comes every minute, and each run reports a zero."""
    stack.advance(hours=1, seconds=40)
    assert {False} == set(is_alarm(stack))
    assert 60 == len(metrics(stack))
    kinds = [each.data.split()[0] for each in stack.released()]
    assert 60 == kinds.count(NEAR) == kinds.count(NAMED)
    assert 43 <= kinds.count(FAR)


@pytest.mark.slow
def test_no_alarm_in_eight_healthy_hours(stack):
    stack.advance(hours=8)
    assert {False} == set(is_alarm(stack))


@pytest.mark.slow
def test_the_canary_cleans_up_after_itself(stack):
    """The table holds an hour of names, the schedules that are under way, and one item of state."""
    stack.advance(minutes=70)
    (table,) = stack._cloud.dynamodb.tables.values()

    def left():
        rows = {key: list(rows.values()) for key, rows in table.items.items()}
        names = sum(len(each) for key, each in rows.items() if key.startswith("names#"))
        fars = sum(len(each) for key, each in rows.items() if key[0].isdigit())
        return names, fars, len(rows["meta"])

    before = left()
    stack.advance(minutes=70)
    assert (60, before[2]) == (left()[0], left()[2])
    assert abs(left()[1] - before[1]) <= 1
    assert len(queue(stack).messages) <= 20  # Far ones wait there for their time, up to 900 s.


def test_its_schedules_count_as_nobodys(stack):
    """They belong to an application without keys. The owner's lists, queues and ledger do not have them."""
    stack.update(Ledger=True)
    stack.schedule({"delay": 90_000, "data": "a user's"})
    stack.advance(minutes=30)
    assert ["a user's"] == [each["data"] for each in stack.manage("list")["schedules"]]
    assert 1 == stack.manage("forecast", **{"from": START, "to": START + 100_000, "bucket": 3_600})["total"]
    assert {queue(stack).url} == {each.queue for each in stack.released()}
    assert ["punctual-canary"] == [each["name"] for each in stack.administer("list")["applications"]]
    assert [] == stack.administer("keys", name="punctual-canary")["keys"]
    used = {name: stack.administer("usage", name=name, month="2030-01") for name in ("owner", "punctual-canary")}
    assert 1 == used["owner"]["total"]["accepted"]
    assert 80 < used["punctual-canary"]["total"]["accepted"]
    assert [] == stack.failures()


def test_a_stopped_feed_raises_the_alarm(stack):
    """Near and named schedules still come. The far ones are missing."""
    stack.advance(minutes=40)
    stack._cloud.functions.remove_rule(rule(stack, "TriggerFunction").name)
    stack.advance(minutes=40)
    assert is_alarm(stack)[-1]
    assert {(FAR, "has not come 90 s after its time")} == set(faults(stack))


def test_a_lost_message_raises_the_alarm_once(stack):
    stack.advance(seconds=630)
    messages = queue(stack).messages
    for each in [each for each in messages.values() if not each.body.startswith(FAR)]:
        del messages[each.id]
    stack.advance(minutes=30)
    assert [True] == [state for state in is_alarm(stack) if state]
    assert {NEAR, NAMED} == {kind for kind, _ in faults(stack)}


def test_a_doubled_message_raises_the_alarm(stack):
    """A message that SQS itself delivers twice has the same id, and does not count."""
    stack.advance(seconds=630)
    messages = queue(stack).messages
    original = next(each for each in messages.values() if each.body.startswith(NAMED))
    messages["another"] = replace(copy(original), id="another")
    stack.advance(minutes=30)
    assert [(NAMED, "came more than once")] == faults(stack)
    assert 1 == sum(is_alarm(stack))


def test_a_late_delivery_raises_the_alarm(stack):
    """The deliver function stands still for half a minute."""
    stack.advance(seconds=610)
    functions = stack._cloud.functions
    mapping = next(each for each in functions.mappings if each.queue_url.endswith("DeliveryQueue"))
    functions.mappings.remove(mapping)
    stack.advance(seconds=40)
    functions.add_mapping(mapping)
    stack.advance(minutes=20)
    ((kind, why),) = faults(stack)
    assert NAMED == kind
    assert why.startswith("came ")
    assert why.endswith(" ms late")
    assert 1 == sum(is_alarm(stack))


def test_a_canary_that_does_not_run_raises_the_alarm(stack):
    stack.advance(minutes=20)
    stack._cloud.functions.remove_rule(rule(stack, "CanaryFunction").name)
    stack.advance(minutes=10)
    assert [True] == is_alarm(stack)[-1:]


def test_a_schedule_function_that_refuses_raises_the_alarm(stack):
    """The log has the reason."""
    stack.advance(minutes=20)
    stack.update(TargetArns="arn:aws:sqs:eu-central-1:123456789012:other", Canary=False)
    stack.advance(minutes=5)
    assert is_alarm_since(stack)
    refusals = [line["why"] for line in stack.log() if line.get("outcome") == "canary not accepted"]
    assert "InvalidSchedule: " in refusals[0]
    assert "target" in refusals[0]


def is_alarm_since(stack):
    """Return whether anything is missed. The alarm itself is gone with the parameter."""
    return sum(value for _, value in metrics(stack)) > 0


def test_two_runs_in_a_minute_schedule_once(stack):
    """EventBridge may invoke the function twice for one minute."""
    rule(stack, "CanaryFunction").ticks = lambda moment_us: [0.0, 0.0, 5.0]
    stack.advance(minutes=40, seconds=10)
    assert {False} == set(is_alarm(stack))
    assert 40 == len(metrics(stack))
    assert {1} == {sum(each.data == other.data for other in stack.released()) for each in stack.released()}


def test_nothing_is_left_after_the_canary_is_switched_off(stack):
    """The far schedules that are under way go to the queue, which stays, and are gone an hour later."""
    stack.advance(minutes=30)
    stack._cloud.functions.remove_rule(rule(stack, "CanaryFunction").name)
    stack.update(Canary=False)
    stack.advance(hours=3)
    (table,) = stack._cloud.dynamodb.tables.values()
    assert not any(rows for key, rows in table.items.items() if key[0].isdigit() or key.startswith("quarantine"))
    assert [] == stack.failures()
    assert 0 == len(queue(stack, "DeadLetterQueue").messages)


def test_a_table_of_another_stack_gets_the_queue_of_this_one(stack):
    """A restored table has the application of the stack that was backed up."""
    stack.advance(minutes=5)
    (table,) = stack._cloud.dynamodb.tables.values()
    item = next(each for each in table.items["meta"].values() if each["sort"]["S"].startswith("application#"))
    gone = {"S": "arn:aws:sqs:eu-central-1:123456789012:of-another-stack"}
    stack.client("dynamodb").put_item(
        TableName=stack.output("TableName"), Item={**item, "targets": {"L": [gone]}, "default_target": gone}
    )
    stack.advance(minutes=20)
    assert {False} == set(is_alarm(stack))


def test_nobody_else_gets_the_name_of_the_canary(stack):
    with pytest.raises(Refused, match="which is reserved for the canary; wanted: another name"):
        stack.administer("create", name="punctual-canary", default_target="output")


def test_a_stack_without_a_canary_has_no_function_for_it(stack):
    """Only its queue is there, which costs nothing."""
    template = Stack(start=START)._cloud.template
    names = [name for name in template.resources if "Canary" in name]
    assert ["CanaryQueue", "CanaryQueueOverTlsOnly"] == names
    assert isinstance(template, Template)


# ------------------------------------------------------------------------------------------------------------- parts


def test_the_metric_line_is_in_the_embedded_metric_format(monkeypatch):
    """It has the configured level, or Lambda would drop it as INFO."""
    monkeypatch.setenv("AWS_LAMBDA_LOG_LEVEL", "ERROR")
    line = json.loads(watching.metric_line("punctual", 0, 1_893_456_000_123))
    names = [{"Name": "CanaryMissed", "Unit": "Count"}]
    metric = {"Namespace": "Punctual", "Dimensions": [["Stack"]], "Metrics": names}
    assert {"Timestamp": 1_893_456_000_123, "CloudWatchMetrics": [metric]} == line["_aws"]
    assert ("punctual", 0) == (line["Stack"], line["CanaryMissed"])
    assert ("ERROR", "2030-01-01T00:00:00Z") == (line["level"], line["timestamp"])


def test_the_state_can_be_read_again_and_is_short():
    """The table bills each kilobyte, so an hour of schedules must not take many."""
    state = State()
    for minute in range(60):
        state.begin(minute, minute * 60_000, 900_000)
        for probe in state.probes:
            probe.marks = ["0123abcd"]
    assert state == State.read(state.text())
    assert len(state.text()) < 3_000
    assert {*PROBE_KINDS} == {each.kind for each in state.probes}


@pytest.mark.parametrize("text", ["", "null", "5", '{"a": 1}', "[[9, 1, 1, 0]]", "[[1]]"])
def test_an_unreadable_state_counts_as_none(text):
    assert State() == State.read(text)


def test_a_request_has_what_a_user_would_send():
    """The names repeat after an hour."""
    assert {"timestamp": 5, "data": "near 61", "user": "canary"} == Probe(NEAR, 61, 5).request()
    assert "canary/1" == Probe(NAMED, 61, 5).request()["name"]
