"""The records of names in DynamoDB: `names#0` to `names#f` by the hash of the name, and there under the name itself.

Every change is on condition, and every condition that fails hands back what stands.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from botocore.exceptions import ClientError

from scheduler.aws import items
from scheduler.aws.calls import code, confirmed
from scheduler.model.name_record import BEFORE, BEYOND, CANCELLED, KEPT_S, NAMES, PENDING, Record, RecordPage
from scheduler.model.schedule import key_of

_STATE = {"#state": "state"}
_OUTLINE: dict[str, Any] = {
    "ProjectionExpression": "#sort, #id, #due, #state, #asked, #changed, #attempts, #retry, #timed",
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
    },
}
_UNLESS_ASKED_LATER = "(attribute_not_exists(#asked) OR #asked < :asked)"
_UNLESS_THE_SAME = "(attribute_not_exists(#id) OR #id <> :id)"
_UNLESS_PENDING = "(attribute_not_exists(#state) OR #state <> :pending)"


class Records:
    def __init__(self, client: Any, table_name: str) -> None:
        self._client, self._table_name = client, table_name

    def get(self, name: str) -> Record | None:
        """As it is after every write that was confirmed before."""
        answer = confirmed(self._client.get_item, TableName=self._table_name, Key=_key(name), ConsistentRead=True)
        return record(answer["Item"]) if "Item" in answer else None

    def put(self, new: Record, even_if_pending: bool = True) -> tuple[bool, Record | None]:
        """Whether it is written, and what stood before. It is not where that was asked for later, or is this very one,
        which may have been delivered meanwhile."""
        values = {":asked": {"N": str(new.asked)}, ":id": {"S": new.id}}
        condition, names = f"{_UNLESS_ASKED_LATER} AND {_UNLESS_THE_SAME}", {"#asked": "asked", "#id": "id"}
        if not even_if_pending:
            condition += f" AND {_UNLESS_PENDING}"
            names |= _STATE
            values[":pending"] = {"S": PENDING}
        try:
            answer = confirmed(
                self._client.put_item,
                TableName=self._table_name,
                Item=_item(new),
                ConditionExpression=condition,
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=values,
                ReturnValues="ALL_OLD",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ClientError as failure:
            standing = _standing(failure)
            return False, record(standing) if standing else None
        return True, record(answer["Attributes"]) if "Attributes" in answer else None

    def put_over(self, read: Record, new: Record) -> bool:
        """Write it where the record is as it was read."""
        try:
            confirmed(
                self._client.put_item,
                TableName=self._table_name,
                Item=_item(new),
                ConditionExpression="#asked = :asked AND #state = :state AND #attempts = :attempts",
                ExpressionAttributeNames={**_STATE, "#asked": "asked", "#attempts": "attempts"},
                ExpressionAttributeValues={
                    ":asked": {"N": str(read.asked)},
                    ":state": {"S": read.state},
                    ":attempts": {"N": str(read.attempts)},
                },
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ClientError as failure:
            standing = _standing(failure)
            return standing is not None and record(standing) == new  # Ours, by a write that had no answer.
        return True

    def close(self, read: Record, state: str, now_ms: int, attempts: int, error: str = "") -> bool:
        """Write down what came of it, where that schedule still stands under the name."""
        changes = "SET #state = :state, #changed = :changed, #attempts = :attempts, #error = :error, #ttl = :ttl"
        names = {"#changed": "changed", "#attempts": "attempts", "#error": "error", "#ttl": "ttl"}
        values = {
            ":state": {"S": state},
            ":changed": {"N": str(now_ms)},
            ":attempts": {"N": str(attempts)},
            ":error": {"S": error},
            ":ttl": {"N": str(_gone_s(now_ms))},
        }
        return self._change(read, changes, names, values)

    def cancel(self, read: Record, asked: int, now_ms: int) -> bool:
        """Mark it, where it is as it was read: from then on no timer finds anything to do."""
        changes = "SET #state = :state, #changed = :changed, #asked = :asked, #ttl = :ttl"
        names = {"#changed": "changed", "#asked": "asked", "#ttl": "ttl"}
        values = {
            ":state": {"S": CANCELLED},
            ":changed": {"N": str(now_ms)},
            ":asked": {"N": str(asked)},
            ":ttl": {"N": str(_gone_s(now_ms))},
        }
        return self._change(read, changes, names, values)

    def note(self, read: Record, turns: int, attempts: int, error: str, now_ms: int, retry_ms: int) -> bool:
        """That it was tried in vain, or put off, and is to be taken up again, and when."""
        changes = "SET #changed = :changed, #turns = :turns, #attempts = :attempts, #error = :error, #retry = :retry"
        names = {"#changed": "changed", "#turns": "turns", "#attempts": "attempts", "#error": "error"}
        values = {
            ":changed": {"N": str(now_ms)},
            ":turns": {"N": str(turns)},
            ":attempts": {"N": str(attempts)},
            ":error": {"S": error},
            ":retry": {"N": str(retry_ms)},
        }
        return self._change(read, changes, {**names, "#retry": "retry"}, values)

    def cover(self, read: Record, message_id: str) -> bool:
        """Note that this message sets the second timer, unless another message does."""
        unless = " AND (attribute_not_exists(#covered) OR #covered = :message)"
        names, values = {"#covered": "covered_by"}, {":message": {"S": message_id}}
        return self._change(read, "SET #covered = :message", names, values, unless)

    def claim(self, read: Record, message_id: str, now_ms: int, until_ms: int) -> bool:
        """Keep other messages from the first delivery until then, unless one of them has it, or a retry is noted."""
        changes = "SET #claimed = :message, #until = :until"
        unclaimed = "attribute_not_exists(#claimed) OR #claimed = :message OR #until <= :now"
        names = {"#claimed": "claimed_by", "#until": "claimed_until", "#turns": "turns"}
        values = {":message": {"S": message_id}, ":now": {"N": str(now_ms)}, ":until": {"N": str(until_ms)}}
        return self._change(read, changes, names, values, f" AND attribute_not_exists(#turns) AND ({unclaimed})")

    def batch(self, names: Sequence[str], whole: bool) -> tuple[dict[str, Record], list[str]]:
        """The records of these names, with their data or without, and the names that DynamoDB has not got to."""
        request: dict[str, Any] = {"Keys": [_key(name) for name in names], "ConsistentRead": True}
        if not whole:
            request |= _OUTLINE
        answer = confirmed(self._client.batch_get_item, RequestItems={self._table_name: request})
        found = [record(item) for item in answer["Responses"].get(self._table_name, [])]
        left = answer.get("UnprocessedKeys", {}).get(self._table_name, {}).get("Keys", [])
        return {each.name: each for each in found}, [each["sort"]["S"] for each in left]

    def page(self, partition: str, from_sort: str, prefix: str, from_ms: int, to_ms: int) -> RecordPage:
        """The pending ones with this prefix that are due from one moment on and before another, without their data."""
        answer = confirmed(
            self._client.query,
            TableName=self._table_name,
            KeyConditionExpression="#partition = :partition AND #sort BETWEEN :from AND :to",
            FilterExpression="#state = :pending AND #due >= :from_ms AND #due < :to_ms",
            ProjectionExpression=_OUTLINE["ProjectionExpression"],
            ExpressionAttributeNames={**_OUTLINE["ExpressionAttributeNames"], "#partition": "partition"},
            ExpressionAttributeValues={
                ":partition": {"S": partition},
                ":from": {"S": from_sort},
                ":to": {"S": prefix + BEYOND},
                ":pending": {"S": PENDING},
                ":from_ms": {"N": str(from_ms)},
                ":to_ms": {"N": str(to_ms)},
            },
            ConsistentRead=True,
        )
        last = answer.get("LastEvaluatedKey")
        # DynamoDB refuses a range that begins behind its end.
        next_sort = last["sort"]["S"] + BEFORE if last and last["sort"]["S"] < prefix + BEYOND else None
        return RecordPage([record(item) for item in answer["Items"]], answer["ScannedCount"], next_sort)

    def _change(
        self, read: Record, changes: str, names: dict[str, str], values: dict[str, Any], unless: str = ""
    ) -> bool:
        try:
            confirmed(
                self._client.update_item,
                TableName=self._table_name,
                Key=_key(read.name),
                UpdateExpression=changes,
                ConditionExpression="#id = :id AND #state = :pending" + unless,
                ExpressionAttributeNames={**_STATE, "#id": "id", **names},
                ExpressionAttributeValues={":id": {"S": read.id}, ":pending": {"S": PENDING}, **values},
            )
        except ClientError as failure:
            if code(failure) != "ConditionalCheckFailedException":
                raise
            return False
        return True


def _gone_s(now_ms: int) -> int:
    return now_ms // 1000 + KEPT_S


def _standing(failure: ClientError) -> items.Item | None:
    """What a failed condition hands back: what stood in its way."""
    if code(failure) != "ConditionalCheckFailedException":
        raise failure
    response: Any = failure.response  # Its stubs do not know of ALL_OLD.
    standing: items.Item | None = response.get("Item")
    return standing


def partition_of(name: str) -> str:
    return f"{NAMES}{hashlib.sha256(name.encode()).hexdigest()[0]}"


def _key(name: str) -> items.Item:
    return items.key(partition_of(name), name)


def _item(record: Record) -> items.Item:
    """A record written afresh has no `ttl`: what is pending does not go away by itself."""
    contents = items.contents(record.schedule)
    del contents["name"]
    return {
        **_key(record.name),
        **contents,
        "id": {"S": record.id},
        "due": {"N": str(record.schedule.due_ms)},
        "state": {"S": record.state},
        "asked": {"N": str(record.asked)},
        "changed": {"N": str(record.changed_ms)},
        "attempts": {"N": str(record.attempts)},
        **({"timed": {"N": str(record.timed)}} if record.timed else {}),
    }


def record(item: items.Item) -> Record:
    """Of an item as it lies there; fields that a projection left out are empty."""
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
    )
