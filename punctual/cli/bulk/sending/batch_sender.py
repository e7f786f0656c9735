"""Send one batch of an import until every line of it has an answer.

A batch goes as a whole each time, because its token and the places of its lines make the ids. A repeat is safe: far and
named lines keep their ids, and near unnamed ones may come out twice under one id.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from punctual.cli.bulk.sending.batches import Batch
from punctual.cli.bulk.sending.import_run import NOT_CONFIRMED, Result
from punctual.client.backend import Backend
from punctual.client.calling.invoking import Invoker

IDLE_REPEATS_MAX = 6
"""Repeats of a batch that confirm nothing new. After them the batch is left to the next run."""
PAUSE_S_FIRST, PAUSE_S_MAX = 1.0, 16.0


class BatchSender:
    """Sends batches to the schedule function of one stack. Threads may share it."""

    def __init__(self, invoker: Invoker, backend: Backend) -> None:
        self._invoker, self._backend = invoker, backend

    def __call__(self, batch: Batch, token: str) -> Sequence[Result]:
        """Return a result for each sendable row. Raise an error of Punctual if there is no answer at all."""
        if not batch.sendable:
            return []
        payload = batch.payload(token)
        results = self._results(payload)
        waiting, idle = _unconfirmed(results), 0
        while waiting and idle < IDLE_REPEATS_MAX:
            self._backend.sleep(min(PAUSE_S_MAX, PAUSE_S_FIRST * 2**idle) * random.uniform(0.5, 1))
            pairs = zip(results, self._results(payload), strict=True)
            results = [_settled(then, now) for then, now in pairs]
            before, waiting = waiting, _unconfirmed(results)
            idle = 0 if waiting < before else idle + 1
        return results

    def _results(self, payload: bytes) -> Sequence[Result]:
        results: Sequence[Result] = self._invoker.schedule(payload)["results"]
        return results


def _settled(then: Result, now: Result) -> Result:
    """Return the result of two tries. What is confirmed once stays confirmed.

    A refusal does not tell what an earlier try did, if that one was not confirmed.
    """
    if "error" not in now:
        return now if "error" in then else then
    if then.get("error") != NOT_CONFIRMED:
        return then
    if now["error"] == NOT_CONFIRMED:
        return now
    return {**now, "message": f"{now['message']}; an earlier try was not confirmed, and may have scheduled it"}


def _unconfirmed(results: Sequence[Result]) -> int:
    return sum(result.get("error") == NOT_CONFIRMED for result in results)
