"""A client of DynamoDB that sees only the items of one application.

It has the calls that the adapters use. Each call gets the application's hash keys in place of the owner's, and each
answer has the owner's again. So the adapters of an application are those of the owner. A call that this class lacks
fails, and a hash key that is not an application's fails, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from scheduler.aws.isolation.hash_keys import of_application, of_owner
from scheduler.aws.items import Item

HASH = "partition"
HASH_VALUE = ":partition"
"""The value of the hash key in every query of the adapters."""

Answer = dict[str, Any]


class ApplicationClient:
    def __init__(self, client: Any, application: str) -> None:
        self._client, self._application = client, application

    def get_item(self, *, Key: Item, **others: Any) -> Answer:  # noqa: N803 - As the call of AWS has it.
        return self._answer(self._client.get_item, Key=self._to(Key), **others)

    def put_item(self, *, Item: Item, **others: Any) -> Answer:  # noqa: N803
        return self._answer(self._client.put_item, Item=self._to(Item), **others)

    def update_item(self, *, Key: Item, **others: Any) -> Answer:  # noqa: N803
        return self._answer(self._client.update_item, Key=self._to(Key), **others)

    def delete_item(self, *, Key: Item, **others: Any) -> Answer:  # noqa: N803
        return self._answer(self._client.delete_item, Key=self._to(Key), **others)

    def query(self, *, ExpressionAttributeValues: Item, **others: Any) -> Answer:  # noqa: N803
        hash_key = ExpressionAttributeValues[HASH_VALUE]["S"]
        values = {**ExpressionAttributeValues, HASH_VALUE: {"S": of_application(hash_key, self._application)}}
        return self._answer(self._client.query, ExpressionAttributeValues=values, **others)

    def batch_get_item(self, *, RequestItems: Answer) -> Answer:  # noqa: N803
        wanted = {table: _with_keys(about, self._to) for table, about in RequestItems.items()}
        answer = self._client.batch_get_item(RequestItems=wanted)
        found = {table: [self._from(each) for each in items] for table, items in answer["Responses"].items()}
        left = {table: _with_keys(about, self._from) for table, about in answer.get("UnprocessedKeys", {}).items()}
        return {**answer, "Responses": found, "UnprocessedKeys": left}

    def batch_write_item(self, *, RequestItems: Answer) -> Answer:  # noqa: N803
        wanted = {table: [_written(each, self._to) for each in writes] for table, writes in RequestItems.items()}
        answer = self._client.batch_write_item(RequestItems=wanted)
        unprocessed = answer.get("UnprocessedItems", {}).items()
        left = {table: [_written(each, self._from) for each in writes] for table, writes in unprocessed}
        return {**answer, "UnprocessedItems": left}

    def _answer(self, call: Callable[..., Answer], **arguments: Any) -> Answer:
        """Make the call, and return its answer with the owner's hash keys. An error may hold an item, too."""
        try:
            answer = call(**arguments)
        except ClientError as failure:
            response: Any = failure.response  # The type stubs lack the item of ALL_OLD.
            if "Item" in response:
                response["Item"] = self._from(response["Item"])
            raise
        found = dict(answer)
        for part in ("Item", "Attributes", "LastEvaluatedKey"):
            if part in found:
                found[part] = self._from(found[part])
        if "Items" in found:
            found["Items"] = [self._from(each) for each in found["Items"]]
        return found

    def _to(self, item: Item) -> Item:
        return {**item, HASH: {"S": of_application(item[HASH]["S"], self._application)}}

    def _from(self, item: Item) -> Item:
        """Return the item with the owner's hash key. A projection may have left the key out."""
        return {**item, HASH: {"S": of_owner(item[HASH]["S"], self._application)}} if HASH in item else item


def _with_keys(about: Mapping[str, Any], changed: Callable[[Item], Item]) -> Answer:
    return {**about, "Keys": [changed(key) for key in about["Keys"]]}


def _written(write: Mapping[str, Any], changed: Callable[[Item], Item]) -> Answer:
    if "PutRequest" in write:
        return {"PutRequest": {"Item": changed(write["PutRequest"]["Item"])}}
    return {"DeleteRequest": {"Key": changed(write["DeleteRequest"]["Key"])}}
