"""The table as a feed uses it: pages of items within reach, bundles to write back, and the leases."""

from __future__ import annotations

from contextlib import suppress

from scheduler.aws import items
from scheduler.aws.calls import ConditionFailed, conditional, confirmed, query, query_all
from scheduler.aws.items import META
from scheduler.aws.table import Table
from scheduler.errors import NotConfirmed
from scheduler.execution.batch_result import BatchResult
from scheduler.feeding.jobs import Page, QuarantinedItem
from scheduler.feeding.lease import Lease
from scheduler.model.bundle import Bundle
from scheduler.model.feed_run import FeedRun
from scheduler.model.schedule import Key, Schedule

LEASE = "lease#"
LEASE_PAGES_MAX = 40
"""Pages of 1 MB: the leases of 1,000 applications in each of 256 partitions, if crashes left all of them behind."""


class FeedTable(Table):
    def write_back(self, read: Bundle, kept: Bundle) -> BatchResult[Bundle]:
        """Write what is left of a bundle, unless it has changed since it was read. Then another call has handled it."""
        try:
            conditional(
                self._client.put_item,
                TableName=self._name,
                Item=items.item(kept),
                ConditionExpression="#bundle = :read",
                ExpressionAttributeNames={"#bundle": "bundle"},
                ExpressionAttributeValues={":read": {"B": read.packed}},
            )
        except NotConfirmed as failure:
            return BatchResult(unconfirmed=[read], last_error=str(failure))
        except ConditionFailed:
            pass
        return BatchResult(confirmed=[read])

    def page(self, partition: str, from_sort: str, to_sort: str, items_max: int) -> Page:
        """Return the items from `from_sort` to `to_sort`. The read is strongly consistent.

        DynamoDB also ends a page at 1 MB.
        """
        answer = query(self._client, self._name, (partition, from_sort, to_sort), Limit=items_max)
        schedules: list[Schedule] = []
        bundles: list[Bundle] = []
        unreadable: list[QuarantinedItem] = []
        for item in answer["Items"]:
            try:
                if "bundle" in item:
                    bundles.append(items.bundle(item))
                else:
                    schedules.append(items.schedule(item))
            except (KeyError, ValueError) as fault:
                key = Key(item["partition"]["S"], item["sort"]["S"])
                unreadable.append(QuarantinedItem(key, item, f"no schedule: {type(fault).__name__} {fault}"))
            except NotConfirmed as fault:
                key = Key(item["partition"]["S"], item["sort"]["S"])
                unreadable.append(QuarantinedItem(key, item, str(fault), newer=True))
        last = answer.get("LastEvaluatedKey")
        return Page(schedules, bundles, unreadable, last["sort"]["S"] + " " if last else None)

    def put_run(self, run: FeedRun) -> None:
        confirmed(self._client.put_item, TableName=self._name, Item=items.feed_run(run))

    def take_lease(self, lease: Lease, now_ms: int, inherited: str | None) -> Lease | None:
        """Take the lease. Return None on success, or the lease that is in force.

        That may be our own after a lost answer.
        """
        try:
            conditional(
                self._client.update_item,
                TableName=self._name,
                Key=_lease_key(lease),
                UpdateExpression="SET #until = :until, #holder = :holder, #ends = :ends",
                ConditionExpression="attribute_not_exists(#holder) OR #ends <= :now OR #holder = :inherited",
                ExpressionAttributeNames={"#until": "until", "#holder": "holder", "#ends": "ends"},
                ExpressionAttributeValues={
                    ":until": {"N": str(lease.until_ms)},
                    ":holder": {"S": lease.holder},
                    ":ends": {"N": str(lease.ends_ms)},
                    ":now": {"N": str(now_ms)},
                    ":inherited": {"S": inherited or "-"},
                },
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ConditionFailed as failed:
            current = failed.item
            until_ms, ends_ms = int(current["until"]["N"]), int(current["ends"]["N"])
            return Lease(lease.partition, until_ms, current["holder"]["S"], ends_ms)
        return None

    def end_lease(self, lease: Lease) -> None:
        with suppress(ConditionFailed):  # Another holder has it by now.
            conditional(
                self._client.delete_item,
                TableName=self._name,
                Key=_lease_key(lease),
                ConditionExpression="#holder = :holder",
                ExpressionAttributeNames={"#holder": "holder"},
                ExpressionAttributeValues={":holder": {"S": lease.holder}},
            )

    def mark_fed(self, lease: Lease, fed_ms: int) -> None:
        """End the lease, and keep the time. An earlier version takes a lease without a holder, too."""
        with suppress(ConditionFailed):  # Another holder has it by now.
            conditional(
                self._client.update_item,
                TableName=self._name,
                Key=_lease_key(lease),
                UpdateExpression="SET #fed = :fed REMOVE #until, #holder, #ends",
                ConditionExpression="#holder = :holder",
                ExpressionAttributeNames={"#fed": "fed", "#until": "until", "#holder": "holder", "#ends": "ends"},
                ExpressionAttributeValues={":fed": {"N": str(fed_ms)}, ":holder": {"S": lease.holder}},
            )

    def fed_times(self) -> dict[str, int]:
        """Return when a feed last finished each partition, in milliseconds. Applications are left out."""
        bounds = META, LEASE, f"{LEASE}:"  # The colon follows the digits.
        leases = query_all(self._client, self._name, bounds, LEASE_PAGES_MAX, ConsistentRead=False)
        return {each["sort"]["S"].removeprefix(LEASE): int(each["fed"]["N"]) for each in leases if "fed" in each}


def _lease_key(lease: Lease) -> items.Item:
    return items.key(META, f"{LEASE}{lease.partition}")
