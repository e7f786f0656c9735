"""The table as the manage function reads and changes it: by time, by id, and its failures.

Every change is on condition that the item is unchanged since it was read, and that no other call holds it.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from scheduler.aws import items
from scheduler.aws.calls import ConditionFailed, conditional, confirmed, query
from scheduler.aws.items import Item
from scheduler.errors import NotConfirmed
from scheduler.managing.dependencies import (
    BUSY,
    DONE,
    GONE,
    DuePage,
    Failure,
    Failures,
    NearNames,
    RunPage,
    SchedulePage,
    Stub,
)
from scheduler.model.bundle import Bundle
from scheduler.model.failure_report import QUARANTINE
from scheduler.model.feed_run import FeedRun
from scheduler.model.schedule import Key, Schedule, index_of, key_of
from scheduler.placing.near_names import Row, row_of

_BUNDLES_ONLY = {"FilterExpression": "attribute_exists(#bundle)"}
_UNLOCKED = "(attribute_not_exists(#hold) OR #hold = :holder OR #hold_ends <= :now)"
_LOCK_NAMES = {"#sort": "sort", "#bundle": "bundle", "#hold": "hold", "#hold_ends": "hold_ends"}


class ManageTable:
    def __init__(self, client: Any, table_name: str) -> None:
        self._client, self._table_name = client, table_name

    def get(self, key: Key) -> Schedule | Bundle | None:
        """Return what is stored under the key, or None if it could never be released.

        Raise NotConfirmed if only newer code can read it.
        """
        item = self._item(key)
        return items.thing(item) if item is not None else None

    def schedule_page(self, partition: str, from_sort: str, to_sort: str, limit: int | None) -> SchedulePage:
        """Return the items from `from_sort` to `to_sort`: at most `limit` of any kind, or else one page of DynamoDB."""
        more: dict[str, Any] = {"Limit": limit} if limit else {}
        answer = self._query(partition, from_sort, to_sort, **more)
        return SchedulePage(items.things(answer["Items"]), _next_sort(answer))

    def bundles(self, partition: str, from_sort: str, to_sort: str, first_before_ms: int) -> SchedulePage:
        """Return a page of the bundles that may have a member before this time.

        DynamoDB filters by the `first` attribute. Bundles of earlier versions lack it and are always returned.
        """
        condition = "attribute_exists(#bundle) AND (attribute_not_exists(#first) OR #first < :before)"
        names, values = {"#bundle": "bundle", "#first": "first"}, {":before": {"N": str(first_before_ms)}}
        answer = self._query(partition, from_sort, to_sort, names, values, FilterExpression=condition)
        return SchedulePage(items.things(answer["Items"]), _next_sort(answer))

    def near_names(
        self, partition: str, from_sort: str, to_sort: str, first_before_ms: int, limit: int | None
    ) -> NearNames:
        """Return rows of the index of near names that may have an entry before this time."""
        more: dict[str, Any] = {"Limit": limit} if limit else {}
        names, values = {"#first": "first"}, {":before": {"N": str(first_before_ms)}}
        answer = self._query(partition, from_sort, to_sort, names, values, FilterExpression="#first < :before", **more)
        rows: list[Row] = []
        for item in answer["Items"]:
            with suppress(KeyError, ValueError):  # Other programs may write there too.
                rows.append(row_of(item))
        return NearNames(rows, _next_sort(answer))

    def due_page(
        self, partition: str, from_sort: str, to_sort: str, bundles_only: bool, limit: int | None = None
    ) -> DuePage:
        names = {"#name": "name", "#members": "members", "#bundle": "bundle", "#first": "first"}
        more: dict[str, Any] = {**(_BUNDLES_ONLY if bundles_only else {}), **({"Limit": limit} if limit else {})}
        projection = "#partition, #sort, #name, #members, #bundle, #first"
        answer = self._query(partition, from_sort, to_sort, names, ProjectionExpression=projection, **more)
        found: list[Stub] = []
        for item in answer["Items"]:
            with suppress(KeyError, ValueError, NotConfirmed):  # The feed quarantines it, or newer code reads it.
                key = items.key_in_time(item)
                bundle = items.bundle(item) if "bundle" in item else None
                found.append(Stub(key, key.due_ms, item["name"]["S"] if "name" in item else None, bundle))
        return DuePage(found, _next_sort(answer))

    def lock(self, read: Schedule | Bundle, owner: str, now_ms: int, ends_ms: int) -> str:
        """Keep other calls off the item until `ends_ms`."""
        condition, values = _as_read(read, owner, now_ms)
        return self._change(
            self._client.update_item,
            now_ms,
            Key=items.key(*read.key),
            UpdateExpression="SET #hold = :holder, #hold_ends = :ends",
            ConditionExpression=condition,
            ExpressionAttributeNames=_LOCK_NAMES,
            ExpressionAttributeValues={**values, ":ends": {"N": str(ends_ms)}},
        )

    def unlock(self, key: Key, owner: str) -> None:
        with suppress(ConditionFailed):  # Another call has locked it by now.
            conditional(
                self._client.update_item,
                TableName=self._table_name,
                Key=items.key(*key),
                UpdateExpression="REMOVE #hold, #hold_ends",
                ConditionExpression="#hold = :holder",
                ExpressionAttributeNames={"#hold": "hold", "#hold_ends": "hold_ends"},
                ExpressionAttributeValues={":holder": {"S": owner}},
            )

    def remove(self, read: Schedule | Bundle, kept: Bundle | None, owner: str, now_ms: int) -> str:
        """Replace the item with `kept`, or delete it if nothing is kept. The lock ends with this write."""
        condition, values = _as_read(read, owner, now_ms)
        what: dict[str, Any] = {"Key": items.key(*read.key)} if kept is None else {"Item": items.item(kept)}
        return self._change(
            self._client.delete_item if kept is None else self._client.put_item,
            now_ms,
            **what,
            ConditionExpression=condition,
            ExpressionAttributeNames=_LOCK_NAMES,
            ExpressionAttributeValues=values,
        )

    def quarantined(self, schedule_id: str) -> Failure | None:
        """Return the quarantined item that has the key of this id.

        A member of a bundle is stored under its own due time, so it is found only if it is the latest. If a whole
        bundle was quarantined, it could not be unpacked, and the failure stands for any id in it.
        """
        key = key_of(schedule_id)
        item = self._item(Key(QUARANTINE, key.sort))
        if item is None:
            return None
        whole = "bundle" in item and item["origin"]["S"] == key.partition
        return _failure(item) if whole or item.get("id") == {"S": schedule_id} else None

    def failures(
        self, partition: str, from_sort: str, to_sort: str, limit: int | None, schedule_id: str | None = None
    ) -> Failures:
        """Return failures of one day, or the quarantine. If an id is given, return only those of that schedule."""
        more: dict[str, Any] = {"Limit": limit} if limit else {}
        names: dict[str, str] = {}
        values: Item = {}
        if schedule_id is not None:
            more["FilterExpression"] = "#id = :id"
            names, values = {"#id": "id"}, {":id": {"S": schedule_id}}
        answer = self._query(partition, from_sort, to_sort, names, values, **more)
        return Failures([_failure(item) for item in answer["Items"]], _next_sort(answer))

    def runs(
        self, key: str, from_sort: str, to_sort: str, limit: int, partition: str | None, newest_first: bool = False
    ) -> RunPage:
        """Return runs of one day: those of one partition, or all. The limit counts the lines that DynamoDB reads."""
        more: dict[str, Any] = {"Limit": limit, **({"ScanIndexForward": False} if newest_first else {})}
        names: dict[str, str] = {}
        values: Item = {}
        if partition is not None:
            more["FilterExpression"] = "#feed = :feed"
            names, values = {"#feed": "feed"}, {":feed": {"S": partition}}
        answer = self._query(key, from_sort, to_sort, names, values, **more)
        found: list[FeedRun] = []
        for item in answer["Items"]:
            with suppress(KeyError, ValueError):  # Other programs may write there too.
                found.append(items.read_feed_run(item))
        return RunPage(found, _next_sort(answer))

    def note_again(self, key: Key, schedule_id: str) -> str | None:
        """Note the id under which a failure is scheduled again, unless one is noted already.

        Return the noted id, or None if the failure is gone.
        """
        try:
            answer = conditional(
                self._client.update_item,
                TableName=self._table_name,
                Key=items.key(*key),
                UpdateExpression="SET #again = if_not_exists(#again, :id)",
                ConditionExpression="attribute_exists(#sort)",
                ExpressionAttributeNames={"#again": "again", "#sort": "sort"},
                ExpressionAttributeValues={":id": {"S": schedule_id}},
                ReturnValues="ALL_NEW",
            )
        except ConditionFailed:
            return None
        noted: str = answer["Attributes"]["again"]["S"]
        return noted

    def forget_again(self, key: Key, schedule_id: str) -> None:
        """Remove the note, because nothing is scheduled under that id."""
        with suppress(ConditionFailed):
            conditional(
                self._client.update_item,
                TableName=self._table_name,
                Key=items.key(*key),
                UpdateExpression="REMOVE #again",
                ConditionExpression="#again = :id",
                ExpressionAttributeNames={"#again": "again"},
                ExpressionAttributeValues={":id": {"S": schedule_id}},
            )

    def _item(self, key: Key) -> Item | None:
        answer = confirmed(self._client.get_item, TableName=self._table_name, Key=items.key(*key), ConsistentRead=True)
        item: Item | None = answer.get("Item")
        return item

    def _query(
        self,
        partition: str,
        from_sort: str,
        to_sort: str,
        names: dict[str, str] | None = None,
        values: Item | None = None,
        **more: Any,
    ) -> dict[str, Any]:
        if from_sort > to_sort:  # After an item exactly on the last bound. DynamoDB rejects such a range.
            return {"Items": [], "ScannedCount": 0}
        bounds = partition, from_sort, to_sort
        answer: dict[str, Any] = query(self._client, self._table_name, bounds, names=names, values=values, **more)
        return answer

    def _change(self, call: Any, now_ms: int, **arguments: Any) -> str:
        try:
            conditional(call, TableName=self._table_name, ReturnValuesOnConditionCheckFailure="ALL_OLD", **arguments)
        except ConditionFailed as failed:
            current = failed.item
            locked = "hold" in current and int(current["hold_ends"]["N"]) > now_ms
            return BUSY if locked else GONE
        return DONE


def _as_read(read: Schedule | Bundle, owner: str, now_ms: int) -> tuple[str, Item]:
    """Return the condition that the item is as it was read. Only a bundle is compared: a schedule never changes."""
    values: Item = {":holder": {"S": owner}, ":now": {"N": str(now_ms)}}
    if isinstance(read, Bundle):
        return f"#bundle = :read AND attribute_exists(#sort) AND {_UNLOCKED}", {**values, ":read": {"B": read.packed}}
    return f"attribute_not_exists(#bundle) AND attribute_exists(#sort) AND {_UNLOCKED}", values


def _next_sort(answer: dict[str, Any]) -> str | None:
    """Return the sort key right after the last item that was read."""
    last = answer.get("LastEvaluatedKey")
    return last["sort"]["S"] + " " if last else None


def _failure(item: Item) -> Failure:
    found_key, is_quarantined = Key(item["partition"]["S"], item["sort"]["S"]), item["partition"]["S"] == QUARANTINE
    schedule: Schedule | None = None
    # An invalid text, an unreadable bundle, a foreign item, a truncated one, or one that only newer code reads.
    with suppress(KeyError, ValueError, NotConfirmed):
        schedule_id = item["id"]["S"]
        due_ms = items.key_in_time(item).due_ms if is_quarantined else int(item["due"]["N"])
        schedule = items.whole(key_of(schedule_id), due_ms, item, or_timer=is_quarantined)
        schedule.index = index_of(schedule_id)
    return Failure(
        found_key,
        schedule,
        item["reason"]["S"],
        item["error"]["S"] if "error" in item else "",
        int(item["attempts"]["N"]) if "attempts" in item else None,
        None if is_quarantined else found_key.due_ms,
        item["again"]["S"] if "again" in item else None,
    )
