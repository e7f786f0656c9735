"""Applications and keys as the admin function lists and changes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from botocore.exceptions import ClientError

from scheduler.administering.dependencies import COLLIDED, DONE, NAME_TAKEN, DeletedApplication, StoredKey
from scheduler.aws import items
from scheduler.aws.applications.stored import (
    APPLICATION,
    APPLICATION_NAME,
    KEYS,
    Applications,
    all_items,
    application_item,
    credential_item,
    read_application,
    read_credential,
)
from scheduler.aws.calls import ConditionFailed, code, conditional, confirmed
from scheduler.aws.isolation.hash_keys import of_application
from scheduler.aws.items import META, Item
from scheduler.errors import NotConfirmed
from scheduler.model.application import Application
from scheduler.model.name_record import NAMES, PENDING

ENDED_KEPT_S = 90 * 24 * 3600
"""How long the table keeps a key after its end, so that `keys` still shows it."""

_NEW = {"ConditionExpression": "attribute_not_exists(#sort)", "ExpressionAttributeNames": {"#sort": "sort"}}


class AdministeredApplications(Applications):
    def all(self) -> list[Application]:
        """Return the applications that are not deleted."""
        return [found for item in self._listed() if (found := read_application(item)).state == "active"]

    def deleted(self) -> list[DeletedApplication]:
        return [
            DeletedApplication(item["sort"]["S"].removeprefix(APPLICATION), int(item["deleted"]["N"]))
            for item in self._listed()
            if "deleted" in item
        ]

    def all_keys(self) -> list[StoredKey]:
        """Return the keys of all applications."""
        found: list[StoredKey] = []
        for item in all_items(self._client, self._table_name, KEYS):
            with suppress(KeyError, ValueError):  # Other programs may write there too.
                found.append(StoredKey(item["sort"]["S"], read_credential(item)))
        return found

    def create(self, application: Application, keys: Sequence[StoredKey], token: str) -> str:
        """Write an application, its name and its keys, or nothing of it."""
        name_item = {
            **items.key(META, APPLICATION_NAME + application.name),
            "application": {"S": application.id},
        }
        writes = [self._put(name_item), self._put(application_item(application)), *map(self._put_key, keys)]
        refused = self._transact(writes, token)
        if not refused:
            return DONE
        return NAME_TAKEN if refused[0] else COLLIDED

    def add_keys(self, keys: Sequence[StoredKey], token: str) -> str:
        return COLLIDED if self._transact([*map(self._put_key, keys)], token) else DONE

    def replace_key(self, old: StoredKey, ends_ms: int, new: StoredKey, token: str) -> str:
        """Write a new key and the end of the old one, unless another call has replaced it before."""
        ending = {
            "TableName": self._table_name,
            "Key": items.key(KEYS, old.digest),
            "UpdateExpression": "SET #ends = :ends, #ttl = :ttl",
            "ConditionExpression": "attribute_exists(#sort) AND attribute_not_exists(#ends)",
            "ExpressionAttributeNames": {"#sort": "sort", "#ends": "ends", "#ttl": "ttl"},
            "ExpressionAttributeValues": {
                ":ends": {"N": str(ends_ms)},
                ":ttl": {"N": str(ends_ms // 1000 + ENDED_KEPT_S)},
            },
        }
        return COLLIDED if self._transact([{"Update": ending}, self._put_key(new)], token) else DONE

    def disable_key(self, key: StoredKey) -> None:
        with suppress(ConditionFailed):  # DynamoDB has deleted a key that ended long ago.
            conditional(
                self._client.update_item,
                TableName=self._table_name,
                Key=items.key(KEYS, key.digest),
                UpdateExpression="SET #state = :disabled",
                ConditionExpression="attribute_exists(#sort)",
                ExpressionAttributeNames={"#state": "state", "#sort": "sort"},
                ExpressionAttributeValues={":disabled": {"S": "disabled"}},
            )

    def change(self, old: Application, new: Application) -> bool:
        """Write what differs. Return whether the application still exists.

        Two calls that change different fields both hold. A repeat changes nothing.
        """
        before, after = application_item(old), application_item(new)
        put = {name: value for name, value in after.items() if before.get(name) != value}
        gone = [name for name in before if name not in after]
        names = {f"#{name}": name for name in (*put, *gone, "state")}
        setting = ["SET " + ", ".join(f"#{name} = :{name}" for name in put)] if put else []
        removing = ["REMOVE " + ", ".join(f"#{name}" for name in gone)] if gone else []
        if not put and not gone:
            return True
        try:
            conditional(
                self._client.update_item,
                TableName=self._table_name,
                Key=items.key(META, APPLICATION + old.id),
                UpdateExpression=" ".join([*setting, *removing]),
                ConditionExpression="#state = :active",
                ExpressionAttributeNames=names,
                ExpressionAttributeValues={":active": {"S": "active"}, **{f":{name}": put[name] for name in put}},
            )
        except ConditionFailed:
            return False
        return True

    def delete(self, application: Application, now_ms: int) -> None:
        """Mark an application as deleted, and free its name. A repeat changes nothing."""
        marking = {
            "TableName": self._table_name,
            "Key": items.key(META, APPLICATION + application.id),
            "UpdateExpression": "SET #state = :deleted, #deleted = if_not_exists(#deleted, :now)",
            "ExpressionAttributeNames": {"#state": "state", "#deleted": "deleted"},
            "ExpressionAttributeValues": {":deleted": {"S": "deleted"}, ":now": {"N": str(now_ms)}},
        }
        freeing = {
            "TableName": self._table_name,
            "Key": items.key(META, APPLICATION_NAME + application.name),
            "ConditionExpression": "#application = :id",
            "ExpressionAttributeNames": {"#application": "application"},
            "ExpressionAttributeValues": {":id": {"S": application.id}},
        }
        self._transact([{"Update": marking}, {"Delete": freeing}], "")

    def is_pending(self, application_id: str, hash_key: str, after: str | None) -> tuple[bool, str | None]:
        """Return whether one page of items holds a pending schedule, and the sort key where the next page starts.

        A hash key of records holds many that are over. Any item under the hash key of a partition is pending.
        """
        named = hash_key.startswith(NAMES)
        own = of_application(hash_key, application_id)
        names, values = {"#partition": "partition"}, {":partition": {"S": own}}
        more: dict[str, Any] = {"Limit": 1}
        if named:
            names, values = {**names, "#state": "state"}, {**values, ":pending": {"S": PENDING}}
            more = {"FilterExpression": "#state = :pending"}
        if after is not None:
            more["ExclusiveStartKey"] = items.key(own, after)
        answer = confirmed(
            self._client.query,
            TableName=self._table_name,
            KeyConditionExpression="#partition = :partition",
            ExpressionAttributeNames=names,
            ExpressionAttributeValues=values,
            ConsistentRead=True,
            Select="COUNT",
            **more,
        )
        last = answer.get("LastEvaluatedKey")
        return answer["Count"] > 0, last["sort"]["S"] if last else None

    def fed(self) -> frozenset[str]:
        """Return the applications whose items the feeds read."""
        item = self._item(META, "partitions") or {}
        return frozenset(item["applications"]["SS"]) if "applications" in item else frozenset()

    def stop_feeding(self, application_id: str) -> None:
        confirmed(
            self._client.update_item,
            TableName=self._table_name,
            Key=items.key(META, "partitions"),
            UpdateExpression="DELETE #applications :ids",
            ExpressionAttributeNames={"#applications": "applications"},
            ExpressionAttributeValues={":ids": {"SS": [application_id]}},
        )

    def _put(self, item: Item) -> dict[str, Any]:
        return {"Put": {"TableName": self._table_name, "Item": item, **_NEW}}

    def _put_key(self, key: StoredKey) -> dict[str, Any]:
        return self._put(credential_item(key.digest, key.credential))

    def _transact(self, writes: Sequence[dict[str, Any]], token: str) -> list[bool]:
        """Write all or nothing. Return which conditions did not hold, or an empty list if everything is written."""
        more = {"ClientRequestToken": token} if token else {}
        try:
            confirmed(self._client.transact_write_items, TransactItems=list(writes), **more)
        except ClientError as failure:
            if code(failure) != "TransactionCanceledException":
                raise
            response: Any = failure.response  # The type stubs lack the reasons.
            reasons = [each.get("Code", "None") for each in response.get("CancellationReasons", [])]
            if "ConditionalCheckFailed" not in reasons:  # A conflict with another write, or throttled.
                raise NotConfirmed(f"TransactionCanceled: {', '.join(sorted(set(reasons) - {'None'}))}") from failure
            return [reason == "ConditionalCheckFailed" for reason in reasons]
        return []

    def _listed(self) -> Iterator[Item]:
        return all_items(self._client, self._table_name, META, APPLICATION, APPLICATION + "~")
