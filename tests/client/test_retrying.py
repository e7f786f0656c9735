"""Repeats after a fault: which calls the client repeats, and which not."""

from __future__ import annotations

import pytest
from botocore.exceptions import ReadTimeoutError

from punctual import (
    AccessDenied,
    FunctionFailed,
    InvalidSchedule,
    NotConfirmed,
    NotFound,
    OnItsWay,
    StackNotFound,
    Unreachable,
)
from punctual.client import backend
from punctual.client.calling import invoking

FAR_S = 40_000
TIMED_OUT = {"errorMessage": "2030-01-01T00:00:00Z 1234 Task timed out after 30.00 seconds"}
UNCONFIRMED = {"errorType": "NotConfirmed", "errorMessage": "AWS did not confirm it in time; try again"}
GONE = {"errorType": "NotFound", "errorMessage": "it is not there"}
LATE = {"errorType": "OnItsWay", "errorMessage": "it is queued"}
MOVED = {"id": "1-001893456000000-0123456789abcdef", "timestamp": 1893456000, "state": "stored"}


def lost() -> Exception:
    return ReadTimeoutError(endpoint_url="https://lambda")


# -------------------------------------------------------------------------------------------------------- new schedules


def test_a_lost_answer_makes_no_second_schedule(scheduler, line, faults):
    """The repeat has the same token and the same time."""
    line.plan.extend([faults.lost(), faults.lost()])
    scheduled = scheduler.schedule("x", delay=FAR_S)

    assert [scheduled.id] == [each.id for each in scheduler.list()]
    assert line.requests[0] == line.requests[1] == line.requests[2]


def test_a_throttled_call_and_a_fault_of_aws_are_repeated(scheduler, line, faults):
    line.plan.extend([faults.throttled(), faults.broken(), faults.throttled()])
    assert "stored" == scheduler.schedule("x", delay=FAR_S).state
    assert 4 == len(line.requests)


def test_pauses_between_tries_grow(scheduler, line, faults, stack):
    line.each = lambda number: faults.throttled()
    began_s = stack.now
    with pytest.raises(Unreachable, match="TooManyRequestsException") as caught:
        scheduler.schedule("x", delay=FAR_S)
    assert 5 < stack.now - began_s < 60
    assert caught.value.retryable
    assert "Unreachable" == caught.value.code
    assert invoking.TRIES_MAX == len(line.requests)


def test_an_outcome_that_stays_unknown_is_not_confirmed(scheduler, line, faults):
    line.each = lambda number: faults.broken()
    with pytest.raises(NotConfirmed, match="may or may not have had an effect"):
        scheduler.schedule("x", delay=FAR_S)


@pytest.mark.parametrize("answer", [TIMED_OUT, UNCONFIRMED, {"errorType": "KeyError", "errorMessage": "'x'"}])
def test_a_function_that_did_not_finish_is_invoked_again(scripted, answer):
    scheduler, script = scripted(answer, answer, MOVED)
    assert "stored" == scheduler.schedule("x", delay=1).state
    assert 3 == len(script.requests)


def test_a_function_that_always_fails_is_named_with_its_error(scripted):
    scheduler, _ = scripted({"errorType": "KeyError", "errorMessage": "'TABLE_NAME'"})
    with pytest.raises(
        FunctionFailed, match="the function schedule failed with KeyError: 'TABLE_NAME'; its log"
    ) as caught:
        scheduler.schedule("x", delay=1)
    assert isinstance(caught.value, NotConfirmed)
    assert "request-1" == caught.value.request_id


def test_a_refusal_is_not_repeated(scheduler, line):
    with pytest.raises(InvalidSchedule):
        scheduler.schedule("x", delay=1, name="a b")
    assert 1 == len(line.requests)


def test_a_refusal_after_a_lost_answer_does_not_hide_that_the_first_try_may_have_worked(scripted):
    refusal = {"errorType": "InvalidSchedule", "errorMessage": "expires_after is 0, so it is past already"}
    scheduler, _ = scripted(lost(), refusal)
    with pytest.raises(NotConfirmed, match="an earlier try may have had an effect"):
        scheduler.schedule("x", delay=0, expires_after=0)


def test_a_denied_call_is_not_repeated(scheduler, line, faults):
    line.plan.append(faults.denied())
    with pytest.raises(AccessDenied, match="lambda:InvokeFunction"):
        scheduler.schedule("x", delay=1)
    assert 1 == len(line.requests)


# -------------------------------------------------------------------------------------------------------------- reading


@pytest.mark.parametrize(
    "read",
    [
        lambda scheduler: scheduler.get("n"),
        lambda scheduler: list(scheduler.list()),
        lambda scheduler: scheduler.forecast("2030-01-01T00:00Z", "2030-01-02T00:00Z", 3600),
        lambda scheduler: list(scheduler.failures()),
        lambda scheduler: scheduler.cancel_where("n", dry_run=True),
    ],
)
def test_every_read_is_repeated(scheduler, line, faults, read):
    scheduler.schedule("x", delay=FAR_S, name="n")
    expected = read(scheduler)
    line.plan.extend([faults.lost(), faults.broken(), faults.throttled()])
    assert expected == read(scheduler)


def test_a_read_raises_the_error_of_its_repeat(scheduler, line, faults):
    line.plan.append(faults.lost())
    with pytest.raises(NotFound):
        scheduler.get("n")


# ------------------------------------------------------------------------------------------------------------- changing


def test_cancel_by_name_is_repeated(scheduler, line, faults):
    scheduler.schedule("x", delay=FAR_S, name="n")
    line.plan.append(faults.lost())
    assert "cancelled" == scheduler.cancel("n").state


@pytest.mark.parametrize(("answer", "error"), [(GONE, NotFound), (LATE, OnItsWay)])
def test_the_answer_to_a_repeated_cancel_by_name_holds(scripted, answer, error):
    """If the first try had cancelled it, the second would say so."""
    scheduler, _ = scripted(lost(), answer)
    with pytest.raises(error):
        scheduler.cancel("n")


@pytest.mark.parametrize(
    "change",
    [
        lambda scheduler: scheduler.move("n", delay=50_000),
        lambda scheduler: scheduler.move("n", at="2030-01-02T00:00:00Z"),
    ],
)
def test_move_by_name_is_repeated_to_the_same_time(scheduler, line, faults, change):
    scheduler.schedule("x", delay=FAR_S, name="n")
    line.plan.append(faults.lost())
    moved = change(scheduler)
    assert line.requests[-1] == line.requests[-2]
    assert [(moved.id, moved.due)] == [(each.id, each.due) for each in scheduler.list()]


@pytest.mark.parametrize("answer", [GONE, LATE])
def test_a_repeated_move_that_comes_too_late_is_not_confirmed(scripted, answer):
    """The first try may have moved it, and it was delivered before the second."""
    scheduler, _ = scripted(lost(), answer)
    with pytest.raises(NotConfirmed, match=answer["errorType"]):
        scheduler.move("n", delay=1)


def test_change_by_name_is_repeated(scripted):
    scheduler, script = scripted(lost(), MOVED)
    assert "stored" == scheduler.change("n", data="y", delay=5).state
    assert script.requests[0] == script.requests[1]


@pytest.mark.parametrize(
    "call",
    [
        lambda scheduler: scheduler.cancel(id=MOVED["id"]),
        lambda scheduler: scheduler.move(id=MOVED["id"], delay=1),
        lambda scheduler: scheduler.change(id=MOVED["id"], data="x"),
        lambda scheduler: scheduler.fire(id=MOVED["id"]),
        lambda scheduler: scheduler.fire("n"),
        lambda scheduler: scheduler.cancel_where("n", dry_run=False),
        lambda scheduler: scheduler.redrive(id=MOVED["id"]),
        lambda scheduler: scheduler.redrive("2030-01-01T00:00Z", "2030-01-02T00:00Z"),
    ],
)
def test_any_other_call_with_an_unknown_outcome_is_not_repeated(scripted, call):
    for unknown in (lost(), TIMED_OUT, UNCONFIRMED):
        scheduler, script = scripted(unknown)
        with pytest.raises(NotConfirmed):
            call(scheduler)
        assert 1 == len(script.requests)


def test_a_throttled_fire_is_repeated_because_it_had_no_effect(scheduler, line, faults, stack):
    scheduler.schedule("x", delay=FAR_S, name="n")
    line.plan.append(faults.throttled())
    assert "queued" == scheduler.fire("n").state
    stack.advance(seconds=5)
    assert 1 == len(stack.released())


def test_cancel_where_says_what_it_cancelled_before_an_unknown_outcome(scripted):
    scheduler, script = scripted({"matched": 5, "cancelled": 4, "next": "more"}, lost())
    with pytest.raises(NotConfirmed, match="4 were cancelled before, and a new call goes on"):
        scheduler.cancel_where("n", dry_run=False)
    assert "more" == script.requests[1]["next"]


def test_redrive_says_what_it_redrove_before_an_unknown_outcome(scripted):
    scheduler, _ = scripted({"redriven": 5, "left": 1, "next": "more"}, lost())
    with pytest.raises(NotConfirmed, match="5 were redriven before"):
        scheduler.redrive("2030-01-01T00:00Z", "2030-01-02T00:00Z")


# -------------------------------------------------------------------------------------------------------------- boto3


def test_botocore_repeats_no_invocation_and_waits_longer_than_any_function_runs(bare):
    """template.yml has the longest timeout."""
    from pathlib import Path  # noqa: PLC0415

    template = Path(__file__).parents[2] / "template.yml"
    timeouts_s = [
        int(text.split()[1])
        for text in template.read_text(encoding="utf-8").splitlines()
        if text[6:].startswith("Timeout:")
    ]
    bare.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    config = backend.AwsBackend().client("lambda").meta.config
    assert 1 == config.retries["total_max_attempts"]
    assert len(timeouts_s) >= 5
    assert max(timeouts_s) + 5 < config.read_timeout


def test_other_services_are_repeated_by_botocore(bare):
    bare.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    assert backend.OTHER_CALLS_MAX == backend.AwsBackend().client("sqs").meta.config.retries["total_max_attempts"]


def test_after_an_update_of_the_stack_the_functions_are_looked_up_again(scripted):
    from botocore.exceptions import ClientError  # noqa: PLC0415

    missing = {"Error": {"Code": "ResourceNotFoundException", "Message": "Function not found: schedule"}}
    scheduler, _ = scripted(ClientError({**missing, "ResponseMetadata": {"HTTPStatusCode": 404}}, "Invoke"))
    with pytest.raises(StackNotFound, match="Function not found"):
        scheduler.schedule("x", delay=1)
