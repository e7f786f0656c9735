"""`python -m punctual.local`: run the whole of Punctual on this machine, with a demonstration, until Ctrl-C.

The exit status is 0 after Ctrl-C and after a successful `--once`. It is 1 if `--once` found a missing or early
schedule or was interrupted, or if the local AWS could not be set up.
"""

import argparse
import signal
import sys
import time
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from punctual.local.demo import MISSING_SHOWN_MAX, REFUSALS, DemonstrationFailed, Plan, Summary, demonstrate
from punctual.local.deployment import DeploymentFailed, FunctionFailed, Stack, deploy
from punctual.local.emulator import Emulator, EmulatorFailed
from punctual.local.next_steps import suggestions
from punctual.local.receiver import Receiver
from punctual.local.view import view

TEMPLATE_PATH = Path(__file__).parents[2] / "template.yml"
STATE_FOLDER = Path(".punctual")
# A short reach, so that the demonstration also uses the table: a schedule 100 s ahead passes through it.
PARAMETERS = {"FeedIntervalMinutes": 1, "ReachSeconds": 90, "DeliveryLeadSeconds": 3}
IDLE_S = 1.0

# Errors with causes outside this code are reported in one line. A fault of this code comes with its traceback.
EXPECTED = (BotoCoreError, ClientError, DeploymentFailed, DemonstrationFailed, EmulatorFailed, FunctionFailed)


class Interruption:
    """Remembers Ctrl-C. It may interrupt a library that releases a lock, and make it raise RuntimeError: no fault."""

    def __init__(self) -> None:
        self.came = False

    def __call__(self, *_: object) -> None:
        self.came = True
        raise KeyboardInterrupt


def main(arguments: list[str]) -> int:
    options = parsed(arguments)
    interruption = Interruption()
    signal.signal(signal.SIGTERM, interruption)
    signal.signal(signal.SIGINT, interruption)
    try:
        return run(options)
    except (KeyboardInterrupt, RuntimeError):
        if not interruption.came:
            raise
        print("\nstopped; nothing is left running")
        return 1 if options.once else 0
    except EXPECTED as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m punctual.local",
        description="Start a local AWS on loopback, deploy Punctual to it, show schedules arriving on time, and stay "
        "up until Ctrl-C. Nothing reaches the real AWS, and nothing is left behind.",
    )
    parser.add_argument(
        "--once", action="store_true", help="end after the demonstration: status 0 only if all came back and none early"
    )
    parser.add_argument(
        "--persist", action="store_true", help=f"keep schedules and stack in {STATE_FOLDER}/ here, for the next run"
    )
    parser.add_argument("--port", type=int, help="the loopback port of the local AWS (default: any free one)")
    return parser.parse_args(arguments)


def run(options: argparse.Namespace) -> int:
    state_folder = STATE_FOLDER if options.persist else None
    with (
        Receiver(REFUSALS) as receiver,
        Emulator(port=options.port, auth=True, state_folder=state_folder) as emulator,
    ):
        print(f"A local AWS is up at {emulator.endpoint_url}. Deploying {TEMPLATE_PATH.name} ...", flush=True)
        stack = deploy(emulator, TEMPLATE_PATH, parameters={**PARAMETERS, "WebhookHosts": receiver.origin})
        print("Deployed. Now schedules go in, due in 2 to 100 s. Watch them come out.\n", flush=True)
        summary = demonstrated(stack, receiver)
        print(f"\n{summary}\n{missing(summary)}", flush=True)
        if options.once:
            return 0 if summary.is_good else 1
        print(f"{suggestions(stack)}\nIt stays up until Ctrl-C.", flush=True)
        stay(emulator)
    return 0


def demonstrated(stack: Stack, receiver: Receiver) -> Summary:
    with view() as shown:
        return demonstrate(stack, Plan.for_stack(stack), shown, receiver)


def missing(summary: Summary) -> str:
    """Return the ids of the missing schedules, shortened to the first few."""
    if not summary.missing:
        return ""
    shown = "\n".join(f"  {id}" for id in summary.missing[:MISSING_SHOWN_MAX])
    more = len(summary.missing) - MISSING_SHOWN_MAX
    return f"missing:\n{shown}\n" + (f"  and {more} more\n" if more > 0 else "")


def stay(emulator: Emulator) -> None:
    """Wait for Ctrl-C. Raise EmulatorFailed if the local AWS ends by itself."""
    while emulator.is_running():
        time.sleep(IDLE_S)
    raise EmulatorFailed("the local AWS ended by itself")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
