"""`punctual doctor` names each fault of a stack on the local AWS, with its remedy."""

import io
import json

import pytest

from punctual.cli import group
from punctual.cli.output import Output
from punctual.cli.run import Run

pytestmark = pytest.mark.slow
NOT_HERE = {"errors, throttles", "oldest messages", "last feeds"}
"""The local AWS has no metrics, and a stack that is just deployed has not been fed."""


@pytest.fixture
def examine(stack, monkeypatch):
    """Run doctor. Return the exit status, and the findings by check."""
    for name, value in stack.emulator.environment().items():
        monkeypatch.setenv(name, value)

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


def faults(findings):
    return {name: each for name, found in findings.items() for each in found if each["state"] == "fault"}


def test_a_healthy_stack_has_no_fault(examine):
    """What the local AWS does not have is not checked, and says why."""
    status, findings, told = examine()
    assert {} == faults(findings), faults(findings)
    assert 0 == status
    unchecked = {name for name, found in findings.items() if any(each["state"] == "not checked" for each in found)}
    assert unchecked <= NOT_HERE
    assert told.startswith("no fault")
