"""Applications and keys in the table.

| `partition` | `sort` | holds |
|---|---|---|
| `meta` | `application#<id>` | an application. It stays when the application is deleted, so that no other gets its id |
| `meta` | `application-name#<name>` | the id of the application that has this name |
| `meta` | `partitions` | the set `applications`: the ids whose partitions the feed reads |
| `keys` | the SHA-256 of a key | its credential |

The set is part of the item that the trigger and the lists read for the number of partitions, so it costs them no call.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

from scheduler.aws import items
from scheduler.aws.calls import confirmed, query_all
from scheduler.aws.items import META, Item
from scheduler.model.application import Application, ApplicationState, Credential, KeyState, Scope

APPLICATION = "application#"
APPLICATION_NAME = "application-name#"
KEYS = "keys"
PAGES_MAX = 100
"""Pages of 1 MB. A thousand applications with all their lists and keys take about ten."""


class Applications:
    def __init__(self, client: Any, table_name: str) -> None:
        self._client, self._table_name = client, table_name

    def get(self, application_id: str) -> Application | None:
        """Return an application, also a deleted one, or None if none ever had this id."""
        item = self._item(META, APPLICATION + application_id)
        return None if item is None else read_application(item)

    def id_of(self, name: str) -> str | None:
        """Return the id of the application that has this name now."""
        item = self._item(META, APPLICATION_NAME + name)
        return None if item is None else str(item["application"]["S"])

    def credential(self, digest: str) -> tuple[str, Credential] | None:
        """Return the digest and the credential of a key as the table has them, or None if it has no such key."""
        item = self._item(KEYS, digest)
        return None if item is None else (item["sort"]["S"], read_credential(item))

    def _item(self, partition: str, sort: str) -> Item | None:
        answer = confirmed(
            self._client.get_item, TableName=self._table_name, Key=items.key(partition, sort), ConsistentRead=True
        )
        item: Item | None = answer.get("Item")
        return item


def all_items(client: Any, table_name: str, partition: str, from_sort: str = " ", to_sort: str = "~") -> Iterator[Item]:
    """Return the items under a hash key, which are read page by page."""
    return query_all(client, table_name, (partition, from_sort, to_sort), PAGES_MAX)


def application_item(application: Application) -> Item:
    lists = {
        "targets": application.targets,
        "failure_targets": application.failure_targets,
        "hosts": application.hosts,
    }
    return {
        **items.key(META, APPLICATION + application.id),
        "name": {"S": application.name},
        **{name: {"L": [{"S": each} for each in values]} for name, values in lists.items() if values},
        **({} if application.default_target is None else {"default_target": {"S": application.default_target}}),
        "rate": {"N": str(application.rate)},
        "burst": {"N": str(application.burst)},
        "created": {"N": str(application.created_ms)},
        "state": {"S": application.state},
        **({"quota": {"N": str(application.quota)}} if application.quota else {}),
    }


def read_application(item: Item) -> Application:
    """Return the application of an item. Raise KeyError or ValueError if it is not one."""
    return Application(
        item["sort"]["S"].removeprefix(APPLICATION),
        item["name"]["S"],
        _texts(item, "targets"),
        _texts(item, "failure_targets"),
        _texts(item, "hosts"),
        item["default_target"]["S"] if "default_target" in item else None,
        int(item["rate"]["N"]),
        int(item["burst"]["N"]),
        int(item["created"]["N"]),
        _one_of(ApplicationState, item["state"]["S"]),
        int(item["quota"]["N"]) if "quota" in item else 0,
    )


def credential_item(digest: str, credential: Credential) -> Item:
    return {
        **items.key(KEYS, digest),
        "id": {"S": credential.key_id},
        "application": {"S": credential.application},
        "scope": {"S": credential.scope},
        "state": {"S": credential.state},
        "created": {"N": str(credential.created_ms)},
        **({} if credential.ends_ms is None else {"ends": {"N": str(credential.ends_ms)}}),
    }


def read_credential(item: Item) -> Credential:
    """Return the credential of an item. Raise KeyError or ValueError if it is not one."""
    return Credential(
        item["id"]["S"],
        item["application"]["S"],
        _one_of(Scope, item["scope"]["S"]),
        _one_of(KeyState, item["state"]["S"]),
        int(item["created"]["N"]),
        int(item["ends"]["N"]) if "ends" in item else None,
    )


def _texts(item: Item, name: str) -> tuple[str, ...]:
    return tuple(each["S"] for each in item[name]["L"]) if name in item else ()


def _one_of(words: Any, value: str) -> Any:
    """Return a word of a Literal. Raise ValueError for any other, so that no strange state counts as active."""
    if value not in get_args(words):
        raise ValueError(f"{value!r} is none of {', '.join(get_args(words))}")
    return value
