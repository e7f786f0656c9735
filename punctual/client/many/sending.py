"""Send a batch until every request has an outcome, or the tries are used up.

A repeat sends the same bytes under the same token, because a schedule's id follows from its place in the batch. A
confirmed request stays confirmed.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from punctual.client import answers
from punctual.client.backend import Backend
from punctual.client.calling.aws_errors import Throttled
from punctual.client.calling.invoking import Invoker
from punctual.client.errors import NotConfirmed, PunctualError, Unreachable
from punctual.client.many.batch import Batch, Member, Outcome
from punctual.client.values import Rejected, Unconfirmed

ROUNDS_MAX = 7
PAUSE_S_FIRST, PAUSE_S_MAX = 0.5, 8.0
NOT_CONFIRMED = NotConfirmed.__name__

log = logging.getLogger("punctual")


class Sender:
    """Sends batches to one stack."""

    def __init__(self, invoker: Invoker, backend: Backend) -> None:
        self._invoker, self._backend = invoker, backend
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Stop repeating. The caller has closed the iterator."""
        self._stopped.set()

    def send(self, batch: Batch) -> list[Outcome]:
        """Return the outcome of every request, in the order of the input.

        Raise the error if the stack, the credentials or the rights are missing. Do not raise it for a batch that was
        sent before: what is confirmed stays known, and the next batch raises it.
        """
        if self._stopped.is_set():  # A worker took the batch just before the iterator was closed.
            return batch.unconfirmed("it was not sent, because the iterator was closed")
        members = batch.members
        sent = iter(self._sent(batch, members) if members else [])
        return [entry if isinstance(entry, Rejected) else next(sent) for entry in batch.entries]

    def _sent(self, batch: Batch, members: Sequence[Member]) -> list[Outcome]:
        payload, known = batch.payload(), _Outcomes(members)
        for number in range(ROUNDS_MAX):
            if number:
                self._pause(number, known.left)
            try:
                known.add(self._invoker.send(payload, self._stopped.is_set)["results"])
            except NotConfirmed as failure:
                known.unknown(str(failure))
            except PunctualError as failure:
                if not (number or self._is_passing(failure)):
                    raise
                known.unknown(str(failure))
                break  # The invoker has tried often enough, or the next batch raises it.
            if not known.left or self._stopped.is_set():
                break
        return known.of_all(batch.token)

    def _is_passing(self, failure: PunctualError) -> bool:
        """Return whether the failure is one of the moment: a throttle, or a network that has worked before."""
        return isinstance(failure, Throttled) or (
            isinstance(failure, Unreachable) and failure.retryable and self._invoker.reached
        )

    def _pause(self, number: int, left: int) -> None:
        pause_s = min(PAUSE_S_MAX, PAUSE_S_FIRST * 2 ** (number - 1)) * random.uniform(0.5, 1)
        log.info("schedule_many: %d of a batch are not confirmed; again in %.1f s", left, pause_s)
        self._backend.sleep(pause_s)


class _Outcomes:
    """The outcomes of the members of a batch, as far as they are known."""

    def __init__(self, members: Sequence[Member]) -> None:
        self._members = members
        self._known: list[Outcome | None] = [None] * len(members)
        self._why = [""] * len(members)
        """Why the outcome of a member is unknown."""

    @property
    def left(self) -> int:
        return sum(outcome is None for outcome in self._known)

    def unknown(self, reason: str) -> None:
        """Note that a whole try has no answer."""
        self._why = [reason] * len(self._members)

    def add(self, results: Sequence[Mapping[str, Any]]) -> None:
        for place, (member, result) in enumerate(zip(self._members, results, strict=True)):
            if self._known[place] is None:
                self._known[place] = _outcome(member, result, repeated=bool(self._why[place]))
                self._why[place] = result.get("message", "")

    def of_all(self, token: str) -> list[Outcome]:
        return [
            outcome or Unconfirmed(member.index, reason, member.token or token)
            for member, outcome, reason in zip(self._members, self._known, self._why, strict=True)
        ]


def _outcome(member: Member, result: Mapping[str, Any], repeated: bool) -> Outcome | None:
    """Return the outcome, or None if it is unknown.

    A refusal after an unknown outcome does not tell what the first try did.
    """
    if "error" not in result:
        return answers.scheduled(result, member.name)
    if repeated or result["error"] == NOT_CONFIRMED:
        return None
    return Rejected(member.index, result["error"], result["message"])
