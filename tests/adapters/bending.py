"""Partial failures on the wire: the service answers with success, and a list of what it has not done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


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
