"""Invoke Lambda functions asynchronously. Once Lambda answers it has the event, and retries the function itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from scheduler.aws.calls import confirmed
from scheduler.errors import NotConfirmed
from scheduler.execution.batch_result import BatchResult
from scheduler.execution.deadline import Deadline, retry_batch


class Function:
    def __init__(self, client: Any, name: str) -> None:
        self._client, self._name = client, name

    def invoke(self, event: dict[str, Any], deadline: Deadline) -> None:
        """Invoke the function. Raise NotConfirmed if Lambda does not answer in time: it may run the function anyway."""
        outcome = retry_batch(self._invoke, [event], deadline)
        if outcome.unconfirmed:
            raise NotConfirmed(f"{self._name} was not invoked: {outcome.last_error}")

    def _invoke(self, events: Sequence[dict[str, Any]]) -> BatchResult[dict[str, Any]]:
        (event,) = events
        try:
            confirmed(
                self._client.invoke, FunctionName=self._name, InvocationType="Event", Payload=json.dumps(event).encode()
            )
        except NotConfirmed as failure:
            return BatchResult(unconfirmed=[event], last_error=str(failure))
        return BatchResult(confirmed=[event])
