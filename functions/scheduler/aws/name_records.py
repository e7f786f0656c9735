"""The records of names in DynamoDB. A hash of the name picks the partition, `names#0` to `names#f`.

Every write has a condition. If the condition fails, DynamoDB returns the current record to calls that ask for it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from scheduler import formats, log
from scheduler.aws import items
from scheduler.aws.calls import ConditionFailed, conditional, confirmed, query
from scheduler.errors import NotConfirmed
from scheduler.model.name_record import (
    AFTER_NAMES,
    CANCELLED,
    FIRST_NAME,
    NAMES,
    PENDING,
    RECORD_KEPT_S,
    Record,
    RecordPage,
)
from scheduler.model.schedule import key_of

_STATE = {"#state": "state"}
_WITHOUT_DATA: dict[str, Any] = {
    "ProjectionExpression": "#sort, #id, #due, #state, #asked, #changed, #attempts, #retry, #timed, #v",
    "ExpressionAttributeNames": {
        **_STATE,
        "#sort": "sort",
        "#id": "id",
        "#due": "due",
        "#asked": "asked",
        "#changed": "changed",
        "#attempts": "attempts",
        "#retry": "retry",
        "#timed": "timed",
        "#v": formats.FIELD,
    },
}
_UNLESS_ASKED_LATER = "(attribute_not_exists(#asked) OR #asked < :asked)"
_UNLESS_THE_SAME = "(attribute_not_exists(#id) OR #id <> :id)"
_UNLESS_NEWER = "(attribute_not_exists(#v) OR #v <= :v)"
_UNLESS_PENDING = "(attribute_not_exists(#state) OR #state <> :pending)"


class Records:
    def __init__(self, client: Any, table_name: str) -> None:
        self._client, self._table_name = client, table_name

    def get(self, name: str) -> Record | None:
        """Return the record of this name, if there is one. The read is strongly consistent."""
        answer = confirmed(self._client.get_item, TableName=self._table_name, Key=_key(name), ConsistentRead=True)
        return record(answer["Item"]) if "Item" in answer else None

    def put(self, new: Record, even_if_pending: bool = True) -> tuple[bool, Record | None]:
        """Write the record. Return whether it was written, and the record that was there before.

        Do not write it if a later request wrote the current record. Do not write it either if the current record has
        the same schedule, which may have been delivered meanwhile. Raise NotConfirmed if only newer code can read it.
        """
        values = {":asked": {"N": str(new.request_number)}, ":id": {"S": new.id}, ":v": {"N": str(formats.READ_MAX)}}
        condition = f"{_UNLESS_ASKED_LATER} AND {_UNLESS_THE_SAME} AND {_UNLESS_NEWER}"
        names = {"#asked": "asked", "#id": "id", "#v": formats.FIELD}
        if not even_if_pending:
            condition += f" AND {_UNLESS_PENDING}"
            names |= _STATE
            values[":pending"] = {"S": PENDING}
        try:
            answer = conditional(
                self._client.put_item,
                TableName=self._table_name,
                Item=_item(new),
                ConditionExpression=condition,
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=values,
                ReturnValues="ALL_OLD",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ConditionFailed as failed:
            return False, record(failed.item) if failed.item else None
        return True, record(answer["Attributes"]) if "Attributes" in answer else None

    def put_over(self, read: Record, new: Record) -> bool:
        """Write the new record if the old one is unchanged since it was read."""
        try:
            conditional(
                self._client.put_item,
                TableName=self._table_name,
                Item=_item(new),
                ConditionExpression="#asked = :asked AND #state = :state AND #attempts = :attempts",
                ExpressionAttributeNames={**_STATE, "#asked": "asked", "#attempts": "attempts"},
                ExpressionAttributeValues={
                    ":asked": {"N": str(read.request_number)},
                    ":state": {"S": read.state},
                    ":attempts": {"N": str(read.attempts)},
                },
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ConditionFailed as failed:  # Or the record is ours, written by a try whose answer was lost.
            return bool(failed.item) and record(failed.item) == new
        return True

    def close(self, read: Record, state: str, now_ms: int, attempts: int, error: str = "") -> bool:
        """Write the final state, if the schedule that was read is still pending under the name."""
        changes = "SET #state = :state, #changed = :changed, #attempts = :attempts, #error = :error, #ttl = :ttl"
        names = {"#changed": "changed", "#attempts": "attempts", "#error": "error", "#ttl": "ttl"}
        values = {
            ":state": {"S": state},
            ":changed": {"N": str(now_ms)},
            ":attempts": {"N": str(attempts)},
            ":error": {"S": error},
            ":ttl": {"N": str(_ttl_s(now_ms))},
        }
        return self._change(read, *_with_attempts(read, changes, names, values))

    def cancel(self, read: Record, request_number: int, now_ms: int) -> bool:
        """Mark the record as cancelled if it is still pending with that id. No timer has any effect from then on."""
        changes = "SET #state = :state, #changed = :changed, #asked = :asked, #ttl = :ttl"
        names = {"#changed": "changed", "#asked": "asked", "#ttl": "ttl"}
        values = {
            ":state": {"S": CANCELLED},
            ":changed": {"N": str(now_ms)},
            ":asked": {"N": str(request_number)},
            ":ttl": {"N": str(_ttl_s(now_ms))},
        }
        return self._change(read, changes, names, values)

    def note(self, read: Record, wake_count: int, attempts: int, error: str, now_ms: int, retry_ms: int) -> bool:
        """Note that the delivery failed or was postponed, and when it is tried again."""
        changes = "SET #changed = :changed, #turns = :turns, #attempts = :attempts, #error = :error, #retry = :retry"
        names = {"#changed": "changed", "#turns": "turns", "#attempts": "attempts", "#error": "error"}
        values = {
            ":changed": {"N": str(now_ms)},
            ":turns": {"N": str(wake_count)},
            ":attempts": {"N": str(attempts)},
            ":error": {"S": error},
            ":retry": {"N": str(retry_ms)},
        }
        return self._change(read, *_with_attempts(read, changes, {**names, "#retry": "retry"}, values))

    def cover(self, read: Record, message_id: str) -> bool:
        """Note that this message sets the backup timer, unless another message does."""
        also = " AND (attribute_not_exists(#covered) OR #covered = :message)"
        names, values = {"#covered": "covered_by"}, {":message": {"S": message_id}}
        return self._change(read, "SET #covered = :message", names, values, also)

    def claim(self, read: Record, message_id: str, now_ms: int, until_ms: int) -> bool:
        """Claim the first delivery for this message until then, unless another has claimed it or a retry is noted."""
        changes = "SET #claimed = :message, #until = :until"
        unclaimed = "attribute_not_exists(#claimed) OR #claimed = :message OR #until <= :now"
        names = {"#claimed": "claimed_by", "#until": "claimed_until", "#turns": "turns"}
        values = {":message": {"S": message_id}, ":now": {"N": str(now_ms)}, ":until": {"N": str(until_ms)}}
        return self._change(read, changes, names, values, f" AND attribute_not_exists(#turns) AND ({unclaimed})")

    def batch(self, names: Sequence[str], whole: bool) -> tuple[dict[str, Record], list[str]]:
        """Return the records of these names, and the names that DynamoDB did not process.

        Records have their data only if `whole` is set. Records that only newer code reads are left out.
        """
        request: dict[str, Any] = {"Keys": [_key(name) for name in names], "ConsistentRead": True}
        if not whole:
            request |= _WITHOUT_DATA
        answer = confirmed(self._client.batch_get_item, RequestItems={self._table_name: request})
        found = _readable(answer["Responses"].get(self._table_name, []))
        left = answer.get("UnprocessedKeys", {}).get(self._table_name, {}).get("Keys", [])
        return {each.name: each for each in found}, [each["sort"]["S"] for each in left]

    def page(self, partition: str, from_sort: str, prefix: str, from_ms: int, to_ms: int) -> RecordPage:
        """Return pending records with this prefix that are due in this time range, without their data."""
        answer = query(
            self._client,
            self._table_name,
            (partition, from_sort, prefix + AFTER_NAMES),
            names=_WITHOUT_DATA["ExpressionAttributeNames"],
            values={
                ":pending": {"S": PENDING},
                ":from_ms": {"N": str(from_ms)},
                ":to_ms": {"N": str(to_ms)},
            },
            FilterExpression="#state = :pending AND #due >= :from_ms AND #due < :to_ms",
            ProjectionExpression=_WITHOUT_DATA["ProjectionExpression"],
        )
        last = answer.get("LastEvaluatedKey")
        # DynamoDB rejects a range that starts after its end.
        next_sort = last["sort"]["S"] + FIRST_NAME if last and last["sort"]["S"] < prefix + AFTER_NAMES else None
        return RecordPage(_readable(answer["Items"]), answer["ScannedCount"], next_sort)

    def _change(
        self, read: Record, changes: str, names: dict[str, str], values: dict[str, Any], also: str = ""
    ) -> bool:
        try:
            conditional(
                self._client.update_item,
                TableName=self._table_name,
                Key=_key(read.name),
                UpdateExpression=changes,
                ConditionExpression="#id = :id AND #state = :pending" + also,
                ExpressionAttributeNames={**_STATE, "#id": "id", **names},
                ExpressionAttributeValues={":id": {"S": read.id}, ":pending": {"S": PENDING}, **values},
            )
        except ConditionFailed:
            return False
        return True


def _with_attempts(
    read: Record, changes: str, names: dict[str, str], values: dict[str, Any]
) -> tuple[str, dict[str, str], dict[str, Any]]:
    """Return the changes with the times of all attempts, so that a repeated write adds none twice."""
    if not read.attempted_ms:
        return changes, names, values
    attempted = {"L": [{"N": str(begun_ms)} for begun_ms in read.attempted_ms]}
    return changes + ", #tried = :tried", {**names, "#tried": "attempted"}, {**values, ":tried": attempted}


def _ttl_s(now_ms: int) -> int:
    return now_ms // 1000 + RECORD_KEPT_S


def partition_of(name: str) -> str:
    return f"{NAMES}{hashlib.sha256(name.encode()).hexdigest()[0]}"


def _key(name: str) -> items.Item:
    return items.key(partition_of(name), name)


def _item(record: Record) -> items.Item:
    """Return the item of a record. A new record has no `ttl`, because a pending one must not expire."""
    contents = items.contents(record.schedule)
    del contents["name"]
    return {
        **_key(record.name),
        **contents,
        "id": {"S": record.id},
        "due": {"N": str(record.schedule.due_ms)},
        "state": {"S": record.state},
        "asked": {"N": str(record.request_number)},
        "changed": {"N": str(record.changed_ms)},
        "attempts": {"N": str(record.attempts)},
        "accepted": {"N": str(record.changed_ms if record.accepted_ms is None else record.accepted_ms)},
        **({"timed": {"N": str(record.timed)}} if record.timed else {}),
    }


def _readable(found: Sequence[items.Item]) -> list[Record]:
    """Return the records of the items. The log names those that only newer code reads."""
    records: list[Record] = []
    for item in found:
        try:
            records.append(record(item))
        except NotConfirmed as fault:
            log.outcome("not read", sort=item["sort"]["S"], why=str(fault))
    return records


def record(item: items.Item) -> Record:
    """Return the record of an item. Fields that a projection left out are empty.

    `wake_count` is then the number of attempts. Raise NotConfirmed if only newer code can read it.
    """
    formats.check_item(item)
    schedule = items.with_contents(key_of(item["id"]["S"]), int(item["due"]["N"]), item)
    schedule.name = item["sort"]["S"]
    return Record(
        schedule,
        int(item["asked"]["N"]),
        int(item["changed"]["N"]),
        item["state"]["S"],
        int(item["attempts"]["N"]),
        item["error"]["S"] if "error" in item else "",
        int(item.get("turns", item["attempts"])["N"]),
        item["covered_by"]["S"] if "covered_by" in item else "",
        item["claimed_by"]["S"] if "claimed_by" in item else "",
        int(item["claimed_until"]["N"]) if "claimed_until" in item else 0,
        int(item["retry"]["N"]) if "retry" in item else None,
        int(item["timed"]["N"]) if "timed" in item else 0,
        int(item["accepted"]["N"]) if "accepted" in item else None,
        tuple(int(each["N"]) for each in item["attempted"]["L"]) if "attempted" in item else (),
    )
