"""Failures on the wire: refusals, answers that never come, and successes with a list of what was not done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError, ReadTimeoutError


def refuse_call(code: str, status: int = 400) -> Callable[..., None]:
    """For an event of a client before its call: AWS says no."""

    def refuse(**_: object) -> None:
        raise ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "Call")

    return refuse


def lose_answer(client: Any, operation: str) -> None:
    """The next call of this operation is done, and nobody hears of it."""
    event = f"after-call.{operation}"

    def lose(**_: object) -> None:
        client.meta.events.unregister(event, lose)
        raise ReadTimeoutError(endpoint_url=operation)

    client.meta.events.register(event, lose)


def bend_batch(client: Any, operation: str, entries_of: Callable[[dict[str, Any]], list[Any]], fails, report) -> None:
    """Let the service see only what does not fail, and put the rest into its answer the way that the service does."""
    held: list[Any] = []

    def take_out(params, **_):
        entries = entries_of(params)
        held[:] = [entry for entry in entries if fails(entry)]
        entries[:] = [entry for entry in entries if entry not in held]
        if not entries:  # No service takes an empty batch, so one is let through after all.
            entries.append(held.pop())

    client.meta.events.register(f"provide-client-params.{operation}", take_out)
    client.meta.events.register(f"after-call.{operation}", lambda parsed, **_: report(parsed, held))
