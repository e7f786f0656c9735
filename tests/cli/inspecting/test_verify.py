"""`punctual verify` on the virtual stack: what it sends, what it measures, and what it leaves alone."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from punctual import Scheduled
from punctual.cli import group
from punctual.cli.inspecting.verify import results
from punctual.cli.inspecting.verify.mailbox import Arrival, Number
from punctual.cli.inspecting.verify.ways import Probe, Way
from punctual.cli.run import Run
from punctual.testing import Stack
from tests.cli.conftest import Ended, Terminal
from tests.cli.services import Aws

Verify = Callable[..., Ended]


@pytest.fixture
def aws(stack: Stack) -> Aws:
    return Aws(stack)


@pytest.fixture
def verify(aws: Aws, capsys: pytest.CaptureFixture[str]) -> Verify:
    def called(*arguments: str) -> Ended:
        status = group.run(["verify", *arguments], Run(world=aws))
        captured = capsys.readouterr()
        return Ended(status, captured.out, captured.err)

    return called


def rows(ended: Ended) -> dict[str, Any]:
    return {row["way"]: row for row in ended.objects}


def left(stack: Stack, output: str = "OutputQueueUrl") -> int:
    """Return how many messages a queue has."""
    return len(stack._cloud.sqs.queues[stack.output(output)].messages)


def pending(stack: Stack) -> list[Any]:
    found: list[Any] = stack.manage("list")["schedules"]
    return found


def test_every_way_is_measured(verify: Verify, stack: Stack) -> None:
    ended = verify("--yes", "--json")
    assert 0 == ended.status, ended.err
    found = rows(ended)
    for way, count in {"near": 4, "named": 4, "moved": 4, "changed": 4, "batch": 50}.items():
        row = found[way]
        assert (count, count, count, 0, 0, 0) == tuple(
            row[each] for each in ("sent", "accepted", "released", "early", "late", "lost")
        )
        assert 0 <= row["lateness_median"] <= row["lateness_worst"] < 1.5
    assert (4, 0, []) == tuple(found["cancelled"][each] for each in ("accepted", "released", "faults"))
    assert "all came, none early, none late" in ended.err


def test_nothing_of_it_stays_but_the_records_of_its_names(verify: Verify, stack: Stack) -> None:
    other = stack.schedule({"delay": 900_000, "data": "mine", "name": "mine"})
    assert 0 == verify("--yes").status
    stack.advance(minutes=1)  # The timers of moved and cancelled schedules end without an effect.
    assert (0, 0, 0, []) == (
        left(stack),
        left(stack, "DeliveryQueueUrl"),
        left(stack, "FailureQueueUrl"),
        stack.failures(),
    )
    assert [other["id"]] == [each["id"] for each in pending(stack)]


def test_it_shows_its_plan_the_account_and_the_cost(verify: Verify) -> None:
    told = verify("--yes").err
    assert "account 123456789012, region eu-central-1" in told
    assert "names begin with punctual-verify/" in told
    assert "costs less than $0.01" in told
    assert "does not test: far (add --far to wait 16m 30s for it)" in told
    assert "does not test: retries, failures, expiry (verify provokes no failures)" in told


def test_without_a_terminal_it_needs_yes_and_sends_nothing(verify: Verify, stack: Stack) -> None:
    ended = verify()
    assert (2, "") == (ended.status, ended.out)
    assert ([], 0) == (pending(stack), left(stack))


def test_it_sends_nothing_if_the_answer_is_no(aws: Aws, stack: Stack, terminal: Callable[[str], Terminal]) -> None:
    shown = terminal("n\n")
    assert 1 == group.run(["verify"], Run(world=aws))
    assert "Send the schedules?" in shown.getvalue()
    assert ([], 0, 0) == (pending(stack), left(stack), left(stack, "DeliveryQueueUrl"))


def test_far_schedules_take_the_reach(verify: Verify, stack: Stack) -> None:
    begun_s = stack.now
    ended = verify("--yes", "--far", "--json")
    assert 0 == ended.status, ended.err
    found = rows(ended)
    assert [4, 4] == [found[way]["released"] for way in ("far", "far named")]
    assert stack.now - begun_s > 900


def test_a_short_reach_needs_no_far(capsys: pytest.CaptureFixture[str]) -> None:
    """The feed may then be late by an interval, which is no fault."""
    stack = Stack(ReachSeconds=20, FeedIntervalMinutes=1)
    aws = Aws(stack, ReachSeconds="20", FeedIntervalMinutes="1")
    status = group.run(["verify", "--yes", "--json"], Run(world=aws))
    captured = capsys.readouterr()
    assert 0 == status, captured.err
    far = rows(Ended(status, captured.out, captured.err))["far"]
    assert (4, 4, 0) == (far["accepted"], far["released"], far["late"])
    assert "shorter than the interval of the feed" in far["note"]


def test_a_reach_beyond_25_minutes_is_not_waited_for(capsys: pytest.CaptureFixture[str], stack: Stack) -> None:
    assert 0 == group.run(["verify", "--yes", "--far"], Run(world=Aws(stack, ReachSeconds="1500")))
    assert "does not test: far (ReachSeconds is 1500, so that takes 26m 30s)" in capsys.readouterr().err


def test_lateness_is_a_fault(verify: Verify) -> None:
    ended = verify("--yes", "--json", "--late-after", "0.01s")
    assert 1 == ended.status
    assert any("later than 0.01s" in fault for fault in rows(ended)["batch"]["faults"])
    assert "punctual doctor" in ended.err


def test_lost_schedules_are_a_fault_and_are_cancelled(verify: Verify, stack: Stack) -> None:
    """The event source mapping of the deliver function is off, so no named schedule is delivered."""
    stack._cloud.functions.mappings.clear()
    ended = verify("--yes", "--json")
    assert 1 == ended.status
    found = rows(ended)
    assert (4, 4, ["4 lost"]) == (found["named"]["accepted"], found["named"]["lost"], found["named"]["faults"])
    assert [] == found["near"]["faults"]
    assert [] == pending(stack)


def test_the_queues_that_are_listed_and_idle_are_tested(verify: Verify, aws: Aws, stack: Stack) -> None:
    """A busy one gets a schedule that is cancelled at once, as every target whose arrival cannot be read."""
    idle, busy, topic = stack.add_target("idle"), stack.add_target("busy"), stack.add_target("orders", "sns")
    (busy_url,) = [url for url in stack._cloud.sqs.queues if url.endswith("/busy")]
    stack.client("sqs").send_message(QueueUrl=busy_url, MessageBody="an order")
    aws.parameters |= {"TargetArns": f"{idle},{busy},{topic}", "WebhookHosts": "api.example.com,*.example.org"}
    ended = verify("--yes", "--json")
    assert 0 == ended.status, ended.err
    found = rows(ended)
    assert (4, 4) == (found["to idle"]["accepted"], found["to idle"]["released"])
    for way in ("to sqs busy", "to sns orders", "to webhook api.example.com"):
        assert (1, 0, []) == tuple(found[way][each] for each in ("accepted", "released", "faults"))
        assert "arrival not tested" in found[way]["note"]
    assert not found["webhooks of *.example.org"]["tested"]
    assert [] == stack.delivered()
    stack.advance(hours=2)
    assert [] == stack.delivered()
    assert ["an order"] == [each.body for each in stack._cloud.sqs.queues[busy_url].messages.values()]


def test_a_queue_with_a_consumer_is_not_read(verify: Verify, aws: Aws, stack: Stack) -> None:
    aws.answers["lambda", "list_event_source_mappings"] = {
        "EventSourceMappings": [aws.mapping("ManageFunction", "OutputQueueArn")]
    }
    ended = verify("--yes")
    assert (1, "") == (ended.status, ended.out)
    assert "the output queue is in use: the function" in ended.err
    assert "--via ARN" in ended.err
    assert 0 == left(stack, "DeliveryQueueUrl")


def test_a_queue_with_messages_is_not_read(verify: Verify, aws: Aws, stack: Stack) -> None:
    """A listed one that is idle can take its place."""
    stack.schedule({"delay": 600, "data": "an order"})
    ended = verify("--yes")
    assert 1 == ended.status
    assert "it has 1 message delayed" in ended.err
    arn = stack.add_target("idle")
    aws.parameters["TargetArns"] = arn
    ended = verify("--yes", "--via", arn)
    assert 0 == ended.status, ended.err
    stack.advance(minutes=11)
    assert 1 == left(stack)


def test_a_queue_of_which_the_consumers_cannot_be_told_is_not_read(verify: Verify, aws: Aws) -> None:
    aws.refuse("lambda", "list_event_source_mappings")
    ended = verify("--yes")
    assert 1 == ended.status
    assert "cannot be told" in ended.err


def test_via_takes_only_a_listed_queue(verify: Verify, aws: Aws, stack: Stack) -> None:
    aws.parameters["TargetArns"] = stack.add_target("idle")
    ended = verify("--yes", "--via", "arn:aws:sqs:eu-central-1:123456789012:other")
    assert 2 == ended.status
    assert "it lists arn:aws:sqs:eu-central-1:123456789012:idle" in ended.err


def test_a_message_of_others_goes_back_at_once(verify: Verify, aws: Aws, stack: Stack) -> None:
    sent = []

    def receive(**arguments: Any) -> Any:
        if not sent:
            sent.append(stack.client("sqs").send_message(QueueUrl=stack.output("OutputQueueUrl"), MessageBody="order"))
            return stack.client("sqs").receive_message(**arguments)
        return {} if len(sent) > 1 else stack.client("sqs").receive_message(**arguments)

    aws.answers["sqs", "receive_message"] = receive
    verify("--yes")
    (message,) = stack.client("sqs").receive_message(QueueUrl=stack.output("OutputQueueUrl"))["Messages"]
    assert "order" == message["Body"]


def test_ctrl_c_leaves_nothing_behind(verify: Verify, aws: Aws, stack: Stack) -> None:
    """It comes while the schedules are in the queues."""
    receives = []

    def receive(**arguments: Any) -> Any:
        receives.append(1)
        if len(receives) == 9:
            raise KeyboardInterrupt
        return stack.client("sqs").receive_message(**arguments)

    aws.answers["sqs", "receive_message"] = receive
    ended = verify("--yes", "--far")
    assert 130 == ended.status
    assert "cleaning up punctual-verify/" in ended.err
    assert ([], 0) == (pending(stack), left(stack))
    stack.advance(hours=1)
    assert (0, []) == (left(stack), stack.failures())


@pytest.mark.parametrize("method", ["receive_message", "delete_message_batch"])
def test_ctrl_c_in_the_middle_of_a_receive_leaves_no_hidden_message(
    verify: Verify, aws: Aws, stack: Stack, method: str
) -> None:
    """SQS has handed the messages out already: before this program knows of them, or before it deletes them."""
    real = getattr(stack.client("sqs"), method)
    interrupted = []

    def call(**arguments: Any) -> Any:
        if not interrupted and method == "delete_message_batch":
            interrupted.append(True)
            raise KeyboardInterrupt
        answer = real(**arguments)
        if not interrupted and answer.get("Messages"):
            interrupted.append(True)
            raise KeyboardInterrupt
        return answer

    aws.answers["sqs", method] = call
    assert 130 == verify("--yes").status
    assert [True] == interrupted
    stack.advance(minutes=5)
    assert (0, []) == (left(stack), pending(stack))


def test_what_no_call_can_cancel_is_named_after_ctrl_c(verify: Verify, aws: Aws, stack: Stack) -> None:
    """A minute before it comes within reach, a far schedule without a name can only be waited for."""
    begun_s = stack.now

    def receive(**arguments: Any) -> Any:
        if stack.now > begun_s + 120 and not aws.answers.get(("sqs", "interrupted")):
            aws.answers["sqs", "interrupted"] = True
            raise KeyboardInterrupt
        return stack.client("sqs").receive_message(**arguments)

    aws.answers["sqs", "receive_message"] = receive
    ended = verify("--yes", "--far")
    assert 130 == ended.status
    assert "left 4 schedules that no call can cancel any more" in ended.err


def test_a_rejected_way_is_a_fault(verify: Verify, aws: Aws) -> None:
    """The stack does not list the target any more that CloudFormation shows."""
    aws.parameters["TargetArns"] = "arn:aws:sns:eu-central-1:123456789012:unlisted"
    ended = verify("--yes", "--json")
    assert 1 == ended.status
    row = rows(ended)["to sns unlisted"]
    assert (1, 0, ["1 not accepted"]) == (row["sent"], row["accepted"], row["faults"])
    assert "not accepted: " in row["note"]


def test_a_stack_that_requires_a_user_is_served(capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == group.run(["verify", "--yes"], Run(world=Aws(Stack(RequireUser="true")))), capsys.readouterr().err


PLACE = Number("named", 0)
DUE_S = 1_893_456_000.0


def result(*arrivals: Arrival, expected: bool = True) -> results.Result:
    scheduled = Scheduled("the-id", datetime.fromtimestamp(DUE_S, UTC), "queued", "n")
    way = Way("named", [Probe(PLACE, scheduled, named=True, expected=expected, version=2)], sent=1)
    return results.of_way(way, {PLACE: list(arrivals)}, late_s=2)


@pytest.mark.parametrize(
    ("arrivals", "expected", "faults"),
    [
        ([Arrival("the-id", 2, DUE_S + 0.3)], True, ()),
        ([Arrival("the-id", 2, DUE_S - 0.05)], True, ()),
        ([Arrival("the-id", 2, DUE_S - 0.2)], True, ("1 early",)),
        ([Arrival("the-id", 2, DUE_S + 2.1)], True, ("1 later than 2s",)),
        ([], True, ("1 lost",)),
        ([], False, ()),
        ([Arrival("the-id", 2, DUE_S)], False, ("1 released although cancelled or replaced",)),
        ([Arrival("the-id", 1, DUE_S)], True, ("1 lost", "1 released although cancelled or replaced")),
        ([Arrival("the-id", 2, DUE_S)] * 2, True, ()),
    ],
)
def test_the_faults_of_a_way(arrivals: list[Arrival], expected: bool, faults: tuple[str, ...]) -> None:
    """A repeat is no fault: Punctual delivers at least once."""
    assert faults == result(*arrivals, expected=expected).faults
