"""The counts of each application, day and execution environment in the table."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from scheduler.aws import items
from scheduler.aws.applications.stored import all_items
from scheduler.aws.calls import code, confirmed
from scheduler.model.usage import KEPT_S, Count, hash_key


class Counts:
    def __init__(self, client: Any, table_name: str) -> None:
        self._client, self._table_name = client, table_name

    def write(self, count: Count) -> None:
        """Write the totals of an environment, unless later ones are there."""
        ends_s = int(datetime.fromisoformat(count.day).replace(tzinfo=UTC).timestamp()) + KEPT_S
        try:
            confirmed(
                self._client.update_item,
                TableName=self._table_name,
                Key=items.key(*count.key),
                UpdateExpression="SET #accepted = :accepted, #seq = :seq, #ttl = :ttl",
                ConditionExpression="attribute_not_exists(#seq) OR #seq < :seq",
                ExpressionAttributeNames={"#accepted": "accepted", "#seq": "seq", "#ttl": "ttl"},
                ExpressionAttributeValues={
                    ":accepted": {"N": str(count.accepted)},
                    ":seq": {"N": str(count.seq)},
                    ":ttl": {"N": str(ends_s)},
                },
            )
        except ClientError as failure:
            if code(failure) != "ConditionalCheckFailedException":  # This write came through before, without an answer.
                raise

    def read(self, day: str, application: str, row: str) -> list[Count]:
        """Return the totals of the environments of one row."""
        found = all_items(self._client, self._table_name, hash_key(day, application, row))
        return [
            Count(day, application, item["sort"]["S"], int(item["accepted"]["N"]), int(item["seq"]["N"]))
            for item in found
        ]
