"""`punctual doctor` names each fault of a stack on the local AWS, with its remedy."""

import contextlib
import io
import json
import time

import pytest

from punctual.cli import group
from punctual.cli.output import Output
from punctual.cli.run import Run
from waiting import wait_until

pytestmark = pytest.mark.slow
NOT_HERE = {"oldest messages"}
"""The local AWS has no metrics of queues."""
OF_OTHERS = "errors, throttles"
"""Lambda's metrics count what other tests of this hour have broken."""
WITHIN_S = 120.0
PARTITIONS = 4


@pytest.fixture
def environment(stack, monkeypatch):
    """The environment of a caller of the local AWS."""
    for name, value in stack.emulator.environment().items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.fixture
def examine(stack, environment):
    """Run doctor. Return the exit status, the findings by check, and standard error."""

    def examine(*arguments):
        out, err = io.StringIO(), io.StringIO()
        status = group.run(
            ["doctor", "--json", "--stack", stack.name, *arguments], Run(output=Output(as_json=True, out=out, err=err))
        )
        findings = {}
        for line in out.getvalue().splitlines():
            each = json.loads(line)
            findings.setdefault(each["check"], []).append(each)
        return status, findings, err.getvalue()

    return examine


@pytest.fixture
def fed(stack):
    """All partitions were just fed."""
    begun_s = time.time() - 1
    stack.invoke("TriggerFunction", {})

    def are_all_fed():
        """The rule of the stack may start a second run of each partition at the same time."""
        runs = stack.invoke("ManageFunction", {"operation": "runs", "from": begun_s})["runs"]
        return PARTITIONS == len({each["partition"] for each in runs})

    assert wait_until(are_all_fed, WITHIN_S)


def faults(findings):
    return {
        name: each
        for name, found in findings.items()
        for each in found
        if each["state"] == "fault" and name != OF_OTHERS
    }


def test_a_healthy_stack_has_no_fault(examine, fed):
    """What the local AWS does not have is not checked, and says why."""
    status, findings, told = examine()
    assert {} == faults(findings), faults(findings)
    assert any(each["state"] == "fault" for each in findings[OF_OTHERS]) == status
    unchecked = {name for name, found in findings.items() if any(each["state"] == "not checked" for each in found)}
    assert unchecked <= NOT_HERE | {OF_OTHERS}
    assert status or told.startswith("no fault")


def test_every_fault_of_a_broken_stack_is_named(stack, fed, examine, table, dead_letter_queue):
    """The rule is disabled, a mapping is off, a schedule is overdue, and there is a dead letter."""
    with disabled_rule(stack), disabled_mapping(stack):
        table.put_due(1, time.time() - 3600)
        dead_letter_queue.send("{}")
        try:
            status, findings, _ = examine()
        finally:
            table.empty()
            dead_letter_queue.empty()
    found = faults(findings)
    assert 1 == status
    assert {"rule", "event sources", "overdue", "queues"} == set(found)
    assert "is disabled" in found["rule"]["text"]
    assert "aws events enable-rule --name" in found["rule"]["remedy"]
    assert "nothing is read" in found["event sources"]["text"]
    assert "aws lambda update-event-source-mapping --uuid" in found["event sources"]["remedy"]
    assert "the oldest" in found["overdue"]["text"]
    assert "1 message in the dead-letter queue" in found["queues"]["text"]


def test_a_function_that_fails_is_named(stack, fed, examine):
    with broken_function(stack, stack.outputs["ScheduleFunction"]):
        status, findings, _ = examine()
    found = faults(findings)
    assert (1, {"functions answer"}) == (status, set(found))
    assert "ScheduleFunction fails" in found["functions answer"]["text"]
    assert "aws logs tail" in found["functions answer"]["remedy"]


def test_a_caller_who_may_not_invoke_is_told_which_permission_is_missing(stack, examine, environment):
    """The checks that invoke a function are not checked then."""
    with caller(stack.emulator, {"Effect": "Deny", "Action": "lambda:InvokeFunction", "Resource": "*"}) as key:
        environment.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
        environment.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
        status, findings, _ = examine()
    found = faults(findings)
    assert (1, {"your rights"}) == (status, set(found)), found
    assert "allow lambda:InvokeFunction on" in found["your rights"]["remedy"]
    assert "needs a permission" in findings["overdue"][0]["text"]


def test_a_missing_stack_is_named(stack, examine):
    status, findings, _ = examine("--stack", "nothing")
    (found,) = faults(findings).values()
    assert (1, "stack") == (status, found["check"])
    assert "there is no stack 'nothing'" in found["text"]
    assert stack.name in found["text"]


def test_a_wrong_region_is_named(stack, examine):
    status, findings, _ = examine("--region", "eu-north-1")
    (found,) = faults(findings).values()
    assert (1, "stack") == (status, found["check"])
    assert "in eu-north-1" in found["text"]
    assert "--region" in found["remedy"]


def test_missing_credentials_are_named(examine, environment):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        environment.delenv(name, raising=False)
    status, findings, _ = examine()
    (found,) = faults(findings).values()
    assert (1, "credentials") == (status, found["check"])
    assert "there are no AWS credentials" in found["text"]


@contextlib.contextmanager
def disabled_rule(stack):
    events = stack.emulator.client("events")
    (name,) = [rule["Name"] for rule in events.list_rules()["Rules"] if rule["Name"].startswith(f"{stack.name}-")]
    events.disable_rule(Name=name)
    try:
        yield
    finally:
        events.enable_rule(Name=name)


@contextlib.contextmanager
def disabled_mapping(stack):
    lambda_ = stack.emulator.client("lambda")
    function = stack.outputs["DeliverFunction"]
    (mapping,) = lambda_.list_event_source_mappings(FunctionName=function)["EventSourceMappings"]
    lambda_.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    try:
        yield
    finally:
        lambda_.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)


@contextlib.contextmanager
def broken_function(stack, function):
    """Take a variable from the environment of a function, so that its cold start fails."""
    lambda_ = stack.emulator.client("lambda")
    variables = lambda_.get_function_configuration(FunctionName=function)["Environment"]["Variables"]

    def is_updated():
        return "InProgress" != lambda_.get_function_configuration(FunctionName=function).get("LastUpdateStatus")

    def put(kept):
        lambda_.update_function_configuration(FunctionName=function, Environment={"Variables": kept})
        assert wait_until(is_updated, WITHIN_S)

    put({name: value for name, value in variables.items() if name != "TABLE_NAME"})
    try:
        yield
    finally:
        put(variables)


@contextlib.contextmanager
def caller(emulator, denial):
    """A user who may do everything but what is denied. Yield the access key."""
    iam, name = emulator.client("iam"), "without-invoke"
    allowed = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    iam.create_user(UserName=name)
    try:
        document = json.dumps({"Version": "2012-10-17", "Statement": [allowed, denial]})
        iam.put_user_policy(UserName=name, PolicyName="all-but", PolicyDocument=document)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        try:
            yield key
        finally:
            iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
            iam.delete_user_policy(UserName=name, PolicyName="all-but")
    finally:
        iam.delete_user(UserName=name)
