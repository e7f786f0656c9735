"""Parse the command line, call the subcommand, and turn every error into one line and an exit status."""

from __future__ import annotations

import contextlib
import difflib
import importlib
import importlib.util
import itertools
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from typing import Any, TextIO

import click
from click.shell_completion import CompletionItem, shell_complete

import punctual
from punctual.cli import errors
from punctual.cli.app import SECTIONS, Entry, missing_of
from punctual.cli.options import Command, global_options, with_global_options
from punctual.cli.run import Run

NAME = "punctual"
COMPLETION_VARIABLE = "_PUNCTUAL_COMPLETE"


class LazyGroup(click.Group):
    """Imports a subcommand when it is called. Its help needs none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for section in SECTIONS.values() for name, entry in section.items() if _is_there(entry)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = _entries().get(cmd_name)
        if entry is None or not _is_there(entry):
            return None
        missing = missing_of(entry.extra) if entry.extra else None
        if missing:
            raise errors.CommandFailed(missing, code="MissingExtra")
        module, _, attribute = entry.place.partition(":")
        found: click.Command = getattr(importlib.import_module(module), attribute)
        if isinstance(found, Command):
            found.needs = entry.needs
        return with_global_options(found)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        known = self.list_commands(ctx)
        if args and args[0] not in known and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], known, n=1)
            meant = f": did you mean {near[0]}?" if near else f": see {NAME} --help"
            raise errors.WrongUsage(f"there is no command {errors.one_line(args[0])!r}{meant}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for heading, entries in SECTIONS.items():
            lines = [(name, entry.help) for name, entry in entries.items() if _is_there(entry)]
            if lines:
                with formatter.section(heading):
                    formatter.write_dl(lines, col_max=12)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        entries = _entries()
        names = [name for name in self.list_commands(ctx) if name.startswith(incomplete)]
        items = [CompletionItem(name, help=entries[name].help) for name in names]
        return items + click.Command.shell_complete(self, ctx, incomplete)


def _entries() -> dict[str, Entry]:
    return {name: entry for section in SECTIONS.values() for name, entry in section.items()}


def _is_there(entry: Entry) -> bool:
    """Tell whether the module of a subcommand is installed. Only its folder is looked at."""
    try:
        return importlib.util.find_spec(entry.place.partition(":")[0]) is not None
    except ModuleNotFoundError:
        return False


def _version(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not context.resilient_parsing:
        click.echo(f"{NAME} {punctual.__version__}")
        context.exit()


root = LazyGroup(
    NAME,
    help="Schedule data for a time, and see what becomes of it. Every command has a --help with an example.",
    params=[
        *global_options(),
        click.Option(
            ["--version"], is_flag=True, expose_value=False, is_eager=True, callback=_version, help="Show the version."
        ),
    ],
    subcommand_metavar="COMMAND [ARGUMENTS]",
    epilog="Exit status: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 rejected as invalid, 5 AWS not reachable or "
    "not confirmed, 6 too late, 130 interrupted.",
    context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 100},
)


def run(arguments: Sequence[str], new: Run | None = None) -> int:
    """Run the command line and return the exit status. `new` is the Run to begin with, for tests."""
    current = new or Run()
    current.stack = os.environ.get("PUNCTUAL_STACK") or current.stack
    with _streams():
        return _status(list(arguments), current)


def _status(arguments: list[str], current: Run) -> int:
    try:
        return _called(arguments, current)
    except click.exceptions.NoArgsIsHelpError as error:
        current.output.note(error.format_message())
        return errors.WRONG_USAGE
    except BrokenPipeError:  # The reader has seen enough, such as `head`.
        return errors.DONE
    except (click.Abort, KeyboardInterrupt):
        status, fields = errors.INTERRUPTED, {"error": "Interrupted", "message": "interrupted"}
    except click.UsageError as error:
        status, fields = errors.WRONG_USAGE, {"error": "WrongUsage", "message": _usage(error)}
    except Exception as error:  # noqa: BLE001 (a user gets one line, and no traceback)
        status, fields = errors.described(error)
        if errors.debugging():
            traceback.print_exc()
    _report(current, arguments, fields)
    return status


def _called(arguments: list[str], current: Run) -> int:
    """Call the subcommand. It returns its exit status, or None for 0."""
    shell = os.environ.get(COMPLETION_VARIABLE)
    if shell:
        return shell_complete(root, {}, NAME, COMPLETION_VARIABLE, shell)
    try:
        with root.make_context(NAME, arguments, obj=current) as context:
            status = root.invoke(context)
    except click.exceptions.Exit as end:
        return end.exit_code
    return status if isinstance(status, int) else errors.DONE


def _report(current: Run, arguments: list[str], fields: dict[str, Any]) -> None:
    """Print the error. `--json` counts even if the error came before it was parsed."""
    current.output.as_json |= "--json" in itertools.takewhile(lambda argument: argument != "--", arguments)
    if fields["error"] == "Interrupted" and current.output.can_ask():
        current.output.note("")  # The line has a ^C.
    current.output.error(fields)


def _usage(error: click.UsageError) -> str:
    """Return what is wrong in one line, with the command that explains more."""
    message = errors.one_line(error.format_message()).rstrip(".")
    path = error.ctx.command_path if error.ctx else NAME
    return f"{message[:1].lower()}{message[1:]}: see {path} --help"


@contextlib.contextmanager
def _streams() -> Iterator[None]:
    """Keep odd characters and closed streams from raising errors of their own."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115 (until the end)
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):
                _silence(stream)


def _silence(stream: TextIO) -> None:
    """Send what is left in a stream nowhere. Otherwise the interpreter would complain at its end."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
