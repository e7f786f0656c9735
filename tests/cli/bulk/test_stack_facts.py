"""The identity of the stack of an import, as CloudFormation tells it."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from punctual.cli.bulk.stack_facts import StackFacts, facts_of
from punctual.cli.run import Run
from punctual.client.errors import StackNotFound

REGION = "eu-central-1"
STACK_ID = f"arn:aws:cloudformation:{REGION}:123456789012:stack/punctual/1"
PARAMETERS = {"PartitionCount": "4", "LogLevel": "INFO"}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "PUNCTUAL_STACK"):
        monkeypatch.delenv(name, raising=False)
    return Run(region=REGION)


def describe(run: Run, outputs: dict[str, str]) -> None:
    """Let CloudFormation answer that the stack has these outputs."""
    described = {
        "StackName": "punctual",
        "StackId": STACK_ID,
        "Parameters": [{"ParameterKey": name, "ParameterValue": value} for name, value in PARAMETERS.items()],
        "Outputs": [{"OutputKey": name, "OutputValue": value} for name, value in outputs.items()],
    }
    run.client("cloudformation").describe_stacks = lambda **request: {"Stacks": [described]}


def test_a_stack_is_its_id_its_parameters_and_its_version(run):
    describe(run, {"ScheduleFunction": "schedule", "Version": "0.1.0"})
    assert StackFacts(STACK_ID, {**PARAMETERS, "Version": "0.1.0"}, REGION) == facts_of(run)


def test_a_stack_of_something_else_is_refused(run):
    describe(run, {})
    with pytest.raises(StackNotFound, match="has no output ScheduleFunction"):
        facts_of(run)


def test_without_rights_on_cloudformation_the_function_stands_for_the_stack(run, monkeypatch):
    """The environment has the outputs."""
    arn = f"arn:aws:lambda:{REGION}:123456789012:function:schedule"
    monkeypatch.setenv("PUNCTUAL_SCHEDULE_FUNCTION", arn)

    def denied(**request: object) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "DescribeStacks")

    run.client("cloudformation").describe_stacks = denied
    assert StackFacts(arn, {}, REGION) == facts_of(run)


def test_differences_name_each_parameter_with_both_values():
    then = StackFacts("stack", {"PartitionCount": "4", "LogLevel": "INFO"}, REGION)
    now = StackFacts("stack", {"PartitionCount": "8", "LogLevel": "INFO", "Version": "2"}, REGION)
    assert ["PartitionCount was '4' and is '8'", "Version was 'not there' and is '2'"] == then.differences(now)
    assert [] == then.differences(StackFacts("stack", {}, REGION))
