"""Recognize repeats of a message by the id of its schedule, in memory or in a DynamoDB table.

Punctual releases a schedule at least once, so a consumer may see an id twice. An id counts as done only after its
message was handled: a failed or crashed attempt is repeated.
"""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any, Literal, Protocol, TypeAlias

from punctual.client.calling import aws_errors

REMEMBERED_MAX = 100_000
"""How many ids the memory keeps. At 100 bytes each these are 10 MB."""
KEPT_S = 15 * 86_400
"""How long a table keeps an id: longer than SQS keeps a message."""
FREE_OR_OWN = "attribute_not_exists(#id) OR #claim = :claim OR (#state = :claimed AND #until < :now)"
"""A claim whose answer was lost is there already when boto3, or a later attempt, writes it again."""
UNSURE_MAX = 10_000
CLAIM_S_DEFAULT = 900
"""How long a worker may take for one message before another worker may begin it."""

Claim: TypeAlias = Literal["new", "done", "busy"]
"""`new`: handle the message. `done`: it was handled before. `busy`: another worker handles it just now."""


class Ids(Protocol):
    """The ids that were handled, and those that are being handled."""

    def claim(self, id: str, claim_s: float | None = None) -> Claim:
        """Claim an id for this time. If the worker has not come back until then, another one may claim the id."""
        ...

    def done(self, id: str) -> None: ...

    def abandon(self, id: str) -> None:
        """Give up the claim, so that the next attempt may begin at once."""
        ...


class Every:
    """No repeat is recognized."""

    def claim(self, id: str, claim_s: float | None = None) -> Claim:
        return "new"

    def done(self, id: str) -> None:
        pass

    def abandon(self, id: str) -> None:
        pass


class Memory:
    """The last 100,000 ids that this process handled."""

    def __init__(self, ids_max: int = REMEMBERED_MAX) -> None:
        self._ids_max = ids_max
        self._lock = threading.Lock()
        self._done: dict[str, None] = {}
        self._busy: set[str] = set()

    def claim(self, id: str, claim_s: float | None = None) -> Claim:
        with self._lock:
            if id in self._done:
                return "done"
            if id in self._busy:
                return "busy"
            self._busy.add(id)
            return "new"

    def done(self, id: str) -> None:
        with self._lock:
            self._busy.discard(id)
            self._done.pop(id, None)
            self._done[id] = None
            if len(self._done) > self._ids_max:
                del self._done[next(iter(self._done))]

    def abandon(self, id: str) -> None:
        with self._lock:
            self._busy.discard(id)


class Table:
    """A DynamoDB table of yours that remembers handled ids for 15 days, for all workers together.

    Its partition key is the string `id`, it has no sort key, and its TTL attribute is `expires`. Use one table for each
    consumer. The role needs `dynamodb:PutItem`, `dynamodb:UpdateItem` and `dynamodb:DeleteItem`.
    `claim_s` must be longer than the longest work on a message; a Lambda function claims until its own deadline.
    """

    def __init__(
        self,
        name: str,
        *,
        client: Any = None,
        claim_s: float = CLAIM_S_DEFAULT,
        clock: Callable[[], float] = time.time,
    ) -> None:
        given: object = name
        if not (isinstance(given, str) and given):
            raise TypeError(f'the name of the table is {name!r}; wanted: a string, as in Table("handled")')
        self.name, self._client, self._claim_s, self._clock = name, client, claim_s, clock
        self._lock, self._process = threading.Lock(), os.getpid()
        self._has_own_client = client is None
        self._owner = uuid.uuid4().hex
        self._claims: dict[str, str] = {}
        self._unsure: dict[str, str] = {}

    def claim(self, id: str, claim_s: float | None = None) -> Claim:
        """Claim an id for this time. Return `done` or `busy` if another worker has handled or claimed it."""
        now_s = self._clock()
        claim = self._unsure.pop(id, None) or f"{self._owner}-{uuid.uuid4().hex}"
        until_s = now_s + (self._claim_s if claim_s is None else claim_s)
        item = {
            "id": {"S": id},
            "state": {"S": "claimed"},
            "claim": {"S": claim},
            "until": {"N": f"{until_s:.3f}"},
            "expires": {"N": str(int(now_s) + KEPT_S)},
        }
        try:
            refused = self._written(
                "put_item",
                Item=item,
                ConditionExpression=FREE_OR_OWN,
                ExpressionAttributeNames={"#id": "id", "#state": "state", "#until": "until", "#claim": "claim"},
                ExpressionAttributeValues={
                    ":claimed": {"S": "claimed"},
                    ":now": {"N": f"{now_s:.3f}"},
                    ":claim": {"S": claim},
                },
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except Exception:
            self._remember(id, claim)
            raise
        if refused is None:
            self._claims[id] = claim
            return "new"
        state: str = refused.get("state", {}).get("S", "claimed")
        return "done" if state == "done" else "busy"

    def _remember(self, id: str, claim: str) -> None:
        """Keep a claim that DynamoDB may have written, so that the next attempt here need not wait for its end."""
        with self._lock:
            self._unsure[id] = claim
            if len(self._unsure) > UNSURE_MAX:
                del self._unsure[next(iter(self._unsure))]

    def done(self, id: str) -> None:
        """Mark an id as done. If the claim has expired and another worker has begun, that worker decides."""
        self._written(
            "update_item",
            Key={"id": {"S": id}},
            UpdateExpression="SET #state = :done, #expires = :expires REMOVE #until, #claim",
            ConditionExpression="#claim = :claim",
            ExpressionAttributeNames={"#state": "state", "#expires": "expires", "#until": "until", "#claim": "claim"},
            ExpressionAttributeValues={
                ":done": {"S": "done"},
                ":expires": {"N": str(int(self._clock()) + KEPT_S)},
                ":claim": {"S": self._claims.pop(id, "")},
            },
        )

    def abandon(self, id: str) -> None:
        """Give up the claim, so that the next attempt may begin at once."""
        self._written(
            "delete_item",
            Key={"id": {"S": id}},
            ConditionExpression="#claim = :claim",
            ExpressionAttributeNames={"#claim": "claim"},
            ExpressionAttributeValues={":claim": {"S": self._claims.pop(id, "")}},
        )

    def _written(self, operation: str, **parameters: Any) -> dict[str, Any] | None:
        """Write if the condition holds. Otherwise return the item that is there, as far as DynamoDB shows it."""
        try:
            with aws_errors.translated(f"dynamodb:{_action(operation)}"):
                getattr(self._own_client(), operation)(TableName=self.name, **parameters)
        except aws_errors.Refused as error:
            response: Any = getattr(error.__cause__, "response", {})
            if response.get("Error", {}).get("Code") != "ConditionalCheckFailedException":
                raise
            item: dict[str, Any] = response.get("Item", {})
            return item
        return None

    def _own_client(self) -> Any:
        if self._process != os.getpid():  # Connections and locks of a parent process do not survive a fork.
            self._lock, self._process = threading.Lock(), os.getpid()
            self._client = None if self._has_own_client else self._client
        with self._lock:  # boto3 sessions are not thread-safe.
            if self._client is None:
                import boto3  # noqa: PLC0415 - `import punctual` stays cheap.

                self._client = boto3.Session().client("dynamodb")
            return self._client


Dedupe: TypeAlias = "bool | Literal['memory'] | Table"
"""The choices of a caller: no recognition, the memory of this process, or a table."""


def ids_of(dedupe: Dedupe) -> Ids:
    """Return what recognizes repeats. Raise TypeError for anything else than the three choices."""
    if dedupe is False:
        return Every()
    if dedupe is True or dedupe == "memory":
        return Memory()
    if isinstance(dedupe, Table):
        return dedupe
    raise TypeError(f'dedupe is {dedupe!r}; wanted: True or "memory", or a table as in Table("handled")')


def _action(operation: str) -> str:
    return "".join(word.capitalize() for word in operation.split("_"))
