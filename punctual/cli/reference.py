"""Write the part of docs/cli.md that lists the commands, from their own help: `python -m punctual.cli.reference FILE`.

Everything up to the marker is written by hand and stays.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from punctual.cli.app import SECTIONS
from punctual.cli.group import NAME, root
from punctual.cli.options import Command, GlobalOption

MARKER = (
    "<!-- The rest is written by `python -m punctual.cli.reference docs/cli.md`, from the help of each command. -->"
)


def page(written_by_hand: str) -> str:
    """Return the whole page: what stands before the marker, and the commands."""
    before, _, _ = written_by_hand.partition(MARKER)
    return "\n".join([before.rstrip(), "", MARKER, "", *_commands()])


def _commands() -> Iterator[str]:
    context = click.Context(root, info_name=NAME)
    shown = set(root.list_commands(context))
    yield from ["## Global options", "", *_options(root, context, globally=True)]
    for section, entries in SECTIONS.items():
        names = [name for name in entries if name in shown]
        if names:
            yield from [f"## {section}", ""]
        for name in names:
            found = root.get_command(context, name)
            assert found is not None
            yield from _command(found, click.Context(found, info_name=name, parent=context))


def _command(command: click.Command, context: click.Context) -> Iterator[str]:
    """Yield the lines of one command, and those of its own subcommands."""
    usage = " ".join(command.collect_usage_pieces(context))
    yield from [f"### {context.command_path.removeprefix(f'{NAME} ')}", "", f"    {context.command_path} {usage}", ""]
    yield from [*inspect.cleandoc(command.help or "").splitlines(), ""]
    example, needs = (command.example, command.needs) if isinstance(command, Command) else ("", "")
    if example:
        yield from ["```sh", *(line.strip() for line in example.strip().splitlines()), "```", ""]
    if needs:
        yield from [f"[Rights in AWS](permissions.md): {needs}.", ""]
    yield from _options(command, context, globally=False)
    for name, nested in sorted(getattr(command, "commands", {}).items()):
        yield from _command(nested, click.Context(nested, info_name=name, parent=context))


def _options(command: click.Command, context: click.Context, *, globally: bool) -> Iterator[str]:
    """Yield a table of the options. The global ones, and --help, stand in one table at the beginning."""
    records = []
    for option in command.params:
        if not isinstance(option, click.Option) or (isinstance(option, GlobalOption) and not globally):
            continue
        record = option.get_help_record(context)
        if record is not None:
            names, text = (each.replace("|", "\\|") for each in record)
            records.append(f"| `{names}` | {text} |")
    if records:
        yield from ["| option | meaning |", "|---|---|", *records, ""]


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(page(path.read_text(encoding="utf-8")), encoding="utf-8")
