"""The decorator `command`, the global options, and options that several subcommands share."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import click

from punctual.cli import times
from punctual.cli.errors import WrongUsage
from punctual.cli.run import Run

Span = tuple[datetime | None, datetime | None]
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class GlobalOption(click.Option):
    """An option that stands before or after the name of a subcommand. It sets a field of the Run."""

    def __init__(self, *declarations: str, **settings: Any) -> None:
        super().__init__(list(declarations), expose_value=False, is_eager=True, callback=_remember, **settings)


def _remember(context: click.Context, option: click.Parameter, value: Any) -> None:
    run = context.ensure_object(Run)
    if option.name == "json":
        run.output.as_json |= bool(value)
    elif value is not None:
        setattr(run, str(option.name), value)


def global_options() -> list[GlobalOption]:
    """Return the global options. The environment variable counts only where no option is given."""
    return [
        GlobalOption("--stack", metavar="NAME", help="The stack. Default: PUNCTUAL_STACK, or punctual."),
        GlobalOption("--profile", metavar="NAME", help="The profile of your AWS credentials."),
        GlobalOption("--region", metavar="NAME", help="The AWS region."),
        GlobalOption("--endpoint-url", metavar="URL", help="Another address of AWS, such as that of the local stack."),
        GlobalOption("--json", is_flag=True, help="Print JSON: one object, or one object a line for a list."),
    ]


class Command(click.Command):
    """A subcommand whose help ends with an example, the rights that it needs, and the global options."""

    needs = ""
    """The policies or rights in AWS that it needs, if any."""

    def __init__(self, *arguments: Any, example: str = "", **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.example = example

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        records: dict[str, list[tuple[str, str]]] = {"Options": [], "Global options": []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx) if isinstance(parameter, click.Option) else None
            if record is not None:
                records["Global options" if isinstance(parameter, GlobalOption) else "Options"].append(record)
        self.format_example(formatter)
        if self.needs:
            with formatter.section("Rights in AWS"):
                formatter.write_text(self.needs)
        for heading, lines in records.items():
            if lines:
                with formatter.section(heading):
                    formatter.write_dl(lines)

    def format_example(self, formatter: click.HelpFormatter) -> None:
        if self.example:
            with formatter.section("Example"):
                for line in self.example.strip().splitlines():
                    formatter.write(f"{'':>{formatter.current_indent}}{line.strip()}\n")


class CommandGroup(Command, click.Group):
    """A subcommand that has subcommands of its own, which its help lists first."""

    command_class = Command

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.format_commands(ctx, formatter)
        super().format_options(ctx, formatter)


def command_group(name: str, *, example: str) -> Callable[[Callable[..., Any]], CommandGroup]:
    """Make a subcommand that has subcommands of its own."""
    return click.group(name, cls=CommandGroup, example=example)


def command(name: str, *, example: str) -> Callable[[Callable[..., Any]], Command]:
    """Make a subcommand from a function. Its docstring is the help, and `example` one command line or more."""
    return click.command(name, cls=Command, example=example, context_settings={"show_default": False})


def with_global_options(subcommand: click.Command) -> click.Command:
    """Give a subcommand, and the subcommands of a group, the global options."""
    if not any(isinstance(parameter, GlobalOption) for parameter in subcommand.params):
        subcommand.params.extend(global_options())
    for nested in getattr(subcommand, "commands", {}).values():
        with_global_options(nested)
    return subcommand


def stacked(*decorators: Decorator) -> Decorator:
    """Join decorators, in the order of the help."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for each in reversed(decorators):
            function = each(function)
        return function

    return decorate


def duration_option(*names: str, help: str, **settings: Any) -> Decorator:  # noqa: A002 (as click names it)
    """Return an option for a duration such as `90m`, which the subcommand receives as a timedelta."""
    return click.option(*names, metavar="DURATION", callback=_converted(times.duration), help=help, **settings)


def zone_option(text: str) -> Decorator:
    """Return the option --tz, which the subcommand receives as the argument `zone`."""
    return click.option("--tz", "zone", metavar="ZONE", callback=_converted(times.zone), help=text)


def _converted(convert: Callable[[str], Any]) -> Callable[[click.Context, click.Parameter, str | None], Any]:
    return lambda _context, _option, value: None if value is None else convert(value)


time_range = stacked(
    click.option("--from", "start", metavar="TIME", help="The first moment: a time, now, or +2d or -1h from now."),
    click.option("--to", "end", metavar="TIME", help="The end, which is not included itself. Written like --from."),
    zone_option("The time zone of times without an offset, and of the times shown. `local`: that of this machine."),
)
"""The options --from, --to and --tz of lists. `resolved_range` reads them."""

yes_option = click.option("--yes", "-y", is_flag=True, help="Do it without a question.")


def resolved_range(run: Run, start: str | None, end: str | None, zone: times.Zone | None) -> Span:
    """Return the aware times of --from and --to, and None for an option that is missing."""
    now = run.now()
    first, last = (None if each is None else times.moment_or_distance(each, now, zone) for each in (start, end))
    if first is not None and last is not None and first >= last:
        raise WrongUsage(f"--from {start} is not before --to {end}: nothing lies between them")
    return first, last
