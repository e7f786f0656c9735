"""Run the local stack: start a local AWS, deploy, print how to use it, demonstrate, and stay up until Ctrl-C."""

import contextlib
import dataclasses
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from punctual import stack_files
from punctual.local.demo import REFUSALS, DemonstrationFailed, Plan, Queues, demonstrate
from punctual.local.deployment import STACK_NAME, DeploymentFailed, FunctionFailed, Stack, deploy
from punctual.local.emulation.emulator import Emulator
from punctual.local.emulation.isolation import HOST
from punctual.local.emulation.supervisor_process import EmulatorFailed
from punctual.local.environment import environment_file, suggestions
from punctual.local.progress import MISSING_SHOWN_MAX, Summary
from punctual.local.receiver import Receiver
from punctual.local.view import view

STATE_FOLDER = Path(".punctual")
# A short reach, so that the demonstration also uses the table: a schedule 100 s ahead passes through it.
PARAMETERS = {"FeedIntervalMinutes": "1", "ReachSeconds": "90", "DeliveryLeadSeconds": "3", "ApiEnabled": "true"}
OWNER = "owner"
"""The application that the keys of the stack's owner belong to."""
OWN_WEBHOOK_HOST = f"http://{HOST}:8080"
"""The webhook host that is allowed unless the user lists others."""
LISTS = ("TargetArns", "WebhookHosts")
IDLE_S = 1.0

# Errors with causes outside this code are reported in one line. A fault of this code comes with its traceback.
EXPECTED = (BotoCoreError, ClientError, DeploymentFailed, DemonstrationFailed, EmulatorFailed, FunctionFailed, OSError)


@dataclasses.dataclass(frozen=True)
class Options:
    parameters: Mapping[str, str] = dataclasses.field(default_factory=dict)
    port: int | None = None
    shows: bool = True
    """Whether the demonstration runs."""
    persists: bool = False
    once: bool = False
    stack: str = STACK_NAME


def run(options: Options) -> bool:
    """Run the local stack. Return whether the demonstration, if there was one, showed what is promised."""
    state_folder = STATE_FOLDER if options.persists else None
    with contextlib.ExitStack() as stopping:
        receiver = stopping.enter_context(Receiver(REFUSALS)) if options.shows else None
        emulator = stopping.enter_context(Emulator(port=options.port, auth=True, state_folder=state_folder))
        template_path = stack_files.stack_file("template.yml")
        say(f"A local AWS is up at {emulator.endpoint_url}. Deploying {template_path.name} ...")
        # An interrupted demonstration may have left schedules for these queues, so they are always allowed.
        queues = Queues.made(emulator)
        stack = deploy(emulator, template_path, options.stack, parameters(options, queues, receiver))
        path = stopping.enter_context(environment_file(stack, STATE_FOLDER))
        say(greeting(path, stack.parameters["WebhookHosts"].split(","), console(stack)))
        summary = demonstrated(stack, queues, receiver) if receiver else None
        if not options.once:
            say(f"{suggestions()}\nIt stays up until Ctrl-C.")
            stay(emulator)
    return summary is None or summary.is_good


def parameters(options: Options, queues: Queues, receiver: Receiver | None) -> dict[str, str]:
    """Return the user's parameters with the targets and the host of the demonstration."""
    given = {"WebhookHosts": OWN_WEBHOOK_HOST, **options.parameters}
    needed = {"TargetArns": queues.arns, "WebhookHosts": [receiver.origin] if receiver else []}
    joined = {name: ",".join(filter(None, [given.get(name, ""), *needed[name]])) for name in LISTS}
    return {**PARAMETERS, **given, **joined}


class ConsoleAddress(NamedTuple):
    url: str
    key: str


def console(stack: Stack) -> ConsoleAddress | None:
    """Return the address of the console and a new key for it, or None if the user's parameters turned the API off."""
    if "ApiUrl" not in stack.outputs:
        return None
    keys = stack.invoke("AdminFunction", {"operation": "create", "name": OWNER})
    return ConsoleAddress(f"{stack.outputs['ApiUrl']}/console", keys["control"]["key"])


def greeting(path: Path, hosts: list[str], console: ConsoleAddress | None) -> str:
    """Return the lines that say how to use the stack. They come before the demonstration."""
    shown = f"\nOpen the console at\n{console.url}\nwith the key {console.key}." if console else ""
    return f"""\
Deployed. Connect another shell in this folder with `. {path}`.
Then use `punctual` or the AWS CLI. Webhooks may go to {hosts[0]}.{shown}"""


def demonstrated(stack: Stack, queues: Queues, receiver: Receiver) -> Summary:
    say("The demonstration has queues of its own. Its schedules are due in 2 to 100 s.\n")
    with view() as shown:
        summary = demonstrate(stack, queues, Plan.for_stack(stack), shown, receiver)
    say("\n".join(["", str(summary), *missing(summary), ""]))
    return summary


def missing(summary: Summary) -> Iterator[str]:
    """Yield the ids of the missing schedules, shortened to the first few."""
    if not summary.missing:
        return
    yield "missing:"
    yield from (f"  {id}" for id in summary.missing[:MISSING_SHOWN_MAX])
    more = len(summary.missing) - MISSING_SHOWN_MAX
    if more > 0:
        yield f"  and {more} more"


def stay(emulator: Emulator) -> None:
    """Wait for Ctrl-C. Raise EmulatorFailed if the local AWS ends by itself."""
    while emulator.is_running():
        time.sleep(IDLE_S)
    raise EmulatorFailed("the local AWS ended by itself")


def say(text: str) -> None:
    print(text, flush=True)
