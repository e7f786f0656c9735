"""What a deployment changes for the local AWS, and what it leaves alone."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from punctual.local.deployment import DeploymentFailed, FunctionFailed, Stack, deploy, localized, zipped
from punctual.local.emulator import Emulator

HOPS = 20  # More than the 16 after which Lambda stops a function that goes on invoking itself.


def template(*statements: dict[str, Any]) -> dict[str, Any]:
    policy = {"Type": "AWS::SQS::QueuePolicy", "Properties": {"PolicyDocument": {"Statement": list(statements)}}}
    return {"Resources": {"Policy": policy, "Queue": {"Type": "AWS::SQS::Queue"}}}


def statements(localized_template: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = localized_template["Resources"]["Policy"]["Properties"]["PolicyDocument"]["Statement"]
    return found


PLAIN_HTTP_DENIED = {
    "Effect": "Deny",
    "Action": "sqs:*",
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}


def test_what_denies_plain_http_is_left_out() -> None:
    """A policy that says nothing else goes with it."""
    other = {"Effect": "Deny", "Action": "sqs:DeleteQueue"}
    assert [other] == statements(localized(template(PLAIN_HTTP_DENIED, other)))
    assert ["Queue"] == list(localized(template(PLAIN_HTTP_DENIED))["Resources"])


@pytest.mark.parametrize("action", ["sqs:SendMessage", ["sqs:SendMessage"]])
def test_who_may_send_may_send_a_batch(action: object) -> None:
    """That AWS grants both under one name is all that is made up for; a denial is not widened."""
    allowed, denied = {"Effect": "Allow", "Action": action}, {"Effect": "Deny", "Action": action}
    widened = {"Effect": "Allow", "Action": ["sqs:SendMessage", "sqs:SendMessageBatch"]}
    assert [widened, denied] == statements(localized(template(allowed, denied)))


def test_the_template_itself_is_left_as_it_is() -> None:
    """All changes are made on a copy."""
    original = template(PLAIN_HTTP_DENIED, {"Effect": "Allow", "Action": "sqs:SendMessage"})
    before = json.dumps(original)
    localized(original)
    assert before == json.dumps(original)


def test_the_same_code_makes_the_same_zip(tmp_path: Path) -> None:
    """Neither bytecode nor the times of files change it; what the files hold does."""
    (tmp_path / "code.py").write_text("x = 1")
    before = zipped(tmp_path)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "code.pyc").write_bytes(b"compiled")
    (tmp_path / "code.py").touch()
    assert before == zipped(tmp_path)

    (tmp_path / "code.py").write_text("x = 2")
    assert before != zipped(tmp_path)


def test_a_function_answers_or_fails_by_name(example: Stack) -> None:
    """An error of the function's own comes back as one, with its message."""
    assert {"greeting": "hello", "listeners": ""} == example.invoke("Function", {})
    with pytest.raises(FunctionFailed, match="this cannot be") as failed:
        example.invoke("Function", {"fail": "this cannot be"})
    assert "this cannot be" == failed.value.error_message


def test_an_update_changes_what_it_names_and_nothing_else(emulator: Emulator, example_path: Path) -> None:
    """Parameters that were given before stay, and so do the resources."""
    stack = deploy(emulator, example_path, "updated", {"Greeting": "good morning"})
    updated = stack.update({"Listeners": ["a", "b"]})
    assert stack.outputs == updated.outputs
    assert {"greeting": "good morning", "listeners": "a,b"} == updated.invoke("Function", {})
    updated.delete()


def test_deploying_again_is_harmless(emulator: Emulator, example_path: Path) -> None:
    """Where nothing has changed there is nothing to update, and that is no error."""
    stack = deploy(emulator, example_path, "again")
    assert stack.outputs == deploy(emulator, example_path, "again").outputs
    stack.delete()


def test_a_failure_names_the_resource_and_the_reason(emulator: Emulator, example_path: Path) -> None:
    """And the next deployment is not held up by what was left half-made."""
    with pytest.raises(DeploymentFailed, match=r"Impossible \(AWS::Lambda::EventInvokeConfig\): .*no-such-function"):
        deploy(emulator, example_path, "refused", {"Refused": True})
    deploy(emulator, example_path, "refused").delete()


def test_a_function_that_is_meant_to_may_go_on_invoking_itself(emulator: Emulator, example_path: Path) -> None:
    """`RecursiveLoop: Allow` holds here as it does on AWS."""
    stack = deploy(emulator, example_path, "recursive")
    stack.invoke("Function", {"hops": HOPS})
    queue = emulator.client("sqs")
    seen: set[str] = set()
    deadline_s = time.monotonic() + 30
    while len(seen) < HOPS and time.monotonic() < deadline_s:
        answer = queue.receive_message(QueueUrl=stack.outputs["QueueUrl"], WaitTimeSeconds=1, MaxNumberOfMessages=10)
        seen |= {message["Body"] for message in answer.get("Messages", [])}
    assert {str(hop) for hop in range(1, HOPS + 1)} == seen
    stack.delete()
