"""`punctual doctor`: check a deployed stack, and name each fault with its remedy. It only reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict

import click

from punctual.cli.errors import DONE, FAILED, described
from punctual.cli.inspecting.checks import ALL, LEDGER
from punctual.cli.inspecting.checks.finding import Check, Finding
from punctual.cli.inspecting.subject import Subject
from punctual.cli.options import command
from punctual.cli.output import counted
from punctual.cli.run import Run, pass_run
from punctual.client.calling.aws_errors import Interrupted, Throttled
from punctual.client.errors import AccessDenied, PunctualError, StackNotFound, Unreachable

MARKS = {"ok": "ok", "fault": "FAULT", "not checked": "-"}
FIRST = ("credentials", "stack")
"""Without these, nothing else can be checked."""


@command(
    "doctor",
    example="""
    punctual doctor --stack punctual
    punctual doctor --ledger
    """,
)
@click.option("--ledger", is_flag=True, help="Also compare what was accepted with what left and what is pending.")
@pass_run
def doctor(run: Run, ledger: bool) -> int:
    """Check the stack, and name each fault with its remedy.

    Each check is ok, a fault, or not checked: then it needs a permission that you lack, or something that this AWS
    does not have. doctor only reads. The exit status is 1 if there is a fault.
    """
    faults = unchecked = 0
    for finding in findings(Subject(run), (*ALL, *LEDGER) if ledger else ALL):
        faults += finding.state == "fault"
        unchecked += finding.state == "not checked"
        run.output.result(asdict(finding), *_lines(finding))
    left = f"; {unchecked} not checked" if unchecked else ""
    run.output.note(f"{counted(faults, 'fault') if faults else 'no fault'}{left}")
    return FAILED if faults else DONE


def findings(subject: Subject, checks: Sequence[Check] = ALL) -> Iterator[Finding]:
    """Yield the findings of the checks. A check that cannot read what it needs is not checked."""
    unable = ""
    for check in checks:
        if unable:
            yield Finding(check.name, "not checked", f"needs {unable}")
            continue
        for finding in _of_check(check, subject):
            yield finding
            if finding.state == "fault" and check.name in FIRST and not _goes_on(finding, subject):
                unable = check.name


def _goes_on(finding: Finding, subject: Subject) -> bool:
    """A stack whose last deployment failed may work. One that is not there does not."""
    return finding.check == "stack" and "described" in vars(subject)


def _of_check(check: Check, subject: Subject) -> Iterator[Finding]:
    try:
        for state, text, remedy in check.look(subject):
            yield Finding(check.name, state, text, remedy)
    except AccessDenied as denied:
        yield Finding(check.name, "not checked", f"needs a permission: {_advice(denied)}")
    except StackNotFound as missing:
        yield Finding(
            check.name, "fault", _advice(missing), "give --stack, --region or --profile, or run punctual deploy"
        )
    except (Throttled, Interrupted) as failure:
        yield Finding(check.name, "not checked", f"{_advice(failure)}; run doctor again")
    except Unreachable as failure:
        yield Finding(check.name, "fault", _advice(failure), "check your credentials, the region and the network")
    except (PunctualError, NotImplementedError, LookupError) as failure:
        yield Finding(check.name, "not checked", f"AWS answered {failure}")


def _advice(error: PunctualError) -> str:
    """Return the message of an error, with advice for the command line."""
    return str(described(error)[1]["message"])


def _lines(finding: Finding) -> Iterator[str]:
    yield f"{MARKS[finding.state]:<6}{finding.check:<18} {finding.text}"
    if finding.remedy:
        yield f"{'':<6}{'':<18} -> {finding.remedy}"
