"""A deployment to the local AWS: what it changes, and what it keeps."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from punctual.local.deployment import DeploymentFailed, FunctionFailed, Stack, deploy, lead_to, localized
from punctual.local.emulation.emulator import Emulator
from punctual.stack_files import zipped

pytestmark = pytest.mark.slow

HOPS = 20  # More than the 16 invocations after which Lambda stops a function that invokes itself.


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


def test_a_statement_that_denies_plain_http_is_left_out() -> None:
    """A policy without another statement is removed with it."""
    other = {"Effect": "Deny", "Action": "sqs:DeleteQueue"}
    assert [other] == statements(localized(template(PLAIN_HTTP_DENIED, other)))
    assert ["Queue"] == list(localized(template(PLAIN_HTTP_DENIED))["Resources"])


@pytest.mark.parametrize("action", ["sqs:SendMessage", ["sqs:SendMessage"], "sqs:DeleteMessage"])
def test_permission_to_send_or_delete_includes_batches(action: object) -> None:
    """AWS grants both under one name. A denial stays as narrow as it was."""
    allowed, denied = {"Effect": "Allow", "Action": action}, {"Effect": "Deny", "Action": action}
    (name,) = action if isinstance(action, list) else (action,)
    widened = {"Effect": "Allow", "Action": [name, f"{name}Batch"]}
    assert [widened, denied] == statements(localized(template(allowed, denied)))


def test_auto_scaling_is_left_out() -> None:
    """The local AWS does not know its resources. The table works in either mode."""
    made: dict[str, Any] = {
        "Resources": {
            "Table": {"Type": "AWS::DynamoDB::Table"},
            "Reads": {"Type": "AWS::ApplicationAutoScaling::ScalableTarget"},
            "Scaling": {"Type": "AWS::ApplicationAutoScaling::ScalingPolicy"},
        }
    }
    assert ["Table"] == list(localized(made)["Resources"])


def test_the_address_of_an_api_leads_to_the_local_aws() -> None:
    """AWS would serve it under a name that does not exist here. Other outputs stay as they are."""
    made: dict[str, Any] = {
        "Resources": {"Api": {"Type": "AWS::Serverless::Api", "Properties": {"StageName": "v1"}}},
        "Outputs": {
            "ApiUrl": {"Value": {"Fn::Sub": "https://${Api}.execute-api.${AWS::Region}.${AWS::URLSuffix}/v1"}},
            "TableName": {"Value": {"Ref": "Table"}},
            "Version": {"Value": "1"},
        },
    }
    lead_to("http://127.0.0.1:4566", made)
    values = {name: output["Value"] for name, output in made["Outputs"].items()}
    assert {"Fn::Sub": "http://127.0.0.1:4566/restapis/${Api}/v1/_user_request_"} == values["ApiUrl"]
    assert ({"Ref": "Table"}, "1") == (values["TableName"], values["Version"])


def test_the_template_itself_stays_unchanged() -> None:
    """The deployment changes a copy."""
    original = template(PLAIN_HTTP_DENIED, {"Effect": "Allow", "Action": "sqs:SendMessage"})
    before = json.dumps(original)
    localized(original)
    assert before == json.dumps(original)


def test_the_same_code_makes_the_same_zip(tmp_path: Path) -> None:
    """Bytecode and file times do not change it, but the content of the files does."""
    (tmp_path / "code.py").write_text("x = 1")
    before = zipped(tmp_path)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "code.pyc").write_bytes(b"compiled")
    (tmp_path / "code.py").touch()
    assert before == zipped(tmp_path)

    (tmp_path / "code.py").write_text("x = 2")
    assert before != zipped(tmp_path)


def test_a_function_answers_or_fails_by_name(example: Stack) -> None:
    """The function's own error comes back as an error with its message."""
    assert {"greeting": "hello", "listeners": ""} == example.invoke("Function", {})
    with pytest.raises(FunctionFailed, match="this cannot be") as failed:
        example.invoke("Function", {"fail": "this cannot be"})
    assert "this cannot be" == failed.value.error_message


def test_an_update_changes_only_what_it_names(emulator: Emulator, example_path: Path) -> None:
    """Earlier parameters and the resources stay."""
    stack = deploy(emulator, example_path, "updated", {"Greeting": "good morning"})
    updated = stack.update({"Listeners": ["a", "b"]})
    assert stack.outputs == updated.outputs
    assert {"greeting": "good morning", "listeners": "a,b"} == updated.invoke("Function", {})
    updated.delete()


def test_deploying_again_is_harmless(emulator: Emulator, example_path: Path) -> None:
    """An update without changes is no error."""
    stack = deploy(emulator, example_path, "again")
    assert stack.outputs == deploy(emulator, example_path, "again").outputs
    stack.delete()


def test_a_failure_names_the_resource_and_the_reason(emulator: Emulator, example_path: Path) -> None:
    """The next deployment is not blocked by the incomplete one."""
    with pytest.raises(DeploymentFailed, match=r"Impossible \(AWS::Lambda::EventInvokeConfig\): .*no-such-function"):
        deploy(emulator, example_path, "refused", {"Refused": True})
    deploy(emulator, example_path, "refused").delete()


def test_an_allowed_function_may_continue_to_invoke_itself(emulator: Emulator, example_path: Path) -> None:
    """`RecursiveLoop: Allow` works as on AWS."""
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
