"""Deploy a template to the local AWS, as `aws cloudformation package` and `deploy` do to the real one.

The template file itself does not change. `localized` makes a copy with the changes that the local AWS needs. A
deployment succeeds, or the error says which resources failed and why. An interrupted deployment leaves an unfinished
stack, which the next deployment to the same local AWS replaces.
"""

import copy
import dataclasses
import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import botocore.exceptions
from samtranslator.yaml_helper import yaml_parse

from punctual.local.emulation.emulator import Emulator
from punctual.stack_files import zipped

STACK_NAME = "punctual"
CODE_BUCKET = "punctual-code"
CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]

DEPLOY_S_MAX = 120.0
DEPLOY_POLL_S = 0.1
EVENTS_SHOWN_MAX = 10

# ministack checks the name of the call as an action. AWS has no such actions: SendMessage allows the batch call too.
BATCH_ACTIONS = {"sqs:SendMessage": "sqs:SendMessageBatch", "sqs:DeleteMessage": "sqs:DeleteMessageBatch"}
AUTO_SCALING = "AWS::ApplicationAutoScaling::"
"""Resources that ministack does not know. The capacity of a table has no effect there."""
# States of an unfinished stack that CloudFormation cannot update.
NOT_UPDATABLE = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED")


class DeploymentFailed(Exception):
    """A deployment did not succeed. The message says which resources failed and why."""


class FunctionFailed(Exception):
    """A function answered with an error of its own."""

    def __init__(self, function: str, answer: Mapping[str, Any]) -> None:
        self.error_type = str(answer.get("errorType", ""))
        self.error_message = str(answer.get("errorMessage", ""))
        super().__init__(f"{function}: {self.error_type}: {self.error_message}")


@dataclasses.dataclass(frozen=True)
class Stack:
    """A deployed template with its outputs, and the calls that all users of a stack need."""

    name: str
    parameters: dict[str, str]
    outputs: dict[str, str]
    emulator: Emulator
    template: dict[str, Any] = dataclasses.field(repr=False)

    def invoke(self, output: str, payload: object) -> Any:
        """Invoke the function that this output names, and return its answer. Raise FunctionFailed if it fails."""
        function = self.outputs[output]
        answer = self.emulator.client("lambda").invoke(FunctionName=function, Payload=json.dumps(payload).encode())
        body = json.loads(answer["Payload"].read() or b"null")
        if "FunctionError" in answer:
            raise FunctionFailed(function, body)
        return body

    def update(self, parameters: Mapping[str, object]) -> "Stack":
        """Change these parameters of the running stack, and keep the others."""
        return put_stack(self.emulator, self.name, self.template, self.parameters | as_text(parameters))

    def delete(self) -> None:
        """Delete the stack, and wait until it is gone."""
        delete_stack(self.emulator, self.name)


def deploy(
    emulator: Emulator,
    template_path: Path,
    stack_name: str = STACK_NAME,
    parameters: Mapping[str, object] | None = None,
) -> Stack:
    """Create the stack from the template, or update the existing one."""
    template = localized(yaml_parse(template_path.read_text()))
    lead_to(emulator.endpoint_url, template)
    upload_code(emulator, template, template_path.parent)
    return put_stack(emulator, stack_name, template, as_text(parameters or {}))


def localized(template: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of the template with only the changes that the local AWS needs.

    - Statements that deny plain HTTP are removed: the local AWS uses plain HTTP on loopback.
    - A role that may send or delete messages also gets the action under which ministack checks the batch call.
    - Auto scaling is removed.
    """
    changed = copy.deepcopy(template)
    for document in policy_documents(changed):
        document["Statement"] = [widened(one) for one in listed(document["Statement"]) if not denies_plain_http(one)]
    resources = changed["Resources"]
    for name, resource in list(resources.items()):
        if is_empty_policy(resource) or resource["Type"].startswith(AUTO_SCALING):
            del resources[name]
    return changed


def lead_to(endpoint_url: str, template: dict[str, Any]) -> None:
    """Change the address of an API in the outputs to the one under which the local AWS serves it."""
    apis = {
        name: resource["Properties"]["StageName"]
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Api"
    }
    for output in template.get("Outputs", {}).values():
        address = output["Value"].get("Fn::Sub", "") if isinstance(output["Value"], dict) else ""
        for api, stage in apis.items():
            if address.startswith(f"https://${{{api}}}.execute-api."):
                output["Value"] = {"Fn::Sub": f"{endpoint_url}/restapis/${{{api}}}/{stage}/_user_request_"}


def policy_documents(node: Any) -> Iterator[dict[str, Any]]:
    """Yield every policy document, at any depth."""
    if isinstance(node, dict):
        if "Statement" in node:
            yield node
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from policy_documents(child)


def denies_plain_http(statement: dict[str, Any]) -> bool:
    return statement.get("Effect") == "Deny" and "aws:SecureTransport" in json.dumps(statement.get("Condition", {}))


def widened(statement: dict[str, Any]) -> dict[str, Any]:
    if statement.get("Effect") != "Allow" or "Action" not in statement:
        return statement
    actions = listed(statement["Action"])
    return statement | {"Action": actions + [BATCH_ACTIONS[action] for action in actions if action in BATCH_ACTIONS]}


def is_empty_policy(resource: dict[str, Any]) -> bool:
    """Return whether a queue's or a topic's policy has no statement left."""
    document = resource.get("Properties", {}).get("PolicyDocument")
    return document is not None and not document["Statement"]


def listed(value: Any) -> list[Any]:
    """Return the value as a list. CloudFormation accepts one item in place of a list."""
    return value if isinstance(value, list) else [value]


def upload_code(emulator: Emulator, template: dict[str, Any], folder: Path) -> None:
    """Upload the code of every function to the local S3, and refer to it in the template."""
    storage = emulator.client("s3")
    if not any(bucket["Name"] == CODE_BUCKET for bucket in storage.list_buckets()["Buckets"]):
        location = {} if emulator.region == "us-east-1" else {"LocationConstraint": emulator.region}
        storage.create_bucket(Bucket=CODE_BUCKET, **({"CreateBucketConfiguration": location} if location else {}))
    uploaded: dict[str, str] = {}
    for function in functions(template).values():
        source = function["Properties"]["CodeUri"]
        if source not in uploaded:
            code = zipped(folder / source)
            key = f"{hashlib.sha256(code).hexdigest()}.zip"
            storage.put_object(Bucket=CODE_BUCKET, Key=key, Body=code)
            uploaded[source] = f"s3://{CODE_BUCKET}/{key}"
        function["Properties"]["CodeUri"] = uploaded[source]


def functions(template: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        name: resource
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
    }


def as_text(parameters: Mapping[str, object]) -> dict[str, str]:
    """Return the parameters as CloudFormation accepts them: True is `true`, and a list is separated by commas."""
    return {name: parameter_text(value) for name, value in parameters.items()}


def parameter_text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return ",".join(str(one) for one in value)
    return str(value)


def put_stack(emulator: Emulator, name: str, template: dict[str, Any], parameters: dict[str, str]) -> Stack:
    """Create or update the stack, and wait until it succeeds. Parameters that are not given take their defaults."""
    formation = emulator.client("cloudformation")
    status = stack_status(emulator, name)
    if status in NOT_UPDATABLE:
        delete_stack(emulator, name)
        status = None
    put = formation.update_stack if status else formation.create_stack
    try:
        put(
            StackName=name,
            TemplateURL=upload_template(emulator, template),
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
            Capabilities=CAPABILITIES,
        )
    except botocore.exceptions.ClientError as error:
        if "No updates are to be performed" not in str(error):
            raise
    wait_until_deployed(emulator, name)
    set_what_is_ignored(emulator, name, template)
    return Stack(name, parameters, stack_outputs(emulator, name), emulator, template)


def upload_template(emulator: Emulator, template: dict[str, Any]) -> str:
    """Upload the template to S3, because CloudFormation accepts at most 51,200 bytes in the call itself."""
    body = json.dumps(template, sort_keys=True).encode()
    key = f"{hashlib.sha256(body).hexdigest()}.template"
    emulator.client("s3").put_object(Bucket=CODE_BUCKET, Key=key, Body=body)
    return f"{emulator.endpoint_url}/{CODE_BUCKET}/{key}"


def wait_until_deployed(emulator: Emulator, name: str) -> None:
    status = settled_status(emulator, name)
    if status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        reasons = "\n".join(failures(emulator, name))
        raise DeploymentFailed(f"stack {name} ended as {status}:\n{reasons}")


def settled_status(emulator: Emulator, name: str) -> str | None:
    """Return the status once nothing is in progress, or None if the stack does not exist."""
    deadline_s = time.monotonic() + DEPLOY_S_MAX
    while (status := stack_status(emulator, name)) and status.endswith("_IN_PROGRESS"):
        if time.monotonic() > deadline_s:
            raise DeploymentFailed(f"stack {name} is still {status} after {DEPLOY_S_MAX:.0f} s")
        time.sleep(DEPLOY_POLL_S)
    return status


def stack_status(emulator: Emulator, name: str) -> str | None:
    try:
        found = emulator.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    except botocore.exceptions.ClientError as error:
        if "does not exist" in str(error):
            return None
        raise
    return None if not found or found[0]["StackStatus"] == "DELETE_COMPLETE" else str(found[0]["StackStatus"])


def stack_outputs(emulator: Emulator, name: str) -> dict[str, str]:
    stack = emulator.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def failures(emulator: Emulator, name: str) -> list[str]:
    """Return the reasons of failed resources, newest first, one line each."""
    events = emulator.client("cloudformation").describe_stack_events(StackName=name)["StackEvents"]
    lines = [
        f"  {event['LogicalResourceId']} ({event['ResourceType']}): {event.get('ResourceStatusReason', 'no reason')}"
        for event in events
        if event["ResourceStatus"].endswith("_FAILED")
    ]
    return lines[:EVENTS_SHOWN_MAX]


def set_what_is_ignored(emulator: Emulator, name: str, template: dict[str, Any]) -> None:
    """Apply the settings of the template that ministack's CloudFormation ignores, with the calls for each of them."""
    found = emulator.client("cloudformation").describe_stack_resources(StackName=name)["StackResources"]
    names = {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in found}
    for logical, function in functions(template).items():
        if logical in names and function["Properties"].get("RecursiveLoop") == "Allow":
            emulator.client("lambda").put_function_recursion_config(FunctionName=names[logical], RecursiveLoop="Allow")
    for logical, resource in template["Resources"].items():
        if logical in names and resource["Type"] == "AWS::DynamoDB::Table":
            set_upkeep(emulator, names[logical], resource["Properties"])


def set_upkeep(emulator: Emulator, table: str, properties: Mapping[str, Any]) -> None:
    """Set the time to live and the point-in-time recovery of a table, unless they are set."""
    client = emulator.client("dynamodb")
    ttl, recovery = (properties.get(f"{name}Specification") for name in ("TimeToLive", "PointInTimeRecovery"))
    if ttl is not None:
        current = client.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
        if (current.get("TimeToLiveStatus") == "ENABLED") != ttl["Enabled"]:
            client.update_time_to_live(TableName=table, TimeToLiveSpecification=dict(ttl))
    if recovery is not None:
        client.update_continuous_backups(TableName=table, PointInTimeRecoverySpecification=dict(recovery))


def delete_stack(emulator: Emulator, name: str) -> None:
    emulator.client("cloudformation").delete_stack(StackName=name)
    status = settled_status(emulator, name)
    if status is not None:
        reasons = "\n".join(failures(emulator, name))
        raise DeploymentFailed(f"stack {name} ended as {status}:\n{reasons}")
