"""The counts of each application, day and execution environment in the table."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from scheduler.aws import items
from scheduler.aws.applications.stored import all_items
from scheduler.aws.calls import ConditionFailed, conditional
from scheduler.model.usage import COUNT_KEPT_S, COUNTERS, Count, Recent, hash_key


class Counts:
    def __init__(self, client: Any, table_name: str) -> None:
        self._client, self._table_name = client, table_name

    def write(self, count: Count) -> None:
        """Write the row of an environment, unless a later one is there."""
        values = _values(count)
        with suppress(ConditionFailed):  # This write came through before, without an answer.
            conditional(
                self._client.update_item,
                TableName=self._table_name,
                Key=items.key(*count.key),
                UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in values),
                ConditionExpression="attribute_not_exists(#seq) OR #seq < :seq",
                ExpressionAttributeNames={f"#{name}": name for name in values},
                ExpressionAttributeValues={f":{name}": value for name, value in values.items()},
            )

    def read(self, day: str, application: str, row: str) -> list[Count]:
        """Return the rows of the environments that share one hash key."""
        found = all_items(self._client, self._table_name, hash_key(day, application, row))
        return [_count(day, application, item) for item in found]


def _values(count: Count) -> dict[str, Any]:
    ends_s = int(datetime.fromisoformat(count.day).replace(tzinfo=UTC).timestamp()) + COUNT_KEPT_S
    totals = {"accepted": 0, **count.totals}  # A function of an earlier version reads this one.
    values: dict[str, Any] = {name: {"N": str(number)} for name, number in totals.items()}
    if count.recent:
        values["recent"] = {"L": [_recent_value(each) for each in count.recent]}
    return {**values, "seq": {"N": str(count.seq)}, "ttl": {"N": str(ends_s)}}


def _count(day: str, application: str, item: dict[str, Any]) -> Count:
    totals = {name: int(item[name]["N"]) for name in COUNTERS if name in item}
    recent = tuple(_recent(each["M"]) for each in item.get("recent", {"L": []})["L"])
    return Count(day, application, item["sort"]["S"], int(item["seq"]["N"]), totals, recent)


def _recent_value(recent: Recent) -> dict[str, Any]:
    value = {"id": {"S": recent.id}, "due": {"N": str(recent.due_ms)}, "delivered": {"N": str(recent.delivered_ms)}}
    return {"M": value if recent.name is None else {**value, "name": {"S": recent.name}}}


def _recent(value: dict[str, Any]) -> Recent:
    name = value["name"]["S"] if "name" in value else None
    return Recent(value["id"]["S"], int(value["due"]["N"]), int(value["delivered"]["N"]), name)
