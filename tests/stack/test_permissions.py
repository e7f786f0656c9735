"""The local AWS enforces the policies of the stack: users with one policy each do what the policy is for."""

import io
import json

import pytest

from punctual import AccessDenied, InvalidRequest, Scheduler
from punctual.cli import group
from punctual.cli.output import Output
from punctual.cli.run import Run

pytestmark = pytest.mark.slow
NAME = "permissions/1"
OTHERWISE_HERE = {"functions are on", "recursion", "rule"}
"""The local AWS wants PutFunctionConcurrency, GetFunction, and DescribeRule on all rules, unlike AWS."""


@pytest.fixture(scope="module")
def keys(emulator, shared_stack):
    """Return the access key of a user with this policy alone."""
    iam, made = emulator.client("iam"), {}

    def keys(policy):
        if policy not in made:
            iam.create_user(UserName=policy)
            iam.attach_user_policy(UserName=policy, PolicyArn=shared_stack.outputs[policy])
            made[policy] = iam.create_access_key(UserName=policy)["AccessKey"]
        return made[policy]

    return keys


@pytest.fixture
def as_user(stack, keys, monkeypatch):
    """Become the user with this policy, and return a client."""

    def as_user(policy):
        environment = stack.emulator.environment() | {
            "AWS_ACCESS_KEY_ID": keys(policy)["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": keys(policy)["SecretAccessKey"],
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return Scheduler(stack.name)

    return as_user


def test_a_caller_schedules_and_handles_its_schedules_and_nothing_else(as_user):
    with as_user("CallerPolicy") as scheduler:
        scheduler.schedule("x", delay=86_400, name=NAME)
        assert "stored" == scheduler.get(NAME).state
        assert 1 == scheduler.cancel_where("permissions/", dry_run=True).matched
        assert "cancelled" == scheduler.cancel(NAME).state
        with pytest.raises(InvalidRequest, match="prefix is empty"):
            scheduler.cancel_where("", dry_run=False)
        with pytest.raises(AccessDenied):
            list(scheduler.failures())


def test_a_viewer_looks_and_changes_nothing(as_user):
    with as_user("CallerPolicy") as scheduler:
        scheduler.schedule("x", delay=86_400, name=NAME)
    with as_user("ViewerPolicy") as scheduler:
        assert NAME in [each.name for each in scheduler.list()]
        for change in (lambda: scheduler.cancel(NAME), lambda: scheduler.schedule("x", delay=86_400)):
            with pytest.raises(AccessDenied):
                change()
        assert "stored" == scheduler.get(NAME).state


def test_an_operator_cancels_everything_and_checks_the_stack(as_user, stack):
    """Doctor names every permission that it lacks."""
    with as_user("OperatorPolicy") as scheduler:
        scheduler.schedule("x", delay=86_400, name=NAME)
        assert scheduler.cancel_where("", dry_run=False).cancelled >= 1
    out = io.StringIO()
    group.run(["doctor", "--json", "--stack", stack.name], Run(output=Output(as_json=True, out=out, err=io.StringIO())))
    findings = [json.loads(line) for line in out.getvalue().splitlines()]
    assert len(findings) > 10
    denied = {each["check"] for each in findings if "permission" in each["text"] or "you may not" in each["text"]}
    assert denied <= OTHERWISE_HERE


@pytest.mark.parametrize(
    ("policy", "commands"),
    [
        (
            "CallerPolicy",
            [
                ["schedule", "x", "--in", "2d", "--name", NAME],
                ["get", NAME],
                ["move", NAME, "--in", "3d"],
                ["change", NAME, "--data", "y"],
                ["list", "--prefix", "permissions/"],
                ["import", "lines.ndjson"],
                ["fire", "permissions/2"],
                ["cancel", NAME],
                ["cancel", "--prefix", "permissions/", "--yes"],
            ],
        ),
        (
            "ViewerPolicy",
            [["get", NAME], ["explain", NAME], ["list"], ["forecast"], ["failures"], ["export", "all.ndjson"]],
        ),
    ],
)
def test_the_commands_work_with_the_policy_that_their_help_names(
    as_user, stack, tmp_path, monkeypatch, policy, commands
):
    monkeypatch.chdir(tmp_path)
    line = {"timestamp": "2100-01-01T00:00:00Z", "data": "x", "name": "permissions/2"}
    (tmp_path / "lines.ndjson").write_text(json.dumps(line) + "\n")
    with as_user("CallerPolicy") as scheduler:
        scheduler.schedule("x", delay=86_400, name=NAME)
    as_user(policy).close()
    for command in commands:
        out, err = io.StringIO(), io.StringIO()
        status = group.run([*command, "--stack", stack.name], Run(output=Output(out=out, err=err)))
        assert 0 == status, (command, err.getvalue())
