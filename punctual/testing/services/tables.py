"""The tables of the virtual DynamoDB: their items in order, valid keys and items, and pages of an answer."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from punctual.testing.services.attribute_values import Item, check_value, copied, item_size
from punctual.testing.services.aws_errors import invalid
from punctual.testing.services.expression import EVERYTHING, Bounds
from punctual.testing.timeline import US

ITEM_BYTES_MAX = 400 * 1024
PAGE_BYTES_MAX = 1024 * 1024
HASH_BYTES_MAX = 2048
RANGE_BYTES_MAX = 1024
WRITE_UNIT_BYTES = 1024
WRITE_UNITS_PER_S = 1000
"""The limit of one partition key."""
_WRITES = ("PutRequest", "DeleteRequest")
STALE_S_MAX = 3.0
"""Eventually consistent reads usually lag by less than a second. No read here lags by more than this."""


@dataclass
class Table:
    """A table. `journal` holds recently overwritten items, for reads that lag behind."""

    name: str
    hash_name: str
    range_name: str
    ttl_name: str = ""
    items: dict[str, dict[str, Item]] = field(default_factory=dict)
    order: dict[str, list[str]] = field(default_factory=dict)
    journal: deque[tuple[int, str, str, Item | None]] = field(default_factory=deque)
    budgets: dict[str, tuple[int, int]] = field(default_factory=dict)
    """By hash key: the second, and the write units used in it."""

    def key(self, item: Item) -> tuple[str, str]:
        return item[self.hash_name]["S"], item[self.range_name]["S"]

    def get(self, key: tuple[str, str]) -> Item | None:
        return self.items.get(key[0], {}).get(key[1])

    def store(self, key: tuple[str, str], item: Item | None, now_us: int) -> Item | None:
        """Put an item, or remove it if none is given. Return the item that was there before."""
        rows, order = self.items.setdefault(key[0], {}), self.order.setdefault(key[0], [])
        old = rows.get(key[1])
        if old is None and item is not None:
            insort(order, key[1])
        if item is not None:
            rows[key[1]] = item
        elif old is not None:
            del rows[key[1]]
            del order[bisect_left(order, key[1])]
        self.journal.append((now_us, *key, old))
        while self.journal[0][0] < now_us - STALE_S_MAX * US:
            self.journal.popleft()
        return old

    def read(self, key: tuple[str, str], as_of_us: int, now_us: int) -> Item | None:
        """Return an item as it was at that time."""
        if as_of_us == now_us:
            return self.get(key)
        return next((item for item in self.rows(key[0], as_of_us) if item[self.range_name]["S"] == key[1]), None)

    def afford(self, hash_value: str, size_bytes: int, now_us: int) -> bool:
        """Return whether the write fits the limit of a thousand write units a second for one key."""
        units = max(1, -(-size_bytes // WRITE_UNIT_BYTES))
        second = now_us // US
        begun, used = self.budgets.get(hash_value, (second, 0))
        used = used if begun == second else 0
        if used and used + units > WRITE_UNITS_PER_S:
            return False
        self.budgets[hash_value] = (second, used + units)
        return True

    def rows(self, hash_value: str, as_of_us: int, bounds: Bounds = EVERYTHING) -> list[Item]:
        """Return the items of one hash key in order, as they were at that time, without most that are out of bounds."""
        order = self.order.get(hash_value, [])
        rows = self.items.get(hash_value, {})
        undone: dict[str, Item | None] = {}
        for moment_us, partition, sort, old in reversed(self.journal):
            if moment_us <= as_of_us:
                break
            if partition == hash_value:
                undone[sort] = old
        if not undone:
            least, most = bounds
            start = 0 if least is None else bisect_left(order, least)
            end = len(order) if most is None else bisect_right(order, most)
            return [rows[sort] for sort in order[start:end]]
        then = {**rows, **undone}
        return [item for sort in sorted(then) if (item := then[sort]) is not None]


def planned_write(table: Table, write: dict[str, Any]) -> tuple[tuple[str, str], Item | None]:
    """Return the key and the item of one write of a batch. A delete has no item."""
    if len(write) != 1 or next(iter(write)) not in _WRITES:
        raise invalid("Supplied WriteRequest has to be a PutRequest or a DeleteRequest")
    if "PutRequest" in write:
        item = write["PutRequest"]["Item"]
        return checked_item(table, item), copied(item)
    return checked_key(table, write["DeleteRequest"]["Key"]), None


def written_key(table: Table, write: dict[str, Any]) -> tuple[str, str]:
    """Return the key of one write of a transaction."""
    return checked_item(table, write["Item"]) if "Item" in write else checked_key(table, write["Key"])


def rows_after(table: Table, rows: list[Item], request: dict[str, Any]) -> list[Item]:
    if "ExclusiveStartKey" not in request:
        return rows
    _, start = checked_key(table, request["ExclusiveStartKey"])
    forward = request.get("ScanIndexForward", True)
    return [item for item in rows if (item[table.range_name]["S"] > start) == forward and _sort(table, item) != start]


def _sort(table: Table, item: Item) -> str:
    return str(item[table.range_name]["S"])


def one_page(rows: list[Item], limit: int | None) -> tuple[list[Item], bool]:
    """Return the items of one answer, and whether these are known to be all."""
    page: list[Item] = []
    page_bytes = 0
    for item in rows:
        if limit is not None and len(page) == limit:
            return page, False
        page_bytes += item_size(item)
        if page and page_bytes > PAGE_BYTES_MAX:
            return page, False
        page.append(item)
    return page, limit is None or len(page) < limit  # DynamoDB stops at the limit without looking for more.


def checked_key(table: Table, key: Item) -> tuple[str, str]:
    if set(key) != {table.hash_name, table.range_name}:
        raise invalid("The provided key element does not match the schema")
    return _checked_parts(table, key)


def checked_item(table: Table, item: Item) -> tuple[str, str]:
    for name in (table.hash_name, table.range_name):
        if name not in item:
            raise invalid(f"One or more parameter values were invalid: Missing the key {name} in the item")
    for value in item.values():
        check_value(value)
    if item_size(item) > ITEM_BYTES_MAX:
        raise invalid("Item size has exceeded the maximum allowed size")
    return _checked_parts(table, item)


def _checked_parts(table: Table, item: Item) -> tuple[str, str]:
    for name, bytes_max in ((table.hash_name, HASH_BYTES_MAX), (table.range_name, RANGE_BYTES_MAX)):
        if "S" not in item[name]:
            raise invalid(f"One or more parameter values were invalid: Type mismatch for key {name} expected: S")
        if not item[name]["S"]:
            raise invalid(
                "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an "
                f"empty string value. Key: {name}"
            )
        if len(item[name]["S"].encode()) > bytes_max:
            raise invalid(f"One or more parameter values were invalid: Size of {name} has exceeded {bytes_max} bytes")
    return table.key(item)
