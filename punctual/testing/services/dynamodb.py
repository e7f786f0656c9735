"""The virtual DynamoDB: tables with a string hash key and a string range key, and the limits that matter.

The source of every rule is the API reference of DynamoDB and its "Service, account, and table quotas". The contract
suite also checks each rule against moto and the local AWS.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

from punctual.testing.calls import Call, Service, Watcher
from punctual.testing.services.aws_errors import invalid, refusal
from punctual.testing.services.expression import EVERYTHING, Bounds, Expression, Item
from punctual.testing.timeline import US, Timeline

ITEM_BYTES_MAX = 400 * 1024
BATCH_WRITES_MAX = 25
BATCH_GETS_MAX = 100
BATCH_BYTES_MAX = 16 * 1024 * 1024
PAGE_BYTES_MAX = 1024 * 1024
HASH_BYTES_MAX = 2048
RANGE_BYTES_MAX = 1024
NUMBER_DIGITS_MAX = 38
WRITE_UNIT_BYTES = 1024
WRITE_UNITS_PER_S = 1000
"""The limit of one partition key."""
TTL_LAG_S = 3600
STALE_S_MAX = 3.0
"""Eventually consistent reads usually lag by less than a second. No read here lags by more than this."""

_WRITES = ("PutRequest", "DeleteRequest")


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


class DynamoDB(Service):
    name = "dynamodb"

    def __init__(self, timeline: Timeline, watcher: Watcher) -> None:
        super().__init__(timeline, watcher)
        self.tables: dict[str, Table] = {}
        self.operations = {
            "get_item": self._get_item,
            "put_item": self._put_item,
            "update_item": self._update_item,
            "delete_item": self._delete_item,
            "query": self._query,
            "batch_write_item": self._batch_write_item,
            "batch_get_item": self._batch_get_item,
        }

    def create_table(self, name: str, hash_name: str, range_name: str, ttl_name: str = "") -> Table:
        return self.tables.setdefault(name, Table(name, hash_name, range_name, ttl_name))

    # ------------------------------------------------------------------------------------------------- single items

    def _get_item(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        table = self._table(request, call, {"TableName", "Key", "ConsistentRead"})
        key = _checked_key(table, request["Key"])
        found = self._read(table, key, self._as_of_us(request, call))
        return {} if found is None else {"Item": _copy(found)}

    def _put_item(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        table = self._table(request, call, {"TableName", "Item", "ReturnValues", *_CONDITIONAL})
        key = _checked_item(table, request["Item"])
        old = self._change(table, key, request, call, lambda old: _copy(request["Item"]))
        wanted = _returned(request, "NONE", "ALL_OLD") == "ALL_OLD"
        return {"Attributes": _copy(old)} if wanted and old is not None else {}

    def _update_item(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        table = self._table(request, call, {"TableName", "Key", "UpdateExpression", "ReturnValues", *_CONDITIONAL})
        key = _checked_key(table, request["Key"])

        def changed(old: Item | None) -> Item:
            changes = self._expression(request, "UpdateExpression", used).update()
            item = dict(old or request["Key"])
            worked_out = [(name, become(old or {})) for name, become in changes]
            for name, value in worked_out:
                if name in (table.hash_name, table.range_name):
                    raise invalid(f"Cannot update attribute {name}. This attribute is part of the key")
                if value is None:
                    item.pop(name, None)
                else:
                    item[name] = value
            _checked_item(table, item)
            return _copy(item)

        used: set[str] = set()
        if "UpdateExpression" in request:  # The condition's check counts the names that the update uses.
            self._expression(request, "UpdateExpression", used).update()
        self._change(table, key, request, call, changed, used)
        if _returned(request, "NONE", "ALL_NEW") == "NONE":
            return {}
        return {"Attributes": _copy(table.items[key[0]][key[1]])}

    def _delete_item(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        table = self._table(request, call, {"TableName", "Key", *_CONDITIONAL})
        key = _checked_key(table, request["Key"])
        self._change(table, key, request, call, lambda old: None)
        return {}

    def _change(
        self,
        table: Table,
        key: tuple[str, str],
        request: dict[str, Any],
        call: Call,
        change: Callable[[Item | None], Item | None],
        used: set[str] | None = None,
    ) -> Item | None:
        """Change an item if the condition holds, and return the item that was there before."""
        used = set() if used is None else used
        old = table.get(key)
        holds = True
        if "ConditionExpression" in request:
            holds = self._expression(request, "ConditionExpression", used).condition()(old or {})
        _all_used(request, used)
        new = change(old) if holds else None
        if not self._afford(table, key[0], max(_size(old or {}), _size(new or {}))):
            _throttled(request["TableName"])
        if not holds:
            wanted = request.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD" and old is not None
            more: dict[str, Any] = {"Item": _copy(old)} if wanted and old is not None else {}
            raise refusal("ConditionalCheckFailedException", "The conditional request failed", **more)
        self._store(table, key, new, call)
        return old

    # --------------------------------------------------------------------------------------------------------- many

    def _batch_write_item(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        """Write each item on its own: a batch is not a transaction. Return the rest under UnprocessedItems."""
        _only(request, {"RequestItems"})
        writes = [(name, write) for name, writes in request["RequestItems"].items() for write in writes]
        if len(writes) > BATCH_WRITES_MAX:
            raise invalid(f"Too many items requested for the BatchWriteItem call: {len(writes)}")
        planned = [(*self._planned(name, write), write) for name, write in writes]
        if len({(table.name, key) for table, key, _, _ in planned}) != len(planned):
            raise invalid("Provided list of item keys contains duplicates")
        if sum(_size(item or {}) for _, _, item, _ in planned) > BATCH_BYTES_MAX:
            raise invalid("Collection size limit exceeded for the BatchWriteItem call")
        spoilt = set(call.fate.spoilt(len(planned))) if call.fate.spoilt else set()
        left: list[tuple[str, dict[str, Any]]] = []
        for index, (table, key, item, write) in enumerate(planned):
            old = table.get(key)
            if index in spoilt or not self._afford(table, key[0], max(_size(old or {}), _size(item or {}))):
                left.append((table.name, write))
            else:
                self._store(table, key, item, call)
        if len(left) == len(planned):  # "If none of the items can be processed due to insufficient throughput".
            _throttled(planned[0][0].name)
        unprocessed: dict[str, list[dict[str, Any]]] = {}
        for name, write in left:
            unprocessed.setdefault(name, []).append({kind: dict(what) for kind, what in write.items()})
        return {"UnprocessedItems": unprocessed}

    def _planned(self, name: str, write: dict[str, Any]) -> tuple[Table, tuple[str, str], Item | None]:
        table = self._known(name)
        if len(write) != 1 or next(iter(write)) not in _WRITES:
            raise invalid("Supplied WriteRequest has to be a PutRequest or a DeleteRequest")
        if "PutRequest" in write:
            item = write["PutRequest"]["Item"]
            return table, _checked_item(table, item), _copy(item)
        return table, _checked_key(table, write["DeleteRequest"]["Key"]), None

    def _batch_get_item(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        """Return the items that exist. UnprocessedKeys holds the keys that were not read, or did not fit the answer."""
        _only(request, {"RequestItems"})
        wanted = [(name, about, key) for name, about in request["RequestItems"].items() for key in about["Keys"]]
        if len(wanted) > BATCH_GETS_MAX:
            raise invalid(f"Too many items requested for the BatchGetItem call: {len(wanted)}")
        planned = [(self._known(name), about, _checked_key(self._known(name), key)) for name, about, key in wanted]
        if len({(table.name, key) for table, _, key in planned}) != len(planned):
            raise invalid("Provided list of item keys contains duplicates")
        spoilt = set(call.fate.spoilt(len(planned))) if call.fate.spoilt else set()
        if len(spoilt) == len(planned):  # "If none of the items can be processed due to insufficient throughput".
            _throttled(planned[0][0].name)
        found: dict[str, list[Item]] = {name: [] for name in request["RequestItems"]}
        left: dict[str, dict[str, Any]] = {}
        answer_bytes = 0
        for index, (table, about, key) in enumerate(planned):
            item = self._read(table, key, self._as_of_us(about, call))
            answer_bytes += _size(item or {}) if index not in spoilt else 0
            if index in spoilt or answer_bytes > BATCH_BYTES_MAX:
                about_left = {name: part for name, part in about.items() if name != "Keys"}
                left.setdefault(table.name, {**about_left, "Keys": []})["Keys"].append(dict(wanted[index][2]))
            elif item is not None:
                found[table.name].append(self._shape(about)(item))
        return {"Responses": found, "UnprocessedKeys": left}

    def _shape(self, about: dict[str, Any]) -> Callable[[Item], Item]:
        _only(about, {"Keys", "ConsistentRead", "ProjectionExpression", "ExpressionAttributeNames"})
        used: set[str] = set()
        shape = self._projected(about, used)
        _all_used(about, used)
        return shape

    def _read(self, table: Table, key: tuple[str, str], as_of_us: int) -> Item | None:
        if as_of_us == self.timeline.now_us:
            return table.get(key)
        rows = table.rows(key[0], as_of_us)
        return next((item for item in rows if item[table.range_name]["S"] == key[1]), None)

    def _query(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        known = {"TableName", "KeyConditionExpression", "FilterExpression", "ProjectionExpression", "Limit", "Select"}
        known |= {"ExclusiveStartKey", "ScanIndexForward", "ConsistentRead", *_PLACEHOLDERS}
        table = self._table(request, call, known)
        used: set[str] = set()
        condition = self._expression(request, "KeyConditionExpression", used)
        hash_value, within, bounds = condition.key_condition(table.hash_name, table.range_name)
        kept, shape = self._filtered(request, used), self._projected(request, used)
        _all_used(request, used)
        rows = [item for item in table.rows(hash_value, self._as_of_us(request, call), bounds) if within(item)]
        if not request.get("ScanIndexForward", True):
            rows.reverse()
        rows = _after(table, rows, request)
        page, ended = _page(rows, request.get("Limit"))
        items = [shape(item) for item in page if kept(item)]
        answer: dict[str, Any] = {"Count": len(items), "ScannedCount": len(page)}
        if request.get("Select") != "COUNT":
            answer["Items"] = items
        if not ended:
            answer["LastEvaluatedKey"] = {name: dict(page[-1][name]) for name in (table.hash_name, table.range_name)}
        return answer

    def _filtered(self, request: dict[str, Any], used: set[str]) -> Callable[[Item], bool]:
        if "FilterExpression" not in request:
            return lambda item: True
        return self._expression(request, "FilterExpression", used).condition()

    def _projected(self, request: dict[str, Any], used: set[str]) -> Callable[[Item], Item]:
        if "ProjectionExpression" not in request:
            return _copy
        names = self._expression(request, "ProjectionExpression", used).projection()
        return lambda item: _copy({name: item[name] for name in names if name in item})

    # ------------------------------------------------------------------------------------------------------- inside

    def _table(self, request: dict[str, Any], call: Call, known: set[str]) -> Table:
        _only(request, known)
        return self._known(request["TableName"])

    def _known(self, name: str) -> Table:
        if name not in self.tables:
            raise refusal("ResourceNotFoundException", "Requested resource not found")
        return self.tables[name]

    def _as_of_us(self, request: dict[str, Any], call: Call) -> int:
        if request.get("ConsistentRead", False):
            return self.timeline.now_us
        return self.timeline.now_us - round(min(call.fate.stale_s, STALE_S_MAX) * US)

    def _expression(self, request: dict[str, Any], parameter: str, used: set[str]) -> Expression:
        names = request.get("ExpressionAttributeNames", {})
        values = request.get("ExpressionAttributeValues", {})
        return Expression(request[parameter], names, values, used)

    def _afford(self, table: Table, hash_value: str, size_bytes: int) -> bool:
        """Return whether the write fits the limit of a thousand write units a second for one key."""
        units = max(1, -(-size_bytes // WRITE_UNIT_BYTES))
        second = self.timeline.now_us // US
        begun, used = table.budgets.get(hash_value, (second, 0))
        used = used if begun == second else 0
        if used and used + units > WRITE_UNITS_PER_S:
            return False
        table.budgets[hash_value] = (second, used + units)
        return True

    def _store(self, table: Table, key: tuple[str, str], item: Item | None, call: Call) -> None:
        if item is None and table.get(key) is None:
            return
        old = table.store(key, item, self.timeline.now_us)
        self.watcher.wrote(call, table.name, old, item)
        if item is not None and table.ttl_name in item:
            self._let_expire(table, key, item)

    def _let_expire(self, table: Table, key: tuple[str, str], item: Item) -> None:
        """Delete the item some time after its `ttl`. DynamoDB's documentation says within a few days."""
        gone_us = int(item[table.ttl_name]["N"]) * US + TTL_LAG_S * US

        def expire() -> None:
            current = table.get(key)
            if current is not None and current.get(table.ttl_name) == item[table.ttl_name]:
                table.store(key, None, self.timeline.now_us)
                self.watcher.fell("expired", item=current)

        self.timeline.at(gone_us, expire)


_PLACEHOLDERS = ("ExpressionAttributeNames", "ExpressionAttributeValues")
_CONDITIONAL = (*_PLACEHOLDERS, "ConditionExpression", "ReturnValuesOnConditionCheckFailure")


def _only(request: dict[str, Any], known: set[str]) -> None:
    for parameter in request:
        if parameter not in known:
            raise NotImplementedError(f"the virtual DynamoDB does not know the parameter {parameter} here")


def _returned(request: dict[str, Any], *known: str) -> str:
    wanted = str(request.get("ReturnValues", "NONE"))
    if wanted not in known:
        raise NotImplementedError(f"the virtual DynamoDB returns no {wanted} here")
    return wanted


def _throttled(table: str) -> NoReturn:
    raise refusal(
        "ThrottlingException", f"Throughput exceeds the current capacity of your table or index: {table}", 400
    )


def _all_used(request: dict[str, Any], used: set[str]) -> None:
    for parameter in _PLACEHOLDERS:
        for name in request.get(parameter, {}):
            if name not in used:
                raise invalid(f"Value provided in {parameter} unused in expressions: keys: {{{name}}}")


def _after(table: Table, rows: list[Item], request: dict[str, Any]) -> list[Item]:
    if "ExclusiveStartKey" not in request:
        return rows
    _, start = _checked_key(table, request["ExclusiveStartKey"])
    forward = request.get("ScanIndexForward", True)
    return [item for item in rows if (item[table.range_name]["S"] > start) == forward and _sort(table, item) != start]


def _sort(table: Table, item: Item) -> str:
    return str(item[table.range_name]["S"])


def _page(rows: list[Item], limit: int | None) -> tuple[list[Item], bool]:
    """Return the items of one answer, and whether these are known to be all."""
    page: list[Item] = []
    page_bytes = 0
    for item in rows:
        if limit is not None and len(page) == limit:
            return page, False
        page_bytes += _size(item)
        if page and page_bytes > PAGE_BYTES_MAX:
            return page, False
        page.append(item)
    return page, limit is None or len(page) < limit  # DynamoDB stops at the limit without looking for more.


def _checked_key(table: Table, key: Item) -> tuple[str, str]:
    if set(key) != {table.hash_name, table.range_name}:
        raise invalid("The provided key element does not match the schema")
    return _checked_parts(table, key)


def _checked_item(table: Table, item: Item) -> tuple[str, str]:
    for name in (table.hash_name, table.range_name):
        if name not in item:
            raise invalid(f"One or more parameter values were invalid: Missing the key {name} in the item")
    for value in item.values():
        _check_value(value)
    if _size(item) > ITEM_BYTES_MAX:
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


def _check_value(value: dict[str, Any]) -> None:
    if len(value) != 1:
        raise invalid("Supplied AttributeValue has to contain exactly one of the supported datatypes")
    if "N" not in value:
        return
    try:
        number = Decimal(value["N"])
    except InvalidOperation:
        raise invalid(f"The parameter cannot be converted to a numeric value: {value['N']}") from None
    if len(number.as_tuple().digits) > NUMBER_DIGITS_MAX:
        raise invalid("Attempting to store more than 38 significant digits in a Number")


def _size(item: Item) -> int:
    """Return the size of an item by "Item sizes and formats". It is approximate for maps and lists."""
    return sum(len(name.encode()) + _value_size(value) for name, value in item.items())


def _value_size(value: dict[str, Any]) -> int:
    ((kind, content),) = value.items()
    if kind == "S":
        return len(content) if content.isascii() else len(content.encode())
    if kind == "N":
        return len(content.lstrip("-").replace(".", "").strip("0")) // 2 + 2
    if kind == "B":
        return len(content)
    if kind == "M":
        return 3 + sum(1 + len(name.encode()) + _value_size(each) for name, each in content.items())
    if kind == "L":
        return 3 + sum(1 + _value_size(each) for each in content)
    if kind in ("BOOL", "NULL"):
        return 1
    return sum(len(each) for each in content)


def _copy(item: Item) -> Item:
    return {name: dict(value) for name, value in item.items()}
