"""`punctual deploy`: show what would change, ask, and apply it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from punctual.cli.errors import CommandFailed, WrongUsage
from punctual.cli.options import command, yes_option
from punctual.cli.output import Row, counted
from punctual.cli.run import Run, pass_run

if TYPE_CHECKING:
    from punctual.cli.deploying.aws import Place
    from punctual.cli.deploying.bucket import Bucket
    from punctual.cli.deploying.formation import Change, ChangeSet, Formation, Found
    from punctual.cli.deploying.package import Package

# A new one of these is empty. CloudFormation keeps the old one, but the stack no longer uses it.
HOLDING_DATA = ("AWS::DynamoDB::Table", "AWS::SQS::Queue")
EXAMPLE = """punctual deploy --parameter PartitionCount=8
punctual deploy --stack orders --yes"""


@command("deploy", example=EXAMPLE)
@click.option("--parameter", "words", multiple=True, metavar="NAME=VALUE", help="Set a parameter. Repeatable.")
@click.option("--bucket", metavar="NAME", help="The bucket for the code. Default: one of your own, made if missing.")
@click.option("--downgrade", is_flag=True, help="Deploy an older version than the stack has.")
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@click.option("--upload-only", is_flag=True, help="Upload code and template, print the template's address, and stop.")
@yes_option
@pass_run
def deploy(
    run: Run,
    words: tuple[str, ...],
    bucket: str | None,
    downgrade: bool,
    dry_run: bool,
    upload_only: bool,
    yes: bool,
) -> None:
    """Deploy the stack, or update it, with the template and the functions of this package.

    The command shows what would change, asks, and applies it. Parameters that are not given keep their values. Code and
    template go to a private bucket, and stay there for a rollback.
    """
    from punctual.cli.deploying.aws import Place
    from punctual.cli.deploying.formation import Formation
    from punctual.cli.deploying.package import Package, refuse_local_settings

    package = Package.installed()
    if upload_only:
        refuse_beside_upload(words, downgrade=downgrade, dry_run=dry_run)
        upload(run, package, bucket)
        return
    given = package.given(words)
    if not (yes or dry_run or run.output.can_ask()):
        raise WrongUsage("there is no terminal to ask: add --yes to deploy, or --dry-run to see what would change")
    place, formation = Place.found(run), Formation(run, run.stack)
    if not place.is_local:
        refuse_local_settings(given)
    found = formation.found()
    formation.refuse_unless_ready(found)
    refuse_older(run.stack, found, package.version, downgrade=downgrade)
    change_set = changes(run, formation, package, given, found, place, bucket)
    with formation.discarding(change_set):
        show(run, change_set)
        if dry_run or not change_set.changes:
            formation.discard(change_set)
            finish(run, formation, package, change_set, "dry run" if dry_run else "unchanged")
            return
        action = "Create" if change_set.is_first else "Update"
        where = f"account {place.account}, region {place.region}"
        run.output.confirm(f"{action} stack {run.stack}, version {package.version}, in {where}?", yes=yes)
        after = formation.last_event(change_set.stack_id)
        formation.execute(change_set)
    follow(run, formation, change_set, after)
    finish(run, formation, package, change_set, "created" if change_set.is_first else "updated")


def refuse_beside_upload(words: tuple[str, ...], *, downgrade: bool, dry_run: bool) -> None:
    """Raise WrongUsage for options that are about a stack."""
    for option, given in {"--parameter": words, "--downgrade": downgrade, "--dry-run": dry_run}.items():
        if given:
            raise WrongUsage(f"{option} is about a stack, and --upload-only deploys none: leave one of them out")


def upload(run: Run, package: Package, bucket_name: str | None) -> None:
    """Upload code and template, and print the address of the template for Terraform, the CDK or the console."""
    from punctual.cli.deploying.aws import Place
    from punctual.cli.deploying.bucket import Bucket

    place = Place.found(run)
    url = uploaded(run, package, Bucket(run, place, bucket_name))
    run.output.note(f"version {package.version}, for stacks in account {place.account}, region {place.region}")
    run.output.result({"template": url, "version": package.version, "region": place.region}, url)


def uploaded(run: Run, package: Package, bucket: Bucket) -> str:
    """Upload code and template to the bucket, and return the address of the template."""
    if bucket.prepare():
        run.output.note(f"made the bucket {bucket.name} for the code")
    return package.upload(bucket)


def refuse_older(stack: str, found: Found | None, version: str, *, downgrade: bool) -> None:
    """Raise CommandFailed if the stack has a newer version than this package brings."""
    current = found.outputs.get("Version") if found is not None else None
    if current is None or downgrade or parts(current) <= parts(version):
        return
    raise CommandFailed(
        f"the stack {stack} has version {current}, and this package brings the older {version}: "
        "run pip install --upgrade punctual-aws, or add --downgrade",
        code="OlderVersion",
    )


def parts(version: str) -> tuple[int, ...]:
    """Return a version as numbers that can be compared. A suffix does not count."""
    numbers = []
    for part in version.split("."):
        if not part.isdigit():
            break
        numbers.append(int(part))
    return tuple(numbers)


def changes(
    run: Run,
    formation: Formation,
    package: Package,
    given: Mapping[str, str],
    found: Found | None,
    place: Place,
    bucket_name: str | None,
) -> ChangeSet:
    """Upload code and template, and create the change set."""
    from punctual.cli.deploying.bucket import Bucket
    from punctual.cli.deploying.formation import EMPTY

    url = uploaded(run, package, Bucket(run, place, bucket_name))
    is_first = found is None or found.status == EMPTY
    kept = [] if is_first or found is None else [name for name in package.parameters if name in found.parameters]
    return formation.change_set(url, parameters(given, kept), is_first=is_first)


def parameters(given: Mapping[str, str], kept: Sequence[str]) -> list[dict[str, Any]]:
    """Return the given parameters, and those that keep their values. The others take their defaults."""
    set_now = [{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()]
    return set_now + [{"ParameterKey": name, "UsePreviousValue": True} for name in kept if name not in given]


def show(run: Run, change_set: ChangeSet) -> None:
    """List the changes on standard error for people. With `--json` they are part of the result."""
    if run.output.as_json or not change_set.changes:
        return
    rows = [Row((each.action.lower(), each.resource, each.kind, replaced(each)), {}) for each in change_set.changes]
    run.output.list(("change", "resource", "type", "effect"), rows, empty="")
    losing = [each.resource for each in change_set.changes if each.kind in HOLDING_DATA and is_lost(each)]
    if losing:
        run.output.note(
            f"warning: the stack may stop using {', '.join(losing)}, and what is in it is not released any more"
        )


def replaced(change: Change) -> str:
    return {"True": "replaced", "Conditional": "maybe replaced"}.get(change.replacement, "")


def is_lost(change: Change) -> bool:
    return change.action == "Remove" or change.is_new_resource


def follow(run: Run, formation: Formation, change_set: ChangeSet, after: str) -> None:
    """Show the events after this one. Raise CommandFailed with the reasons if the stack does not succeed."""
    from punctual.cli.deploying.formation import DONE
    from punctual.cli.deploying.progress import shown

    with shown(run, f"deploying {run.stack}", len(change_set.changes)) as heard:
        status, failed = formation.follow(change_set.stack_id, after, heard)
    if status in DONE:
        return
    for failure in failed[1:]:
        run.output.note(f"failed: {failure}")
    cause = str(failed[0]) if failed else "CloudFormation gave no reason"
    back = "; the stack is as it was before" if status == "UPDATE_ROLLBACK_COMPLETE" else ""
    raise CommandFailed(f"the stack {run.stack} ended as {status}{back}. {cause}", code="DeploymentFailed")


def finish(run: Run, formation: Formation, package: Package, change_set: ChangeSet, outcome: str) -> None:
    """Print the result."""
    found = formation.found()
    listed = [
        {"action": each.action, "resource": each.resource, "type": each.kind, "replacement": each.replacement}
        for each in change_set.changes
    ]
    fields = {
        "stack": run.stack,
        "outcome": outcome,
        "version": package.version,
        "changes": listed,
        "outputs": dict(found.outputs) if found is not None else {},
    }
    lines = {
        "unchanged": f"the stack {run.stack} is up to date: no changes",
        "dry run": f"{counted(len(listed), 'change')}; nothing was done",
    }
    done = f"{outcome} the stack {run.stack}, version {package.version}; `punctual doctor` checks it"
    run.output.result(fields, lines.get(outcome, done))
