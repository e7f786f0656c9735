"""Call the handler of a user with one message, once for each schedule, and log a failure without data."""

from __future__ import annotations

import inspect
import logging
import traceback
from collections.abc import Callable
from typing import Literal, TypeAlias

from punctual.client.errors import PunctualError
from punctual.receiving.dedupe import Ids
from punctual.receiving.message import Message

Handler: TypeAlias = "Callable[[Message], object]"
Outcome: TypeAlias = Literal["handled", "repeat", "failed"]

log = logging.getLogger("punctual")


def checked(handler: Handler, what: str) -> Handler:
    """Return the handler. Raise TypeError if it cannot be called, or is asynchronous."""
    if not callable(handler):
        raise TypeError(f"{what} takes a function of one message, and {handler!r} is none")
    call = getattr(handler, "__call__", handler)  # noqa: B004 - The method of an object that is callable.
    if any(inspect.iscoroutinefunction(each) or inspect.isasyncgenfunction(each) for each in (handler, call)):
        raise TypeError(
            f"{what} takes a plain function, and {_name(handler)} is asynchronous; "
            "write a plain one that calls asyncio.run(…)"
        )
    return handler


def handle(message: Message, handler: Handler, ids: Ids, claim_s: float | None = None) -> Outcome:
    """Call the handler unless the message is a repeat. `failed` leaves the message for SQS to send again."""
    try:
        claim = ids.claim(message.id, claim_s)
    except Exception as error:  # noqa: BLE001 - It must not fail the other messages of a batch.
        log.error("cannot tell whether schedule %s is a repeat; SQS will send it again: %s", message.id, _why(error))
        return "failed"
    if claim == "done":
        log.info("schedule %s was handled before, so this repeat is deleted", message.id)
        return "repeat"
    if claim == "busy":
        log.info("schedule %s is being handled already; SQS will send this message again", message.id)
        return "failed"
    try:
        _called(handler, message)
    except BaseException as error:
        _abandon(message, ids)
        if not isinstance(error, Exception):
            raise
        log.error("the handler failed for schedule %s, and SQS will send it again: %s", message.id, told(error))
        return "failed"
    _done(message, ids)
    return "handled"


def told(error: BaseException) -> str:
    """Return the type of an error and where it was raised. Its text may quote data, and is left out."""
    frames = "".join(traceback.format_tb(error.__traceback__)).rstrip()
    return f"{type(error).__qualname__}\n{frames}"


def _called(handler: Handler, message: Message) -> None:
    result = handler(message)
    if inspect.iscoroutine(result):
        result.close()
        raise TypeError("the handler returned a coroutine, which nothing awaits; call asyncio.run(…) in it")


def _done(message: Message, ids: Ids) -> None:
    try:
        ids.done(message.id)
    except Exception as error:  # noqa: BLE001 - The message was handled.
        log.error("schedule %s was handled, and a repeat of it will not be recognized: %s", message.id, _why(error))


def _abandon(message: Message, ids: Ids) -> None:
    try:
        ids.abandon(message.id)
    except Exception as error:  # noqa: BLE001 - The error of the handler counts.
        log.warning("schedule %s cannot be repeated before its claim expires: %s", message.id, _why(error))


def _why(error: Exception) -> str:
    """Return what an error of Punctual says. Another one may quote data."""
    return str(error) if isinstance(error, PunctualError) else told(error)


def _name(handler: Handler) -> str:
    return getattr(handler, "__qualname__", repr(handler))
