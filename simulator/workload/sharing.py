"""Who schedules what, in the seeds in which applications share the stack with the owner.

The callers are the same as in other seeds, and so are the checks. Each submission belongs to the owner or to an
application. All names with the same first part belong to one of them, because the checks tell names apart by their text
alone. The input queue is the owner's, so a submission with names does not go there.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

from punctual.testing.cloud import Cloud
from simulator.workload.expected import ExpectedSchedule

FIRST_SEED = 10**9
"""The first of the seeds in which applications share the stack."""
LEDGER_SEED = 2 * FIRST_SEED
"""The first of the seeds in which the stack keeps a ledger, too."""
APPLICATIONS = ("aaaaaaaa", "bbbbbbbb", "cccccccc")
OWNER = "owner"
ALL = "*"
WHOSE = "application"


class Sharing:
    """Without applications, everything is the owner's and no call names an application."""

    def __init__(self, seed: int) -> None:
        self.on = seed >= FIRST_SEED

    def of_names(self, name: str) -> str:
        """Return the application of a name or of a prefix. It is empty for the owner."""
        return self._picked(name.split("/", maxsplit=1)[0]) if self.on else ""

    def of(self, expected_schedules: list[ExpectedSchedule]) -> str:
        """Return the application of a submission."""
        if not self.on:
            return ""
        name = next((each.name for each in expected_schedules if each.name is not None), None)
        return self._picked(expected_schedules[0].tag) if name is None else self.of_names(name)

    def _picked(self, text: str) -> str:
        return ("", *APPLICATIONS)[zlib.crc32(text.encode()) % (len(APPLICATIONS) + 1)]

    def each_of_prefix(self, prefix: str) -> Iterator[str]:
        """Yield every application whose names may start with the prefix."""
        if self.on and "/" not in prefix:
            yield from ("", *APPLICATIONS)
        else:
            yield self.of_names(prefix)

    def field(self, application: str) -> dict[str, str]:
        """Return what a direct call says to act for an application."""
        return {WHOSE: application} if application else {}

    def field_for_all(self) -> dict[str, str]:
        return {WHOSE: ALL} if self.on else {}

    def store(self, cloud: Cloud, targets: list[str], hosts: list[str]) -> None:
        """Store the applications. They may use all targets and hosts of the stack."""
        if not self.on:
            return
        (table,) = cloud.dynamodb.tables.values()
        for application in APPLICATIONS:
            item = _item(application, targets, hosts)
            table.store(("meta", item["sort"]["S"]), item, cloud.timeline.now_us)
        fed: dict[str, Any] = {
            "partition": {"S": "meta"},
            "sort": {"S": "partitions"},
            "applications": {"SS": list(APPLICATIONS)},
        }
        table.store(("meta", "partitions"), fed, cloud.timeline.now_us)


def _item(application: str, targets: list[str], hosts: list[str]) -> dict[str, Any]:
    listed = {"L": [{"S": each} for each in targets]}
    return {
        "partition": {"S": "meta"},
        "sort": {"S": f"application#{application}"},
        "name": {"S": f"app-{application[0]}"},
        "targets": listed,
        "failure_targets": listed,
        "hosts": {"L": [{"S": each} for each in hosts]},
        "default_target": {"S": "output"},
        "rate": {"N": "0"},
        "burst": {"N": "0"},
        "created": {"N": "0"},
        "state": {"S": "active"},
    }
