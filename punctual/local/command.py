"""The command `punctual dev`: the whole of Punctual on this machine.

It imports nothing of the local stack before it runs, so that it is listed without the packages of the extra. The exit
status is 0 after Ctrl-C and after a successful `--once`. It is 1 if `--once` found a missing or early schedule or was
interrupted, or if the local AWS could not be set up, and 2 for wrong usage.
"""

import importlib.util
import signal
from typing import Any

import click

from punctual.cli.options import command

EXTRA = "pip install 'punctual-aws[local]'"
NEEDED = ("ministack", "samtranslator", "rich")
PORT_MAX = 65_535
STACK_DEFAULT = "punctual"


class Interruption:
    """Remembers Ctrl-C. It may interrupt a library that releases a lock, and make it raise RuntimeError: no fault."""

    def __init__(self) -> None:
        self.came = False

    def __call__(self, *_: object) -> None:
        self.came = True
        raise KeyboardInterrupt


@command("dev", example="punctual dev --parameter PartitionCount=8 --port 4566 --no-demo")
@click.option(
    "--parameter", "words", multiple=True, metavar="NAME=VALUE", help="Set a parameter of the template. Repeatable."
)
@click.option(
    "--port",
    type=click.IntRange(1, PORT_MAX),
    metavar="PORT",
    help="The loopback port of the local AWS. Default: any free one.",
)
@click.option("--demo/--no-demo", "shows", default=True, help="Show schedules arriving first. Default: --demo.")
@click.option("--persist", "persists", is_flag=True, help="Keep schedules and stack in .punctual/ for the next run.")
@click.option(
    "--once", is_flag=True, help="End after the demonstration. The status is 0 only if all came back and none early."
)
@click.pass_context
def dev(
    context: click.Context, words: tuple[str, ...], port: int | None, shows: bool, persists: bool, once: bool
) -> None:
    """Run a local AWS with Punctual on loopback, until Ctrl-C.

    It prints at once which file connects a shell to it, and then shows schedules arriving. Nothing reaches the real
    AWS, and nothing is left behind without --persist.
    """
    if once and not shows:
        raise click.UsageError("--once ends after the demonstration, so it does not go with --no-demo")
    absent = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if absent:
        raise click.ClickException(f"the local stack needs more packages ({', '.join(absent)}): {EXTRA}")
    # The command `punctual` has a global option for the name of the stack.
    stack = getattr(context.obj, "stack", STACK_DEFAULT)
    context.exit(run(words, {"port": port, "shows": shows, "persists": persists, "once": once, "stack": stack}))


def run(words: tuple[str, ...], settings: dict[str, Any]) -> int:
    from punctual.local.session import EXPECTED, Options  # noqa: PLC0415 - It needs the packages of the extra.
    from punctual.local.session import run as run_session  # noqa: PLC0415

    options = Options(parameters(words), **settings)
    interruption = Interruption()
    signal.signal(signal.SIGTERM, interruption)
    signal.signal(signal.SIGINT, interruption)
    try:
        return 0 if run_session(options) else 1
    except (KeyboardInterrupt, RuntimeError):
        if not interruption.came:
            raise
        click.echo("\nstopped; nothing is left running")
        return 1 if options.once else 0
    except EXPECTED as error:
        click.echo(f"error: {error}", err=True)
        return 1


def parameters(words: tuple[str, ...]) -> dict[str, str]:
    """Return the given parameters. Raise click.UsageError if the template has no such parameter."""
    from punctual import stack_files  # noqa: PLC0415

    names = stack_files.parameter_names(stack_files.stack_file("template.yml").read_text())
    try:
        return stack_files.parsed_parameters(words, names)
    except ValueError as error:
        raise click.UsageError(f"--parameter: {error}") from None
