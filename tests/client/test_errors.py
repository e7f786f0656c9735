"""The messages and attributes of errors."""

from __future__ import annotations

import pickle
import re
import socket
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    ReadTimeoutError,
    SSLError,
    UnauthorizedSSOTokenError,
)

import punctual
from punctual import (
    AccessDenied,
    InvalidSchedule,
    NotConfirmed,
    PunctualError,
    Scheduler,
    StackNotFound,
    Unreachable,
)
from punctual.client.calling import aws_errors

DOCS = Path(__file__).parents[2] / "docs"
OUTPUTS = {"ScheduleFunction": "schedule", "ManageFunction": "manage"}
ERRORS = [each for each in vars(punctual).values() if isinstance(each, type) and issubclass(each, PunctualError)]


@pytest.mark.parametrize("kind", ERRORS)
def test_every_error_has_code_field_retryable_and_request_id(kind):
    error = kind("wrong", field="at", request_id="r-1")
    assert (kind.__name__, "at", "r-1", "wrong") == (error.code, error.field, error.request_id, str(error))
    assert isinstance(error.retryable, bool)
    assert issubclass(kind, PunctualError)


@pytest.mark.parametrize("kind", ERRORS)
def test_every_error_survives_another_process(kind):
    copy = pickle.loads(pickle.dumps(kind("wrong", field="at", request_id="r-1", retryable=True)))
    assert (kind, "wrong", "at", "r-1", True) == (type(copy), str(copy), copy.field, copy.request_id, copy.retryable)


def test_an_invalid_schedule_is_a_value_error():
    assert issubclass(InvalidSchedule, ValueError)


def test_the_reference_lists_every_error_and_whether_to_try_again():
    page = (DOCS / "reference.md").read_text(encoding="utf-8")
    section = page.partition("### Errors of the Python client")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \|.*\| (yes|no)\b[^|]*\|$", section, re.MULTILINE))
    assert {kind.__name__ for kind in ERRORS} == set(rows)
    assert {kind.__name__: "yes" if kind.retryable else "no" for kind in ERRORS} == rows


# ------------------------------------------------------------------------------------------------- AWS is out of reach


def closed_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def one_line(caught):
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_without_credentials_the_error_says_how_to_set_them(bare):
    bare.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    with pytest.raises(Unreachable, match="no AWS credentials; set AWS_PROFILE") as caught:
        Scheduler("punctual").schedule("x", delay=1)
    one_line(caught)
    assert not caught.value.retryable


def test_without_a_region_the_error_says_how_to_set_it(bare):
    with pytest.raises(Unreachable, match="no AWS region; set AWS_DEFAULT_REGION"):
        Scheduler("punctual").schedule("x", delay=1)


def test_an_unknown_profile_is_named(bare):
    bare.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(Unreachable, match=r"nobody.*list-profiles"):
        Scheduler("punctual").schedule("x", delay=1)


@pytest.fixture
def somebody(bare):
    for name, value in (
        ("AWS_DEFAULT_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "t"),
        ("AWS_SECRET_ACCESS_KEY", "t"),
    ):
        bare.setenv(name, value)
    return bare


def test_an_endpoint_that_nobody_listens_at_is_named(somebody):
    url = f"http://127.0.0.1:{closed_port()}"
    scheduler = Scheduler.from_outputs(OUTPUTS, endpoint_url=url)
    with pytest.raises(Unreachable, match=f"{url}.*check the network, the region and the endpoint URL") as caught:
        scheduler.schedule("x", delay=1)
    one_line(caught)


def test_an_endpoint_that_is_no_url_is_refused(somebody):
    with pytest.raises(Unreachable, match="wanted: a URL"):
        Scheduler("punctual", endpoint_url="localhost").schedule("x", delay=1)


def test_the_session_of_the_caller_is_used(bare):
    session = boto3.Session(region_name="eu-central-1", aws_access_key_id="t", aws_secret_access_key="t")
    scheduler = Scheduler.from_outputs(OUTPUTS, session=session, endpoint_url=f"http://127.0.0.1:{closed_port()}")
    with pytest.raises(Unreachable, match="check the network"):
        scheduler.get("n")


def refused(code, message="wrong", status=400):
    return ClientError(
        {
            "Error": {"Code": code, "Message": message},
            "ResponseMetadata": {"HTTPStatusCode": status, "RequestId": "r-1"},
        },
        "Invoke",
    )


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (refused("AccessDeniedException"), AccessDenied, "you may not call lambda:InvokeFunction: wrong; ask for"),
        (refused("ExpiredTokenException"), Unreachable, "does not accept the credentials .*renew them"),
        (refused("UnrecognizedClientException"), Unreachable, "does not accept the credentials"),
        (
            refused("TooManyRequestsException", status=429),
            Unreachable,
            "cannot take lambda:InvokeFunction now .* try later",
        ),
        (refused("ResourceConflictException", status=409), Unreachable, "try later"),
        (refused("ResourceNotFoundException", status=404), StackNotFound, "removed or replaced"),
        (refused("ServiceException", status=500), Unreachable, "answered lambda:InvokeFunction with ServiceException"),
        (
            refused("InvalidRequestContentException"),
            PunctualError,
            "refused lambda:InvokeFunction with InvalidRequestC",
        ),
        (ConnectTimeoutError(endpoint_url="https://x"), Unreachable, "check the network"),
        (ReadTimeoutError(endpoint_url="https://x"), Unreachable, "answer to lambda:InvokeFunction was lost"),
        (ConnectionClosedError(endpoint_url="https://x"), Unreachable, "was lost"),
        (SSLError(endpoint_url="https://x", error=OSError("broken")), Unreachable, "was lost"),
        (UnauthorizedSSOTokenError(), Unreachable, "aws sso login"),
    ],
)
def test_an_error_of_boto3_becomes_one_of_punctual_that_says_what_to_do(error, kind, message):
    with pytest.raises(kind, match=message) as caught, aws_errors.translated("lambda:InvokeFunction"):
        raise error
    one_line(caught)
    assert caught.value.code in {each.__name__ for each in ERRORS}
    if isinstance(error, ClientError):
        assert "r-1" == caught.value.request_id


def test_an_error_that_is_not_of_boto3_passes():
    with pytest.raises(ValueError, match=r"^mine$"), aws_errors.translated("lambda:InvokeFunction"):
        raise ValueError("mine")


# --------------------------------------------------------------------------------------------------- answers of Lambda


@pytest.mark.parametrize(
    ("kind", "message", "field"),
    [
        ("InvalidSchedule", "timestamp and delay are both given; wanted: exactly one", "timestamp"),
        ("InvalidSchedule", "data holds U+0000 at position 0", "data"),
        ("InvalidSchedule", "'nmae' is not a field; did you mean name?", "nmae"),
        ("InvalidRequest", "limit is 0; wanted: a whole number", "limit"),
        ("NotFound", "nothing is known under the name 'n'", None),
        ("OnItsWay", "it is queued", None),
        ("NotConfirmed", "AWS did not confirm it in time", None),
    ],
)
def test_an_error_of_a_function_keeps_its_kind_its_message_and_its_request_id(scripted, kind, message, field):
    scheduler, _ = scripted({"errorType": kind, "errorMessage": message})
    with pytest.raises(getattr(punctual, kind)) as caught:
        scheduler.get("n")
    assert (kind, message, field, "request-1") == (
        caught.value.code, str(caught.value), caught.value.field, caught.value.request_id,
    )  # fmt: skip


def test_a_function_that_ran_out_of_time_is_not_confirmed(scripted):
    scheduler, _ = scripted({"errorMessage": "2030-01-01 1234 Task timed out after 30.00 seconds"})
    with pytest.raises(NotConfirmed, match="the function manage ran out of time"):
        scheduler.fire("n")
