"""The dependencies of the admin function's operations, and the value types that the adapters return to them."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from scheduler.counting.reading import Counts
from scheduler.execution.worker_pool import WorkerPool
from scheduler.model.application import Application, Credential
from scheduler.model.targets import AllowedTargets
from scheduler.placing import partitions
from scheduler.value_class import value_class

if TYPE_CHECKING:
    from scheduler.webhooks.allowed_hosts import Hosts

DONE, NAME_TAKEN, COLLIDED = "done", "name taken", "collided"
"""The result of writing an application or keys. `COLLIDED`: a random id exists already, or a key has changed."""


@value_class
class StoredKey:
    digest: str
    """The SHA-256 of the key."""
    credential: Credential


@value_class
class DeletedApplication:
    id: str
    deleted_ms: int


@value_class
class Plan:
    """A usage plan of API Gateway."""

    id: str
    rate: int
    burst: int
    stages: tuple[str, ...]
    """The stages that it covers, each as the id of an API, a colon and a name."""
    is_current: bool
    """Whether the current API is among them."""


class Gateway(Protocol):
    def keys(self) -> dict[str, str]: ...
    def create_key(self, key_id: str, key: str) -> str: ...
    def delete_key(self, gateway_id: str) -> None: ...
    def plans(self) -> list[Plan]: ...
    def create_plan(self, rate: int, burst: int) -> Plan: ...
    def delete_plan(self, plan: Plan) -> None: ...
    def members(self, plan: Plan) -> set[str]: ...
    def add(self, plan: Plan, gateway_id: str) -> None: ...
    def drop(self, plan: Plan, gateway_id: str) -> None: ...


class Applications(Protocol):
    def get(self, application_id: str) -> Application | None: ...
    def id_of(self, name: str) -> str | None: ...
    def all(self) -> list[Application]: ...
    def deleted(self) -> list[DeletedApplication]: ...
    def all_keys(self) -> list[StoredKey]: ...
    def create(self, application: Application, keys: Sequence[StoredKey], token: str) -> str: ...
    def add_keys(self, keys: Sequence[StoredKey], token: str) -> str: ...
    def replace_key(self, old: StoredKey, ends_ms: int, new: StoredKey, token: str) -> str: ...
    def disable_key(self, key: StoredKey) -> None: ...
    def change(self, old: Application, new: Application) -> bool: ...
    def delete(self, application: Application, now_ms: int) -> None: ...
    def is_pending(self, application_id: str, hash_key: str, after: str | None) -> tuple[bool, str | None]: ...
    def fed(self) -> frozenset[str]: ...
    def stop_feeding(self, application_id: str) -> None: ...


@value_class
class AdminDependencies:
    applications: Applications
    counts: Counts
    pool: WorkerPool
    table: partitions.Table
    partition_count: int
    randomness: random.Random
    listed: AllowedTargets
    """The targets that the stack allows. An application gets some of them."""
    hosts: Hosts | None
    secrets: Callable[[], Sequence[bytes]]
    """Returns the keys that sign the stack's webhooks, newest first."""
    gateway: Gateway | None
    """None if the stack has no API."""

    def new_token(self) -> str:
        """Return a token for all tries of one write, so that a try after a lost answer changes nothing."""
        return f"{self.randomness.getrandbits(128):032x}"
