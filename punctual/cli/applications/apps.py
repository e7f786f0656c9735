"""`punctual apps`: create, change, list and delete applications, and replace and disable their keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from punctual.cli import times
from punctual.cli.errors import WrongUsage
from punctual.cli.options import command_group, duration_option
from punctual.cli.output import Row, counted, printable
from punctual.cli.run import Run, pass_run
from punctual.client.calling.invoking import Invoker, Repeat

REPAIRS_MAX = 100
"""How often `repair` calls the function, which makes about a hundred changes in its time."""
ONCE = "a key is shown once, and the stack keeps only its hash: store it now"
NOWHERE = (
    "it has no default target and may use no target or host, so it can schedule nothing: "
    "punctual apps change it with --default-target, --target or --host"
)
SIGNED = "punctual apps keys {name} --webhook-secrets shows the secret that signs its webhooks"
CLEARABLE = {
    "default-target": "default_target",
    "target": "targets",
    "failure-target": "failure_targets",
    "host": "hosts",
    "quota": "quota",
}
"""The options whose values can be removed, and the fields of the operation."""
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
DECIDED: Sequence[Decorator] = (
    click.option("--default-target", metavar="output|ARN|URL", help="Where its schedules go that name no target."),
    click.option("--target", "targets", metavar="ARN", multiple=True, help="A target that it may use. Repeatable."),
    click.option(
        "--failure-target", "failure_targets", metavar="ARN", multiple=True, help="One for failures of its schedules."
    ),
    click.option("--host", "hosts", metavar="HOST", multiple=True, help="A host of its webhooks. Repeatable."),
    click.option("--rate", type=int, metavar="N", help="Requests a second for each of its keys; 20 at first."),
    click.option("--burst", type=int, metavar="N", help="How many may come at once; by default twice the rate."),
    click.option("--quota", type=int, metavar="N", help="Schedules a day of UTC; no limit at first."),
)


def decided_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options for what the owner decides about an application."""
    for option in reversed(DECIDED):
        function = option(function)
    return function


@command_group(
    "apps",
    example="""
    punctual apps create billing --default-target output
    punctual apps list
    """,
)
def apps() -> None:
    """Give teams and customers keys of their own for the HTTP API.

    An application sees only its own schedules, and has its own names, targets and limits. Each has a control key, and a
    data key that may create schedules and nothing else.
    """


@apps.command(
    "create",
    example="""
    punctual apps create billing --default-target output
    punctual apps create shop --default-target https://api.example.com/due --rate 50
    punctual apps create owner
    """,
)
@click.argument("name")
@decided_options
@pass_run
def create(run: Run, name: str, **given: Any) -> None:
    """Create the application NAME, and show its two keys. They are shown once.

    It may use no more than the stack's own parameters allow. The name `owner` makes keys for the owner of the stack.
    """
    fields = _decided(given)
    made = _ask(run, "create", {"name": name, **fields})
    what = f"created the application {name} ({made['application']})"
    if name == "owner":
        what = "created two keys for the owner"
    lines = [f"{scope:<8}{made[scope]['id']}  {made[scope]['key']}" for scope in ("control", "data")]
    if "webhook_secret" in made:
        lines.append(f"secret  {made['webhook_secret']}  signs its webhooks")
    run.output.result(made, what, *lines)
    run.output.note(f"note: {ONCE}")
    if name != "owner" and not {"default_target", "targets", "hosts"} & fields.keys():
        run.output.note(f"note: {NOWHERE}")


@apps.command(
    "change",
    example="""
    punctual apps change warehouse --rate 50
    punctual apps change warehouse --host api.example.com --clear quota
    """,
)
@click.argument("name")
@decided_options
@click.option(
    "--clear", type=click.Choice(list(CLEARABLE)), multiple=True, help="Remove a value, or a list. Repeatable."
)
@pass_run
def change(run: Run, name: str, clear: Sequence[str], **given: Any) -> None:
    """Change what the application NAME may use, and its limits.

    Options that you leave out change nothing, except that --rate alone also sets the burst. A target, failure target
    or host replaces the whole list, so give all of them. The change takes effect within 60 seconds. Pending schedules
    keep their targets.
    """
    fields, cleared = _decided(given), [CLEARABLE[each] for each in clear]
    for option in clear:
        if CLEARABLE[option] in fields:
            raise WrongUsage(f"{option} is both given and cleared: leave one of the two out")
    if not fields and not cleared:
        raise WrongUsage("there is nothing to change: give an option such as --rate, --target or --clear quota")
    done = _ask(run, "change", {"name": name, **fields, **dict.fromkeys(cleared)}, Repeat.SETTLES)
    shown = {**done, "created": _iso(done["created"])}
    run.output.result(shown, f"changed the application {done['name']} ({done['application']})", *_lines(done))
    if not done["default_target"] and not done["targets"] and not done["hosts"]:
        run.output.note(f"note: {NOWHERE}")
    if done["hosts"] and {"hosts", "default_target"} & fields.keys():
        run.output.note(f"note: {SIGNED.format(name=done['name'])}")


@apps.command("list", example="punctual apps list")
@pass_run
def list_applications(run: Run) -> None:
    """List the applications by name."""
    found = _ask(run, "list", {}, Repeat.SETTLES)["applications"]
    rows = (Row(_cells(each), {**each, "created": _iso(each["created"])}) for each in found)
    run.output.list(["name", "id", "default target", "limits", "created"], rows, empty="there is no application")


@apps.command("keys", example="punctual apps keys warehouse")
@click.argument("name")
@click.option("--webhook-secrets", is_flag=True, help="Show the secrets that sign its webhooks, newest first.")
@pass_run
def keys(run: Run, name: str, webhook_secrets: bool) -> None:
    """List the keys of the application NAME by their ids. The keys themselves are never shown again."""
    if webhook_secrets:
        found = _ask(run, "keys", {"name": name, "webhook_secrets": True}, Repeat.SETTLES)
        secrets = found["webhook_secrets"]
        run.output.result({"webhook_secrets": secrets}, *secrets)
        if not secrets:
            run.output.note("the stack signs no webhooks: it has no WebhookSecretArn")
        return
    found = _ask(run, "keys", {"name": name}, Repeat.SETTLES)["keys"]
    rows = (
        Row(
            [each["id"], each["scope"], each["state"], _shown(each["created"]), _shown(each["ends"])],
            {**each, "created": _iso(each["created"]), "ends": _iso(each["ends"])},
        )
        for each in found
    )
    run.output.list(["id", "scope", "state", "created", "ends"], rows, empty=f"{name} has no key")


@apps.command("rotate", example="punctual apps rotate 1f2e3d4c-9a8b7c6d --grace 7d")
@click.argument("keyid")
@duration_option("--grace", help="How long the old key stays valid, at most 90d. Default: 1d.")
@pass_run
def rotate(run: Run, keyid: str, grace: timedelta | None) -> None:
    """Make a new key in place of the key KEYID, with the same rights. The old key ends after the grace."""
    fields = {} if grace is None else {"grace": grace.total_seconds()}
    made = _ask(run, "rotate", {"id": keyid, **fields})
    ending = f"the old key {made['replaces']} is valid until {_shown(made['ends'])}"
    run.output.result({**made, "ends": _iso(made["ends"])}, f"{made['id']}  {made['key']}", ending)
    run.output.note(f"note: {ONCE}")


@apps.command("disable", example="punctual apps disable 1f2e3d4c-9a8b7c6d")
@click.argument("keyid")
@pass_run
def disable(run: Run, keyid: str) -> None:
    """Disable the key KEYID for ever. It is refused within 60 seconds."""
    done = _ask(run, "disable", {"id": keyid}, Repeat.SETTLES)
    run.output.result(done, f"disabled the key {done['id']}; it is refused within 60 seconds")


@apps.command(
    "usage",
    example="""
    punctual apps usage billing
    punctual apps usage owner --month 2026-10
    """,
)
@click.argument("name")
@click.option("--month", metavar="YYYY-MM", help="A month of UTC. Default: this one.")
@pass_run
def usage(run: Run, name: str, month: str | None) -> None:
    """Show how many schedules of the application NAME were accepted, delivered and so on, day by day.

    The name `owner` shows the schedules of the owner. The stack counts if it has the HTTP API, or with the parameter
    Ledger. A crash counts too much, and never too little.
    """
    found = _ask(run, "usage", {"name": name, **({} if month is None else {"month": month})}, Repeat.SETTLES)
    counters = list(found["total"])
    rows = [Row([each["day"], *(f"{each[name]:,}" for name in counters)], each) for each in found["days"]]
    if rows:
        total = found["total"]
        rows.append(Row(["total", *(f"{total[name]:,}" for name in counters)], {"day": None, **total}))
    run.output.list(["day", *counters], rows, empty=f"nothing of {name} was counted in {found['month']}")


@apps.command("repair", example="punctual apps repair")
@pass_run
def repair(run: Run) -> None:
    """Bring API Gateway in line with the applications, and complete deletions.

    Run it after the HTTP API was off and on again. It also says which keys API Gateway does not know, so that you can
    rotate them.
    """
    done: dict[str, Any] = {"ended": 0, "changed": 0}
    for _ in range(REPAIRS_MAX):
        answer = _ask(run, "repair", {}, Repeat.SETTLES)
        done = {**answer, **{count: done[count] + answer[count] for count in ("ended", "changed")}}
        if not done["left"]:
            break
    gateway = "the stack has no HTTP API"
    if done["api"]:
        gateway = f"made {counted(done['changed'], 'change')} in API Gateway"
    left = f", and {done['left']} are left: run it again" if done["left"] else ""
    unknown = [f"API Gateway does not know the key {id}: punctual apps rotate {id}" for id in done["rotate"]]
    run.output.result(done, f"completed {counted(done['ended'], 'deletion')}; {gateway}{left}", *unknown)


@apps.command("delete", example="punctual apps delete warehouse")
@click.argument("name")
@pass_run
def delete(run: Run, name: str) -> None:
    """Delete the application NAME and its keys. This is refused while a schedule of it is pending."""
    done = _ask(run, "delete", {"name": name}, Repeat.SAFE)
    run.output.result(done, f"deleted the application {done['name']} ({done['application']})")


def _ask(run: Run, operation: str, fields: dict[str, Any], repeat: Repeat = Repeat.NEVER) -> dict[str, Any]:
    """Invoke the admin function. Without `repeat` the call makes a key, and a repeat would make another."""
    answer: dict[str, Any] = Invoker(run.backend, run.outputs).administer(operation, fields, repeat)
    return answer


def _decided(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that the options decide. An option that is not given decides nothing."""
    fields = {field: list(value) if isinstance(value, tuple) else value for field, value in given.items()}
    return {field: value for field, value in fields.items() if value not in (None, [])}


def _cells(application: dict[str, Any]) -> list[str]:
    created = _shown(application["created"])
    return [
        application["name"],
        application["application"],
        _default_target(application),
        _limits(application),
        created,
    ]


def _lines(application: dict[str, Any]) -> Iterator[str]:
    """Yield all that is decided about an application."""
    yield f"default target   {_default_target(application)}"
    for field in ("targets", "failure_targets", "hosts"):
        listed = ", ".join(map(printable, application[field])) or "(none)"
        yield f"{field.replace('_', ' '):<17}{listed}"
    yield f"limits           {_limits(application)}"


def _default_target(application: dict[str, Any]) -> str:
    target = application["default_target"]
    if isinstance(target, dict):
        target = target.get("url") or target.get("arn")
    return printable(target or "(none)")


def _limits(application: dict[str, Any]) -> str:
    rate = f"{application['rate']}/s, burst {application['burst']}"
    return f"{rate}, {application['quota']:,} a day" if application["quota"] else rate


def _shown(epoch_s: float | None) -> str:
    return "" if epoch_s is None else times.HERE.shown(datetime.fromtimestamp(epoch_s, UTC))


def _iso(epoch_s: float | None) -> str | None:
    return None if epoch_s is None else times.iso(datetime.fromtimestamp(epoch_s, UTC))
