"""`punctual destroy`: remove the stack, after saying what remains."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from punctual.cli.errors import CommandFailed, Declined, WrongUsage
from punctual.cli.options import command, yes_option
from punctual.cli.output import printable
from punctual.cli.run import Run, pass_run
from punctual.client.errors import StackNotFound

if TYPE_CHECKING:
    from punctual.cli.deploying.aws import Place
    from punctual.cli.deploying.formation import Formation, Found

# The template keeps them, with all that is in them.
KEPT = ("AWS::DynamoDB::Table", "AWS::SQS::Queue")
EXAMPLE = """punctual destroy --stack orders
punctual destroy --stack orders --yes"""


@command("destroy", example=EXAMPLE)
@yes_option
@pass_run
def destroy(run: Run, yes: bool) -> None:
    """Remove the stack. Its table and its queues remain, with all that is in them.

    The command asks for the name of the stack. Without a terminal it needs --yes and --stack.
    """
    from punctual.cli.deploying.aws import Place
    from punctual.cli.deploying.formation import Formation

    if yes and not is_named(click.get_current_context()):
        raise WrongUsage("--yes removes a stack without a question, so name it: punctual destroy --stack NAME --yes")
    if not yes and not run.output.can_ask():
        raise WrongUsage("there is no terminal to ask: punctual destroy --stack NAME --yes removes it")
    place, formation = Place.found(run), Formation(run, run.stack)
    found = formation.found()
    if found is None:
        raise StackNotFound(f"there is no stack {run.stack} in account {place.account}, region {place.region}")
    refuse_protected(run.stack, found)
    kept = announced(run, formation, place)
    if not yes:
        ask(run)
    remove(run, formation, found, kept)
    # A stack whose first change set was not executed has nothing.
    remaining = f"; {', '.join(name for name, _ in kept)} remain" if kept else ""
    fields = {"stack": run.stack, "outcome": "removed", "kept": [{"resource": name, "id": id} for name, id in kept]}
    run.output.result(fields, f"removed the stack {run.stack}{remaining}")


def is_named(context: click.Context) -> bool:
    """Tell whether the command line itself names the stack, before or after the command."""
    contexts = [context, *([context.parent] if context.parent else [])]
    return any(each.get_parameter_source("stack") == ParameterSource.COMMANDLINE for each in contexts)


def refuse_protected(stack: str, found: Found) -> None:
    """Raise CommandFailed if the stack may not be removed."""
    from punctual.cli.deploying.formation import NEVER_DEPLOYED

    if not found.is_ours:
        raise CommandFailed(f"the stack {stack} is not Punctual's: this command leaves it alone")
    # No update can switch the protection off in a stack whose first deployment failed. It holds no schedules.
    if found.parameters.get("TableProtection") == "true" and found.status not in NEVER_DEPLOYED:
        raise CommandFailed(
            f"the stack {stack} is protected by TableProtection=true: "
            f"run punctual deploy --stack {stack} --parameter TableProtection=false first",
            code="Protected",
        )
    if found.is_protected:
        raise CommandFailed(
            f"the stack {stack} has termination protection: "
            "switch that off with `aws cloudformation update-termination-protection` first",
            code="Protected",
        )
    if found.status.endswith("_IN_PROGRESS") and found.status != "REVIEW_IN_PROGRESS":
        raise CommandFailed(f"the stack {stack} is {found.status}: wait until that has ended")


def announced(run: Run, formation: Formation, place: Place) -> list[tuple[str, str]]:
    """Say what is removed and what remains. Return the name and the id of each resource that remains."""
    resources = [each for each in formation.resources() if not each["ResourceStatus"].startswith("DELETE_")]
    kept = [
        (each["LogicalResourceId"], each.get("PhysicalResourceId", ""))
        for each in resources
        if each["ResourceType"] in KEPT
    ]
    run.output.note(
        f"stack {run.stack} in account {place.account}, region {place.region}: {len(resources) - len(kept)} resources "
        f"are removed, and pending schedules are not released any more"
    )
    for name, id in kept:
        run.output.note(f"remains: {name} {printable(id)}")
    return kept


def ask(run: Run) -> None:
    """Return only if the user types the name of the stack."""
    run.output.err.write(f"Type the name of the stack to remove it ({run.stack}): ")
    run.output.err.flush()
    if sys.stdin.readline().strip() != run.stack:
        raise Declined("nothing was done, because the name was not the stack's")


def remove(run: Run, formation: Formation, found: Found, kept: list[tuple[str, str]]) -> None:
    """Delete the stack and follow it. Raise CommandFailed with the reasons if something could not be deleted."""
    from punctual.cli.deploying.formation import GONE
    from punctual.cli.deploying.progress import shown

    count = len(formation.resources())
    after = formation.last_event(found.id)
    formation.delete(found.id)
    with shown(run, f"removing {run.stack}", count - len(kept)) as heard:
        status, failed = formation.follow(found.id, after, heard)
    if status == GONE:
        return
    for failure in failed[1:]:
        run.output.note(f"failed: {failure}")
    cause = str(failed[0]) if failed else "CloudFormation gave no reason"
    raise CommandFailed(f"the stack {run.stack} ended as {status}. {cause}", code="RemovalFailed")
