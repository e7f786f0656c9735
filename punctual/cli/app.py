"""Start the command `punctual`, and list its subcommands.

This module imports nothing but the standard library, so that it can name the extra to install if click is missing.
"""

import importlib.util
import sys
from collections.abc import Sequence
from typing import NamedTuple

EXTRAS = {"cli": ("click", "rich"), "local": ("ministack", "samtranslator")}
"""The modules that each extra installs."""


class Entry(NamedTuple):
    """The place of a subcommand, its line in `punctual --help`, and the rights in AWS that it needs.

    The policies are outputs of the stack. Some subcommands need another `extra` beside `cli`.
    """

    place: str
    help: str
    needs: str = ""
    extra: str | None = None


CALLER, VIEWER, OPERATOR, DEPLOYER = "CallerPolicy", "ViewerPolicy", "OperatorPolicy", "rights to deploy"


SECTIONS: dict[str, dict[str, Entry]] = {
    "One schedule": {
        "schedule": Entry("punctual.cli.schedules.create:schedule", "Schedule data for a time.", CALLER),
        "get": Entry("punctual.cli.schedules.single:get", "Show one schedule.", f"{CALLER} or {VIEWER}"),
        "cancel": Entry(
            "punctual.cli.schedules.cancel:cancel", "Cancel one schedule, or all names with a prefix.", CALLER
        ),
        "move": Entry("punctual.cli.schedules.single:move", "Give a schedule another time.", CALLER),
        "change": Entry("punctual.cli.schedules.change:change", "Change any field of a schedule.", CALLER),
        "fire": Entry("punctual.cli.schedules.single:fire", "Release a schedule now.", CALLER),
        "explain": Entry(
            "punctual.cli.inspecting.explain:explain", "Say why a schedule fired, did not, or was late.", VIEWER
        ),
    },
    "Many schedules": {
        "list": Entry(
            "punctual.cli.schedules.listing:list_schedules",
            "List schedules by their time.",
            f"{VIEWER}, or {CALLER} with --prefix",
        ),
        "forecast": Entry(
            "punctual.cli.schedules.forecast:forecast", "Count schedules over time, as a bar chart.", VIEWER
        ),
        # From files, and from EventBridge Scheduler.
        "import": Entry("punctual.cli.bulk.importing:import_schedules", "Schedule every line of a file.", CALLER),
        "export": Entry("punctual.cli.bulk.exporting:export_schedules", "Write all schedules to a file.", VIEWER),
        "adopt": Entry(
            "punctual.cli.bulk.adopting:adopt",
            "Take over schedules of EventBridge Scheduler.",
            f"{CALLER}, and rights in EventBridge Scheduler",
        ),
    },
    "What comes out": {
        "tail": Entry("punctual.cli.tailing.tail:tail", "Show messages of the output queue as they come.", OPERATOR),
        "failures": Entry("punctual.cli.schedules.failures:failures", "List failed deliveries.", VIEWER),
        "redrive": Entry("punctual.cli.schedules.failures:redrive", "Schedule failed deliveries again.", OPERATOR),
    },
    "Who shares the stack": {
        "apps": Entry("punctual.cli.applications.apps:apps", "Give teams and customers keys of their own.", OPERATOR),
    },
    "The stack": {
        "deploy": Entry("punctual.cli.deploying.deploy:deploy", "Deploy or update the stack.", DEPLOYER),
        "destroy": Entry("punctual.cli.deploying.destroy:destroy", "Remove the stack.", DEPLOYER),
        # These only read, or clean up after themselves.
        "doctor": Entry("punctual.cli.inspecting.doctor:doctor", "Check the stack, and name each fault.", OPERATOR),
        "verify": Entry(
            "punctual.cli.inspecting.verify:verify", "Send real schedules, and measure their lateness.", OPERATOR
        ),
        # On this machine alone.
        "dev": Entry("punctual.local.command:dev", "Run the whole stack on this machine.", extra="local"),
    },
    "This command": {
        "completion": Entry("punctual.cli.completion:completion", "Print the completion of your shell."),
    },
}
"""Every subcommand: `module:attribute`, imported when it is called. A line is shown once its module is there."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    try:
        missing = missing_of("cli")
        if missing:
            print(f"error: {missing}", file=sys.stderr)
            return 1
        from punctual.cli import group

        return group.run(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:  # During the imports.
        return 130


def missing_of(extra: str) -> str | None:
    """Return how to install an extra if a part of it is missing."""
    for module in EXTRAS[extra]:
        if importlib.util.find_spec(module) is None:
            return f"{module} is not installed: run pip install 'punctual-aws[{extra}]'"
    return None


if __name__ == "__main__":
    sys.exit(main())
