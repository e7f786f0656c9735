"""The table of one application. The number of partitions and the list of applications belong to the whole stack."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scheduler.aws.isolation.client import ApplicationClient
from scheduler.aws.table import Table
from scheduler.execution.batch_result import BatchResult


class ApplicationTable(Table):
    def __init__(self, client: Any, name: str, application: str) -> None:
        super().__init__(ApplicationClient(client, application), name)
        self._of_stack = Table(client, name)

    def remember_partitions(self, counts: Sequence[int]) -> BatchResult[int]:
        return self._of_stack.remember_partitions(counts)

    def remember_applications(self, applications: Sequence[str]) -> BatchResult[str]:
        return self._of_stack.remember_applications(applications)

    def recall_fed(self) -> tuple[int, list[str]]:
        return self._of_stack.recall_fed()
