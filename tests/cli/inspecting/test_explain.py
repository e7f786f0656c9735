"""`punctual explain`: where a schedule is, what moved it, and why it was late. The stack is virtual."""

import json
from datetime import timedelta
from typing import Any

import pytest

from punctual.cli import group
from punctual.cli.run import Run
from punctual.testing import Stack
from punctual.testing.calls import Call, CallFault, Fair
from tests.cli.conftest import Punctual
from tests.cli.services import Aws, payload, refusal

HOOK = "https://api.example.com/hook"
LOST_ID = "1-001893460000000-0123456789abcdef"


class FeedFault(Fair):
    """The calls of the feed to the table are slow, or the table throttles what the feed reads."""

    def __init__(self, *, there_s: float = 0.0, throttled: bool = False) -> None:
        super().__init__(there_s=0.0, back_s=0.0)
        self._slow_s, self._throttled = there_s, throttled

    def call_fault(self, call: Call) -> CallFault:
        fault = super().call_fault(call)
        if call.service == "dynamodb" and "FeedFunction" in call.process.name:
            fault.there_s = self._slow_s
            if self._throttled and call.operation == "query":
                fault.error_before = refusal("ThrottlingException")
        return fault


def explained(punctual: Punctual, *which: str) -> tuple[str, str]:
    """Return the verdict, and the sentences for people."""
    shown = punctual("explain", *which, "--tz", "UTC")
    fields = punctual("explain", *which, "--tz", "UTC", "--json").json
    assert shown.out.splitlines()[0] == fields["explanation"][0]
    return fields["verdict"], " ".join(shown.out.split())


def disable_rule(stack: Stack) -> None:
    """Disable the rule of the trigger function, so that no feed runs."""
    stack._cloud.functions.rules.clear()


def wait(stack: Stack, **duration: float) -> None:
    """Let time pass without the rule, which `advance` needs."""
    stack.backend().sleep(timedelta(**duration).total_seconds())


def feed(stack: Stack) -> None:
    stack.client("lambda").invoke(FunctionName=stack.output("TriggerFunction"), Payload=b"{}")


def test_a_far_schedule_waits_for_its_feed(punctual: Punctual, stack: Stack) -> None:
    punctual("schedule", "x", "--in", "2h", "--name", "bill")
    verdict, text = explained(punctual, "bill")
    assert "stored" == verdict
    assert "is due 2030-01-01 02:00:00Z (in 2h). It goes to the output queue." in text
    assert "It was accepted 2030-01-01 00:00:00Z (now), 2h before its time." in text
    assert "from 2030-01-01 01:45:00Z (in 1h 45m) on, and until 2030-01-01 01:56:00Z" in text


def test_a_schedule_within_reach_waits_for_the_next_feed(punctual: Punctual, stack: Stack) -> None:
    """`get` says queued. The runs of the feed tell that nothing has moved it yet."""
    punctual("schedule", "x", "--in", "2h", "--name", "bill")
    stack.advance(hours=1, minutes=47)
    assert "queued" == punctual("get", "bill", "--json").json["state"]
    verdict, text = explained(punctual, "bill")
    assert "stored" == verdict
    assert "It is within reach, and the next feed of partition" in text
    assert "That feed last ran 2030-01-01 01:40:00" in text


def test_a_schedule_that_a_throttled_feed_did_not_read_is_in_the_table(punctual: Punctual, stack: Stack) -> None:
    """The run failed before it had read anything, so it notes an error and nothing left."""
    punctual("schedule", "x", "--in", "2h", "--name", "bill")
    stack._cloud.network.faults = FeedFault(throttled=True)
    stack.advance(hours=1, minutes=55)
    verdict, text = explained(punctual, "bill")
    assert "stored" == verdict
    assert "It is within reach, and the next feed of partition" in text
    assert "The last run of that feed, 2030-01-01 01:5" in text
    assert "failed: " in text
    assert "ThrottlingException" in text

    wait(stack, minutes=10)
    verdict, text = explained(punctual, "bill")
    assert "overdue" == verdict
    assert "It is still in the table, 5m after its time." in text
    assert "Its run of 2030-01-01 01:50:00" in text
    assert "failed: " in text


def test_a_schedule_that_was_late_after_a_throttled_feed_says_so(punctual: Punctual, stack: Stack) -> None:
    punctual("schedule", "x", "--in", "2h", "--name", "bill")
    stack._cloud.network.faults = FeedFault(throttled=True)
    stack.advance(hours=2, minutes=5)
    stack._cloud.network.faults = Fair(there_s=0.0, back_s=0.0)
    stack.advance(minutes=10)
    verdict, text = explained(punctual, "bill")
    assert "delivered" == verdict
    assert "moved it: its run of 2030-01-01 02:10:00" in text
    assert "Its delivery began 10m late. The feed's run of 2030-01-01 01:50:00" in text
    assert "failed: " in text


def test_a_schedule_that_a_run_hands_over_is_in_the_table_until_the_next_run_moves_it(
    punctual: Punctual, stack: Stack
) -> None:
    """The first run has no time to read more than a page, and leaves nothing of what it has read."""
    stack.update(PartitionCount=1)
    before = [{"timestamp": stack.now + 7_199, "data": "x", "name": f"order/{number}"} for number in range(50)]
    stack.schedule([*before, {"timestamp": stack.now + 7_200, "data": "x", "name": "bill"}])
    stack._cloud.network.faults = FeedFault(there_s=2.0)
    stack.advance(hours=1, minutes=50, seconds=13)
    runs = punctual("explain", "bill", "--json").json["feed"]["runs"]
    assert [(50, 0, None)] == [(each["moved"], each["left"], each["error"]) for each in runs[-1:]]
    verdict, text = explained(punctual, "bill")
    assert "stored" == verdict
    assert "It is within reach, and the next feed of partition 0" in text

    moving = explained(punctual, "order/0")[1]
    assert "moved it, in its run of 2030-01-01 01:50:00" in moving
    stack.advance(minutes=2)
    verdict, text = explained(punctual, "bill")
    assert "queued" == verdict
    assert "moved it, in its run of 2030-01-01 01:50:00" in text
    assert "or a later one." in text


def test_a_moved_schedule_whose_run_is_not_noted(punctual: Punctual, stack: Stack) -> None:
    """The run has sent and deleted it, and has not ended yet."""
    punctual("schedule", "x", "--in", "2h", "--name", "bill")
    stack._cloud.network.faults = FeedFault(there_s=2.0)
    stack.advance(hours=1, minutes=50, seconds=9)
    verdict, text = explained(punctual, "bill")
    assert "queued" == verdict
    assert "has noted no run since 2030-01-01 01:45:00Z (5m 9s ago) that moved a schedule." in text


def test_a_near_schedule_went_straight_to_the_queue(punctual: Punctual) -> None:
    punctual("schedule", "x", "--in", "5m", "--name", "bill")
    verdict, text = explained(punctual, "bill")
    assert "queued" == verdict
    assert "went straight to the queue, without a feed" in text
    assert "SQS counts 1 message in the delivery queue." in text


def test_a_moved_schedule_names_the_run_of_the_feed(punctual: Punctual, stack: Stack) -> None:
    punctual("schedule", "x", "--in", "2h", "--name", "bill")
    stack.advance(hours=1, minutes=55)
    verdict, text = explained(punctual, "bill")
    assert "queued" == verdict
    assert "its run of 2030-01-01 01:50:00" in text
    assert "moved 1 schedule." in text


def test_a_delivered_schedule_has_its_lateness(punctual: Punctual, stack: Stack) -> None:
    punctual("schedule", "x", "--in", "5m", "--name", "bill")
    stack.advance(minutes=6)
    verdict, text = explained(punctual, "bill")
    assert "delivered" == verdict
    assert "It was delivered 2030-01-01 00:05:00" in text
    assert "late" not in text
    assert 0 <= punctual("explain", "bill", "--json").json["lateness"] < 1


def test_a_retried_webhook_lists_its_attempts(punctual: Punctual, stack: Stack) -> None:
    stack.answer("api.example.com", 500)
    punctual("schedule", "x", "--in", "1m", "--name", "web", "--target", HOOK)
    stack.advance(minutes=1, seconds=12)
    verdict, text = explained(punctual, "web")
    assert "retrying" == verdict
    assert "2 attempts failed. The last error: answered 500. The next attempt is 2030-01-01 00:01:" in text
    assert "Attempt 1 began 2030-01-01 00:01:00" in text
    assert "Attempt 2 began 2030-01-01 00:01:" in text
    assert 2 == len(punctual("explain", "web", "--json").json["attempt_times"])


def test_a_failed_schedule_says_how_to_send_it_again(punctual: Punctual, stack: Stack) -> None:
    stack.answer("api.example.com", 404)
    id = stack.schedule({"delay": 60, "data": "x", "name": "web", "target": {"url": HOOK}})["id"]
    stack.advance(minutes=2)
    verdict, text = explained(punctual, "web")
    assert "failed" == verdict
    assert "after 1 attempt: answered 404." in text
    assert f"punctual redrive {id} schedules it again" in text


def test_an_unnamed_failure_is_found_by_its_id(punctual: Punctual, stack: Stack) -> None:
    stack.answer("api.example.com", 404)
    id = stack.schedule({"delay": 60, "data": "x", "target": {"url": HOOK}})["id"]
    stack.advance(minutes=2)
    verdict, text = explained(punctual, "--id", id)
    assert "failed" == verdict
    assert f"{id} failed 2030-01-01 00:01:00" in text
    assert f"was to go to {HOOK}" in text


def test_an_expired_schedule_says_why_it_was_late(punctual: Punctual, stack: Stack) -> None:
    punctual("schedule", "x", "--in", "2h", "--name", "bill", "--expires-after", "10m")
    disable_rule(stack)
    wait(stack, hours=3)
    feed(stack)
    wait(stack, minutes=1)
    verdict, text = explained(punctual, "bill")
    assert "expired" == verdict
    assert "It expired 2030-01-01 03:00:00" in text
    assert "Its feed was late: it had to run until 2030-01-01 01:56:00Z" in text


def test_a_cancelled_schedule(punctual: Punctual, stack: Stack) -> None:
    punctual("schedule", "x", "--in", "2h", "--name", "bill")
    stack.advance(minutes=10)
    punctual("cancel", "bill")
    stack.advance(minutes=10)
    verdict, text = explained(punctual, "bill")
    assert "cancelled" == verdict
    assert "It was cancelled 2030-01-01 00:10:00Z (10m ago), so it is not delivered." in text


def test_a_replaced_id_points_to_the_name(punctual: Punctual, stack: Stack) -> None:
    old = stack.schedule({"delay": 7200, "data": "x", "name": "bill"})["id"]
    stack.schedule({"delay": 9000, "data": "y", "name": "bill"})
    ended = punctual("explain", "--id", old)
    assert 3 == ended.status
    assert "a later request under that name replaced it" in ended.out


def test_an_unnamed_far_schedule_is_found_in_the_table(punctual: Punctual, stack: Stack) -> None:
    id = stack.schedule({"delay": 7200, "data": "x"})["id"]
    verdict, text = explained(punctual, "--id", id)
    assert "stored" == verdict
    assert "It has no name, so the stack does not note when it was accepted" in text
    assert "attempts" not in text


def test_an_unnamed_near_schedule_cannot_be_looked_up(punctual: Punctual, stack: Stack) -> None:
    id = stack.schedule({"delay": 60, "data": "x"})["id"]
    verdict, text = explained(punctual, "--id", id)
    assert "on its way" == verdict
    assert "hidden until its time. SQS cannot look at it. SQS counts 1 in the output queue" in text
    assert "so no feed has moved it" in text
    assert "What cannot be known: when it was accepted" in text
    assert 0 == punctual("explain", "--id", id).status


def test_an_unnamed_schedule_that_was_released(punctual: Punctual, stack: Stack) -> None:
    id = stack.schedule({"delay": 7200, "data": "x"})["id"]
    stack.advance(hours=3)
    verdict, text = explained(punctual, "--id", id)
    assert "on its way" == verdict
    assert "its consumer has received and deleted the message. This is the usual case." in text
    assert "SQS counts 1 in the output queue" in text
    assert "the feed of partition" in text
    assert "moved 1 schedule." in text
    stack.advance(days=20)
    assert "which no consumer took in 14 days" in explained(punctual, "--id", id)[1]


def test_an_unnamed_schedule_was_not_moved_by_a_run_that_failed(punctual: Punctual, stack: Stack) -> None:
    id = stack.schedule({"delay": 7200, "data": "x"})["id"]
    stack._cloud.network.faults = FeedFault(throttled=True)
    stack.advance(hours=1, minutes=55)
    stack._cloud.network.faults = Fair(there_s=0.0, back_s=0.0)
    stack.advance(hours=1)
    text = explained(punctual, "--id", id)[1]
    assert "moved it: its run of 2030-01-01 02:00:00" in text
    assert "01:50:00" not in text


@pytest.mark.parametrize("name", ["bill", None])
def test_an_overdue_schedule_says_that_the_feed_does_not_run(
    punctual: Punctual, stack: Stack, name: str | None
) -> None:
    request: dict[str, Any] = {"delay": 7200, "data": "x"} | ({"name": name} if name else {})
    id = stack.schedule(request)["id"]
    disable_rule(stack)
    wait(stack, hours=2, minutes=5)
    verdict, text = explained(punctual, *([name] if name else ["--id", id]))
    assert "overdue" == verdict
    assert "It is still in the table, 5m after its time." in text
    assert "the feed does not run" in text
    assert f"aws lambda invoke --function-name {stack.output('TriggerFunction')}" in text


def test_a_late_schedule_says_that_its_feed_was_late(punctual: Punctual, stack: Stack) -> None:
    punctual("schedule", "x", "--in", "2h", "--name", "bill")
    disable_rule(stack)
    wait(stack, hours=2, minutes=30)
    feed(stack)
    wait(stack, minutes=1)
    verdict, text = explained(punctual, "bill")
    assert "delivered" == verdict
    assert "Its delivery began 30m late. Its feed was late" in text
    assert "the first run was 2030-01-01 02:30:00" in text


def test_a_schedule_that_was_accepted_after_its_time(punctual: Punctual, stack: Stack) -> None:
    stack.schedule({"timestamp": stack.now - 600, "data": "x", "name": "bill"})
    stack.advance(minutes=1)
    verdict, text = explained(punctual, "bill")
    assert "delivered" == verdict
    assert "10m after its time. It was delivered" in text
    assert "because it was accepted after its time" in text


def test_a_schedule_that_the_deliver_function_does_not_take(punctual: Punctual, stack: Stack) -> None:
    """Its message waits in the delivery queue, because the event source mapping is off."""
    stack._cloud.functions.mappings.clear()
    punctual("schedule", "x", "--in", "1m", "--name", "bill")
    wait(stack, minutes=10)
    verdict, text = explained(punctual, "bill")
    assert "overdue" == verdict
    assert "It has left the table, but it is not delivered 9m after its time." in text
    assert "does not read its queue" in text


def test_an_unknown_name_says_where_it_may_be(punctual: Punctual, stack: Stack) -> None:
    punctual("schedule", "x", "--in", "2h", "--name", "order/17")
    ended = punctual("explain", "order/18")
    assert 3 == ended.status
    assert "perhaps you mean that" in ended.out
    assert "order/17" in ended.out
    assert "more than a week ago" in ended.out
    fields = punctual("explain", "order/18", "--json").json
    assert ("unknown", None) == (fields["verdict"], fields["schedule"])


def test_the_object_has_the_facts_and_the_sentences(punctual: Punctual) -> None:
    punctual("schedule", "x", "--in", "2h", "--name", "bill")
    fields = punctual("explain", "bill", "--json").json
    facts = {"name", "id", "verdict", "schedule", "attempt_times", "lateness", "feed", "failure", "queues"}
    assert facts | {"explanation"} == set(fields)
    assert {"partition", "reachable", "latest", "unknown", "runs"} == set(fields["feed"])
    assert {"output": 0, "delivery": 0, "dead letters": 0} == fields["queues"]


@pytest.mark.parametrize(("which", "status"), [((), 2), (("bill", "--id", LOST_ID), 2), (("--id", "zzz"), 4)])
def test_bad_input_is_one_line(punctual: Punctual, which: tuple[str, ...], status: int) -> None:
    ended = punctual("explain", *which)
    assert (status, "") == (ended.status, ended.out)
    assert 1 == len(ended.err.splitlines())


def told(aws: Aws, capsys: pytest.CaptureFixture[str], *which: str) -> str:
    """Return the sentences of `explain` in an account with CloudFormation."""
    assert 0 == group.run(["explain", *which, "--tz", "UTC"], Run(world=aws))
    return " ".join(capsys.readouterr().out.split())


def test_the_reach_and_the_interval_of_the_stack_count(capsys: pytest.CaptureFixture[str]) -> None:
    stack = Stack(ReachSeconds=300, FeedIntervalMinutes=2)
    stack.schedule({"delay": 3600, "data": "x", "name": "bill"})
    text = told(Aws(stack, ReachSeconds="300", FeedIntervalMinutes="2"), capsys, "bill")
    assert "from 2030-01-01 00:55:00Z (in 55m) on, and until 2030-01-01 00:58:00Z" in text


def test_a_stack_that_notes_no_runs_is_explained_as_far_as_it_goes(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    """So is one whose queues and parameters the caller may not see."""
    aws = Aws(stack)
    stack.schedule({"delay": 7200, "data": "x", "name": "bill"})
    stack.advance(hours=1, minutes=55)
    unknown = {"errorType": "InvalidRequest", "errorMessage": "operation is 'runs'"}
    real = stack.client("lambda").invoke
    aws.answers["lambda", "invoke"] = lambda **call: payload(unknown) if b'"runs"' in call["Payload"] else real(**call)
    aws.refuse("sqs", "get_queue_attributes")
    aws.refuse("cloudformation", "describe_stacks")
    text = told(aws, capsys, "bill")
    assert "It has left the table" in text
    assert "Which feed moved it is not known: the stack is of a version that notes no runs of the feed" in text
    assert "SQS counts" not in text


@pytest.mark.parametrize(
    ("minutes", "verdict", "told_as"),
    [
        (115, "queued", "It waits in the table for its feed, or in the delivery queue for its time."),
        (125, "overdue", ""),
    ],
)
def test_where_a_schedule_waits_is_not_known_if_the_table_cannot_be_read(
    stack: Stack, capsys: pytest.CaptureFixture[str], minutes: int, verdict: str, told_as: str
) -> None:
    aws = Aws(stack)
    stack.schedule({"delay": 7200, "data": "x", "name": "bill"})
    disable_rule(stack)
    wait(stack, minutes=minutes)
    unsure = {"errorType": "NotConfirmed", "errorMessage": "AWS did not confirm it in time"}
    real = stack.client("lambda").invoke
    aws.answers["lambda", "invoke"] = lambda **call: payload(unsure) if b'"id"' in call["Payload"] else real(**call)
    text = told(aws, capsys, "bill")
    assert told_as in text
    assert "not known: AWS did not confirm it in time" in text
    assert "has left the table" not in text
    assert "is still in the table" not in text.replace("Whether it is still in the table", "")
    assert 0 == group.run(["explain", "bill", "--json"], Run(world=aws))
    assert verdict == json.loads(capsys.readouterr().out)["verdict"]


def test_runs_are_not_known_after_30_days(punctual: Punctual, stack: Stack) -> None:
    id = stack.schedule({"delay": 7200, "data": "x"})["id"]
    stack.advance(days=40)
    assert "keeps the runs of the feed for 30 days" in explained(punctual, "--id", id)[1]
