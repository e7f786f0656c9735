"""The loop of `punctual tail`: receive, show, and delete only what was handed on."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from punctual.cli import times
from punctual.cli.errors import DONE
from punctual.cli.options import command, zone_option
from punctual.cli.output import counted, printable, shortened
from punctual.cli.run import Run, pass_run
from punctual.cli.schedules.shown import timestamp
from punctual.cli.tailing.alone import require_alone
from punctual.cli.tailing.forward import Forwarder

if TYPE_CHECKING:
    from punctual.receiving.held import Held, Hold
    from punctual.receiving.message import Message

WAIT_S = 1
"""How long SQS waits for messages. An interruption counts between two requests, so that none is received and unseen."""
KEPT_MAX = 10_000
"""How many messages stay hidden at once without --delete. SQS allows 120,000 for all consumers."""
SIGNALLED = 128
"""The exit status of a command that a signal ended is this and the signal's number: 130 for Ctrl-C."""


@command(
    "tail",
    example="""
    punctual tail
    punctual tail --forward http://127.0.0.1:8000/reminders
    """,
)
@click.option("--forward", metavar="URL", help="Post each message to a URL, and delete it if the answer is 2xx.")
@click.option("--delete", is_flag=True, help="Delete each message once it is shown. Not together with --forward.")
@click.option("--take", is_flag=True, help="Go on if another consumer reads the queue. It misses what is shown here.")
@click.option("--no-wait", is_flag=True, help="End when the queue is empty.")
@zone_option("The time zone of the times shown. Default: that of this machine.")
@pass_run
def tail(run: Run, forward: str | None, delete: bool, take: bool, no_wait: bool, zone: times.Zone | None) -> int:
    """Show the messages of the output queue as they come, each with its lateness, until Ctrl-C.

    The lateness is the time from when a message was due until it is received here.

    Nothing is deleted without --forward or --delete: the messages stay hidden while the command runs, and are visible
    again when it ends. A message that --forward could not deliver comes again within a minute.

    --forward sends the data as the body, and the headers Punctual-Id, Punctual-Due, Punctual-Name, Punctual-User and
    Punctual-Application.
    """
    if forward is not None and delete:
        raise click.UsageError("--forward and --delete are both given: --forward deletes what was delivered")
    forwarder = None if forward is None else Forwarder(forward)
    if not take:
        require_alone(run)
    return _Tail(run, forwarder, zone or times.HERE, delete=delete).run(wait=not no_wait and run.backend.parallel)


class _Tail:
    def __init__(self, run: Run, forwarder: Forwarder | None, zone: times.Zone, *, delete: bool) -> None:
        from punctual.receiving.held import Held
        from punctual.receiving.output_queue import OutputQueue

        self._run, self._forwarder, self._zone, self._delete = run, forwarder, zone, delete
        self._held: Held = Held(run.backend, OutputQueue(run.backend, run.outputs.get("OutputQueueUrl")))
        self._kept: dict[str, Hold] = {}
        """The messages that were shown and not deleted, by receipt."""
        self._signals: list[int] = []

    def run(self, *, wait: bool) -> int:
        """Show messages until a signal comes. Release at the end what was not deleted, whatever ended it."""
        if wait:
            self._run.output.note(f"waiting for messages of the stack {self._run.stack!r}; Ctrl-C ends this")
        try:
            with _signals(self._signals):
                self._loop(wait=wait)
        finally:
            released = self._release()
        if released:
            self._run.output.note(f"released {counted(released, 'message')} to the queue")
        return SIGNALLED + self._signals[0] if self._signals else DONE

    def _loop(self, *, wait: bool) -> None:
        from punctual.receiving.output_queue import BATCH_MAX

        wait_s = WAIT_S if self._run.backend.parallel else 0
        while not self._signals:
            received = self._held.receive(BATCH_MAX, wait_s, lambda: bool(self._signals))
            for message in received:
                if self._signals:
                    return
                self._take(message)
            if not received and not wait:
                return
            if len(self._kept) >= KEPT_MAX:
                self._run.output.note(f"{KEPT_MAX:,} messages are hidden, so this ends; --delete goes on")
                return

    def _take(self, message: Message) -> None:
        """Forward a message, show it, and only then delete it. So an error loses no message."""
        from punctual.receiving.held import hold_of

        hold = hold_of(message)
        status, error = self._forwarded(message)
        delivered = status is not None and 200 <= status < 300
        self._show(message, status, error)
        if delivered or self._delete:
            message.delete()
            return
        self._kept[hold.receipt] = hold
        if self._forwarder is not None:
            self._held.forget(hold)  # SQS shows it again within a minute, for the next attempt.
            self._drop_expired()

    def _forwarded(self, message: Message) -> tuple[int | None, str | None]:
        if self._forwarder is None:
            return None, None
        try:
            return self._forwarder.post(message), None
        except OSError as error:
            return None, printable(str(error.strerror or error))

    def _show(self, message: Message, status: int | None, error: str | None) -> None:
        if self._run.output.as_json:
            self._run.output.json(_fields(message, status, error))
            return
        outcome = f"{error or status}  " if self._forwarder is not None else ""
        head = f"{self._zone.shown(message.due)}  {_lateness(message)}  {outcome}{_label(message)}"
        room = max(self._run.output.width() - len(head) - 2, 0)
        data = shortened(printable(message.data[: room + 1]), room)
        self._run.output.say(f"{printable(head)}  {data}".rstrip())

    def _drop_expired(self) -> None:
        """Forget the messages that SQS shows again by itself."""
        now_s = self._held.steady()
        self._kept = {receipt: hold for receipt, hold in self._kept.items() if hold.hidden_until_s > now_s}

    def _release(self) -> int:
        """Make everything visible that was not deleted. Return how many were shown before."""
        self._drop_expired()
        kept = list(self._kept.values())
        self._kept = {}
        if self._forwarder is not None:
            self._held.release(kept)
        self._held.close()
        return len(kept)


def _fields(message: Message, status: int | None, error: str | None) -> dict[str, Any]:
    return {
        "id": message.id,
        "name": message.name,
        "due": times.iso(message.due),
        "timestamp": timestamp(message.due),
        "user": message.user,
        "application": message.application,
        "lateness": round(message.lateness, 3),
        "data": message.data,
        "forwarded": status,
        "error": error,
    }


def _label(message: Message) -> str:
    """Return the name or the id, with the application in front if the message is of one."""
    whose = "" if message.application is None else f"{message.application} "
    return whose + (message.name or message.id)


def _lateness(message: Message) -> str:
    """Return the lateness with milliseconds, at a fixed width for up to a day."""
    return f"{message.lateness:+10.3f}s"


@contextlib.contextmanager
def _signals(came: list[int]) -> Iterator[None]:
    """Note the first SIGINT or SIGTERM. A second one ends the command at once, as without this."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Only the main thread gets signals.
        return

    def noted(number: int, frame: FrameType | None) -> None:
        came.append(number)
        restore()

    former = {number: signal.signal(number, noted) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in former.items():
            signal.signal(number, handler)

    try:
        yield
    finally:
        restore()
