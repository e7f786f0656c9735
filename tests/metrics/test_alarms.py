"""Each alarm of the template fires when its fault is made, and none fires in a healthy day."""

import re
from pathlib import Path

import pytest

from cloudwatch import CloudWatch
from punctual.testing import Stack
from punctual.testing.calls import Fair
from punctual.testing.services.aws_errors import refusal
from punctual.testing.template import Template
from punctual.testing.timeline import US
from scheduler import limits
from scheduler.measuring import stale_partitions

TEMPLATE = Path(__file__).parents[2] / "template.yml"
HOOK = {"url": "https://shop.example.com/hook"}
TOPIC = "arn:aws:sns:eu-central-1:123456789012:alarms"
HOUR_S = 3_600


def template(**parameters):
    return Template(TEMPLATE, {"Alarms": True, **parameters})


def alarms(**parameters):
    return template(**parameters).of_type("AWS::CloudWatch::Alarm")


def alarmed(**parameters):
    stack = Stack(Alarms=True, WebhookHosts="*.example.com", **parameters)
    return stack, CloudWatch(stack)


def one_by_one(first_s, count, seconds=0):
    """Return schedules that are stored one by one and not in bundles, because each has a token."""
    return [
        {"timestamp": first_s + seconds * number, "data": "x", "token": f"{first_s} {number}"}
        for number in range(count)
    ]


def consume(stack):
    """Read and delete what is visible in the output queue."""
    sqs, url = stack.client("sqs"), stack.output("OutputQueueUrl")
    while True:
        messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        if not messages:
            return
        for message in messages:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


@pytest.fixture(scope="module")
def healthy():
    """A day in which schedules of all kinds come and go, with a mistake of a caller now and then."""
    stack, watch = alarmed()

    def each_step(number):
        consume(stack)
        if number % 12 == 0:
            stack.schedule(one_by_one(stack.now + 2_000, 30, seconds=60))
            stack.schedule([{"delay": 90_000 + each, "data": f"{each}"} for each in range(100)])
            stack.schedule([{"delay": each, "data": "near"} for each in range(100)])
            stack.schedule([{"delay": 30 * each, "data": "x", "target": HOOK} for each in range(40)])
            stack.schedule({"delay": 7_200, "data": "named", "name": f"n{number}", "target": HOOK})
            stack.schedule({"delay": 7_200, "data": "named", "name": f"m{number}"})
            stack.schedule([{"delay": 60, "data": "x", "expires_after": 3_600}, {"data": "no time"}])
        if number % 12 == 6:
            stack.manage("move", name=f"n{number - 6}", delay=60)
            stack.manage("cancel", name=f"m{number - 6}")
        if number == 98:
            stack.answer("shop.example.com", 410)  # Once in this day, for five minutes.
        if number == 99:
            stack.answer("shop.example.com", 200)

    watch.run(hours=24, each_step=each_step)
    return watch


@pytest.mark.slow
def test_no_alarm_fires_in_a_healthy_day(healthy):
    """The first minutes of a stack count, too, but for the heartbeat: no feed has run before the first tick."""
    fired = healthy.fired()
    assert all(moment <= 2 * 600 for moment in fired.pop("HeartbeatAlarm", []))
    assert {} == fired


@pytest.mark.slow
def test_the_healthy_day_was_busy(healthy):
    """Otherwise it would show nothing."""
    assert healthy.total("Accepted") > 5_000
    assert healthy.total("Fed") > 500
    assert healthy.total("Delivered") > 900
    assert 0 < healthy.total("Failed") < 60
    assert 24 == healthy.total("Rejected")
    assert 0 == healthy.total("Overdue") == healthy.total("StalePartitions") == healthy.total("Quarantined")


class Refusing(Fair):
    """AWS refuses some calls."""

    def __init__(self, service, operation, error, which=lambda parameters: True):
        super().__init__(there_s=0.0, back_s=0.0)
        self.asked, self.error, self.which = (service, operation), error, which

    def call_fault(self, call):
        fault = super().call_fault(call)
        if (call.service, call.operation) == self.asked and self.which(call.parameters):
            fault.error_before = self.error
        return fault


def the_output_queue_is_down():
    stack, watch = alarmed(PartitionCount=1)
    stack.schedule(one_by_one(stack.now + 1_800, 5))
    down = refusal("ServiceUnavailable", "", 503)
    stack._cloud.network.faults = Refusing(
        "sqs", "send_message_batch", down, lambda parameters: "OutputQueue" in parameters["QueueUrl"]
    )
    watch.run(hours=1.5)
    return watch


def a_partition_cannot_be_read():
    stack, watch = alarmed(PartitionCount=2)
    watch.run(hours=0.5)
    broken = refusal("InternalServerError", "", 500)

    def of_partition_1(parameters):
        return parameters["ExpressionAttributeValues"].get(":partition") == {"S": "1"}

    stack._cloud.network.faults = Refusing("dynamodb", "query", broken, of_partition_1)
    watch.run(hours=1)
    return watch


def a_target_is_gone():
    stack, watch = alarmed()
    stack.answer("shop.example.com", 410)
    watch.run(hours=1, each_step=lambda number: stack.schedule({"delay": 5, "data": "x", "target": HOOK}))
    return watch


def the_feeds_come_late():
    stack, watch = alarmed(PartitionCount=1)
    stack.schedule({"delay": HOUR_S, "data": "x"})
    stack._cloud.functions.skip_ticks(round((stack.now + 1.2 * HOUR_S) * US))
    watch.run(hours=2)
    return watch


def a_target_is_down():
    stack, watch = alarmed()
    stack.answer("shop.example.com", 503)
    some = [{"delay": 5, "data": "x", "target": HOOK}] * 20
    watch.run(hours=0.75, each_step=lambda number: stack.schedule(some))
    return watch


def the_table_throttles():
    stack, watch = alarmed()
    too_much = refusal("ProvisionedThroughputExceededException", "", 400)
    stack._cloud.network.faults = Refusing("dynamodb", "batch_write_item", too_much)

    watch.run(hours=0.5, each_step=lambda number: stack.schedule(one_by_one(stack.now + 9_000, 300)))
    return watch


def lambda_throttles():
    stack, watch = alarmed(FeedIntervalMinutes=1)
    stack._cloud.network.faults = Refusing("lambda", "invoke", refusal("TooManyRequestsException", "", 429))
    watch.run(hours=0.5)
    return watch


def a_schedule_can_never_be_sent():
    stack, watch = alarmed(PartitionCount=1)
    stack._cloud.sqs.refused = lambda body: body == "poison"
    stack.schedule({"delay": 1_000, "data": "poison"})
    watch.run(hours=0.5)
    return watch


def nobody_reads_the_output_queue():
    stack, watch = alarmed()
    stack.schedule({"delay": 5, "data": "x"})
    watch.run(hours=4.5)
    return watch


def nothing_delivers():
    stack, watch = alarmed()
    functions, name = stack._cloud.functions, stack._cloud.template.name("DeliverFunction")
    functions.mappings[:] = [each for each in functions.mappings if each.function != name]
    stack.schedule({"delay": 5, "data": "x", "target": HOOK})
    watch.run(hours=1)
    return watch


def the_rule_is_off():
    stack, watch = alarmed()
    watch.run(hours=0.5)
    for rule in stack._cloud.functions.rules.values():
        rule.ticks = lambda moment_us: []
    watch.run(hours=1)
    return watch


FAULTS = {
    "OverdueAlarm": the_output_queue_is_down,
    "DeadLetterAlarm": the_output_queue_is_down,
    "StalePartitionsAlarm": a_partition_cannot_be_read,
    "FailuresAlarm": a_target_is_gone,
    "FeedLagAlarm": the_feeds_come_late,
    "RetriesAlarm": a_target_is_down,
    "TableThrottlesAlarm": the_table_throttles,
    "FunctionThrottlesAlarm": lambda_throttles,
    "QuarantineAlarm": a_schedule_can_never_be_sent,
    "OutputAgeAlarm": nobody_reads_the_output_queue,
    "DeliveryAgeAlarm": nothing_delivers,
    "HeartbeatAlarm": the_rule_is_off,
}


@pytest.mark.slow
@pytest.mark.parametrize("alarm", FAULTS)
def test_an_alarm_fires_when_its_fault_is_made(alarm):
    assert alarm in FAULTS[alarm]().fired()


def test_every_alarm_has_its_fault():
    """The canary has tests of its own."""
    assert set(FAULTS) == set(alarms()) - {"CanaryAlarm"}


def test_the_overdue_alarm_ends_when_the_feeds_have_caught_up():
    stack, watch = alarmed(PartitionCount=1)
    stack.schedule({"delay": HOUR_S, "data": "x"})
    stack._cloud.functions.skip_ticks(round((stack.now + 1.2 * HOUR_S) * US))
    watch.run(hours=3)
    assert 1 == watch.total("Overdue")
    assert "OverdueAlarm" not in watch.fired()


ALWAYS = {"HeartbeatAlarm", "DeadLetterAlarm", "QuarantineAlarm", "OutputAgeAlarm", "DeliveryAgeAlarm"}
FOR_THE_DASHBOARD = {"FeedLagAlarm", "RetriesAlarm", "TableThrottlesAlarm", "FunctionThrottlesAlarm"}


def test_a_stack_has_five_alarms_and_twelve_on_request():
    """An update to this version takes none away."""
    assert ALWAYS == set(alarms(Alarms=False))
    assert ALWAYS < set(alarms()) - {"CanaryAlarm"} == set(FAULTS)


def test_alarms_and_dashboard_turn_the_metrics_on():
    """Without them, they would show nothing for ever."""
    for parameters in ({"Metrics": True}, {"Alarms": True}, {"Dashboard": True}):
        for name in ("Schedule", "Trigger", "Feed", "Deliver", "Api"):
            found = Template(TEMPLATE, {"ApiEnabled": True, **parameters}).resources[f"{name}Function"]
            variables = found["Properties"]["Environment"]["Variables"]
            assert "virtual" == variables["METRICS"]
    off = Template(TEMPLATE, {}).resources["FeedFunction"]["Properties"]["Environment"]["Variables"]
    assert "" == off["METRICS"]


def test_an_alarm_that_could_wake_somebody_goes_to_the_topic_and_no_other():
    found = alarms(AlarmTopicArn=TOPIC)
    notified = {name for name, each in found.items() if each.get("AlarmActions") == [TOPIC]}
    assert set(found) - FOR_THE_DASHBOARD == notified
    assert not [name for name, each in alarms().items() if "AlarmActions" in each]


@pytest.mark.parametrize("name", FAULTS)
def test_a_description_says_what_to_do(name):
    """CloudWatch sends it with the alarm."""
    text = alarms()[name]["AlarmDescription"]
    sentences = re.split(r"(?<=\.) ", text)
    verbs = ("Run", "Look", "Ask", "Raise", "Fix", "Read", "Check", "Start")
    assert any(sentence.startswith(verbs) for sentence in sentences), text
    assert len(text) <= 1_024


def test_the_lag_alarm_comes_before_anything_is_late():
    """Less is left than a feed needs that was retried twice. The span of a bundle comes off its first member."""
    made = template()
    interval_s = int(made.parameters["FeedIntervalMinutes"]) * 60
    feed = made.resources["FeedFunction"]["Properties"]
    attempts_s = sum(limits.LAMBDA_RETRY_WAITS_S) + (1 + limits.LAMBDA_RETRIES_MAX) * feed["Timeout"]
    threshold_s = alarms()["FeedLagAlarm"]["Threshold"]
    assert threshold_s == int(made.parameters["ReachSeconds"]) - interval_s - attempts_s == 60
    healthy_s = int(made.parameters["ReachSeconds"]) - interval_s - 60
    assert healthy_s - feed["Timeout"] > threshold_s


@pytest.mark.parametrize("name", ["TableThrottlesAlarm", "FunctionThrottlesAlarm"])
def test_throttles_matter_when_they_last_as_long_as_the_reach(name):
    alarm = alarms()[name]
    (period_s,) = {each["MetricStat"]["Period"] for each in alarm["Metrics"] if "MetricStat" in each}
    assert limits.SQS_DELAY_S_MAX == alarm["EvaluationPeriods"] * period_s


@pytest.mark.parametrize("minutes", [1, 10])
@pytest.mark.parametrize("name", ["OverdueAlarm", "StalePartitionsAlarm"])
def test_what_the_next_feed_mends_wakes_nobody(name, minutes):
    """Two intervals in a row, for every allowed interval."""
    alarm = alarms(FeedIntervalMinutes=minutes)[name]
    assert (60 * minutes, 2, 0) == (alarm["Period"], alarm["EvaluationPeriods"], alarm["Threshold"])


def test_a_partition_is_stale_after_two_missed_ticks_and_not_after_one():
    """A feed that ends at once leaves an age of nearly two intervals at the second trigger after it."""
    assert 2 < stale_partitions.INTERVALS_MAX < 3


def test_one_failure_is_no_trend():
    """A failed delivery in three of six periods is."""
    alarm = alarms()["FailuresAlarm"]
    assert (6, 3, 600, 0) == tuple(
        alarm[name] for name in ("EvaluationPeriods", "DatapointsToAlarm", "Period", "Threshold")
    )


def test_missing_data_is_no_fault_except_for_the_heartbeat():
    """Zeros are not printed, and AWS sends none for throttles."""
    treated = {name: each["TreatMissingData"] for name, each in alarms().items()}
    assert "breaching" == treated.pop("HeartbeatAlarm")
    assert {"notBreaching"} == set(treated.values())


def test_an_alarm_on_the_table_is_an_expression():
    """An alarm on a metric of DynamoDB alone ignores missing data, and would never end."""
    for name, alarm in alarms().items():
        assert "AWS/DynamoDB" != alarm.get("Namespace"), name
