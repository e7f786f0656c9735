"""The virtual DynamoDB: tables with a string hash key and a string range key, and the limits that matter.

The source of every rule is the API reference of DynamoDB and its "Service, account, and table quotas". The contract
suite also checks each rule against moto and the local AWS.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from punctual.testing.calls import Call, Service, Watcher
from punctual.testing.services.attribute_values import Item, copied, item_size
from punctual.testing.services.aws_errors import invalid, only, refusal, returned, throttled
from punctual.testing.services.expression import PLACEHOLDERS, check_all_used, kept_by, parsed, shaped_by
from punctual.testing.services.tables import (
    STALE_S_MAX,
    Table,
    checked_item,
    checked_key,
    one_page,
    planned_write,
    rows_after,
    written_key,
)
from punctual.testing.timeline import US, Timeline

BATCH_WRITES_MAX = 25
BATCH_GETS_MAX = 100
BATCH_BYTES_MAX = 16 * 1024 * 1024
TRANSACTION_WRITES_MAX = 100
TOKEN_S = 600
"""How long a token of a transaction is remembered."""
TTL_LAG_S = 3600


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
            "transact_write_items": self._transact_write_items,
        }
        self._staged: list[tuple[Table, tuple[str, str], Item | None]] | None = None
        """The writes of the current transaction, which are stored together."""
        self._transactions: dict[str, tuple[int, str]] = {}
        """When each transaction with a token was done, and what it was."""

    def create_table(self, name: str, hash_name: str, range_name: str, ttl_name: str = "") -> Table:
        return self.tables.setdefault(name, Table(name, hash_name, range_name, ttl_name))

    # ------------------------------------------------------------------------------------------------- single items

    def _get_item(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        table = self._table(request, call, {"TableName", "Key", "ConsistentRead"})
        key = checked_key(table, request["Key"])
        found = table.read(key, self._as_of_us(request, call), self.timeline.now_us)
        return {} if found is None else {"Item": copied(found)}

    def _put_item(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        table = self._table(request, call, {"TableName", "Item", "ReturnValues", *_CONDITIONAL})
        key = checked_item(table, request["Item"])
        old = self._change(table, key, request, call, lambda old: copied(request["Item"]))
        wanted = returned(request, "NONE", "ALL_OLD") == "ALL_OLD"
        return {"Attributes": copied(old)} if wanted and old is not None else {}

    def _update_item(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        table = self._table(request, call, {"TableName", "Key", "UpdateExpression", "ReturnValues", *_CONDITIONAL})
        key = checked_key(table, request["Key"])

        def changed(old: Item | None) -> Item:
            changes = parsed(request, "UpdateExpression", used).update()
            item = dict(old or request["Key"])
            worked_out = [(name, become(old or {})) for name, become in changes]
            for name, value in worked_out:
                if name in (table.hash_name, table.range_name):
                    raise invalid(f"Cannot update attribute {name}. This attribute is part of the key")
                if value is None:
                    item.pop(name, None)
                else:
                    item[name] = value
            checked_item(table, item)
            return copied(item)

        used: set[str] = set()
        if "UpdateExpression" in request:  # The condition's check counts the names that the update uses.
            parsed(request, "UpdateExpression", used).update()
        self._change(table, key, request, call, changed, used)
        if returned(request, "NONE", "ALL_NEW") == "NONE":
            return {}
        return {"Attributes": copied(table.items[key[0]][key[1]])}

    def _delete_item(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        table = self._table(request, call, {"TableName", "Key", *_CONDITIONAL})
        key = checked_key(table, request["Key"])
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
            holds = parsed(request, "ConditionExpression", used).condition()(old or {})
        check_all_used(request, used)
        new = change(old) if holds else None
        if not table.afford(key[0], max(item_size(old or {}), item_size(new or {})), self.timeline.now_us):
            raise throttled(request["TableName"])
        if not holds:
            wanted = request.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD" and old is not None
            more: dict[str, Any] = {"Item": copied(old)} if wanted and old is not None else {}
            raise refusal("ConditionalCheckFailedException", "The conditional request failed", **more)
        self._store(table, key, new, call)
        return old

    # --------------------------------------------------------------------------------------------------------- many

    def _batch_write_item(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        """Write each item on its own: a batch is not a transaction. Return the rest under UnprocessedItems."""
        only(request, {"RequestItems"})
        writes = [(name, write) for name, writes in request["RequestItems"].items() for write in writes]
        if len(writes) > BATCH_WRITES_MAX:
            raise invalid(f"Too many items requested for the BatchWriteItem call: {len(writes)}")
        planned = [(self._known(name), *planned_write(self._known(name), write), write) for name, write in writes]
        if len({(table.name, key) for table, key, _, _ in planned}) != len(planned):
            raise invalid("Provided list of item keys contains duplicates")
        if sum(item_size(item or {}) for _, _, item, _ in planned) > BATCH_BYTES_MAX:
            raise invalid("Collection size limit exceeded for the BatchWriteItem call")
        spoilt = set(call.fault.spoilt(len(planned))) if call.fault.spoilt else set()
        left: list[tuple[str, dict[str, Any]]] = []
        now_us = self.timeline.now_us
        for index, (table, key, item, write) in enumerate(planned):
            old = table.get(key)
            if index in spoilt or not table.afford(key[0], max(item_size(old or {}), item_size(item or {})), now_us):
                left.append((table.name, write))
            else:
                self._store(table, key, item, call)
        if len(left) == len(planned):  # "If none of the items can be processed due to insufficient throughput".
            raise throttled(planned[0][0].name)
        unprocessed: dict[str, list[dict[str, Any]]] = {}
        for name, write in left:
            unprocessed.setdefault(name, []).append({kind: dict(what) for kind, what in write.items()})
        return {"UnprocessedItems": unprocessed}

    def _batch_get_item(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        """Return the items that exist. UnprocessedKeys holds the keys that were not read, or did not fit the answer."""
        only(request, {"RequestItems"})
        wanted = [(name, about, key) for name, about in request["RequestItems"].items() for key in about["Keys"]]
        if len(wanted) > BATCH_GETS_MAX:
            raise invalid(f"Too many items requested for the BatchGetItem call: {len(wanted)}")
        planned = [(self._known(name), about, checked_key(self._known(name), key)) for name, about, key in wanted]
        if len({(table.name, key) for table, _, key in planned}) != len(planned):
            raise invalid("Provided list of item keys contains duplicates")
        spoilt = set(call.fault.spoilt(len(planned))) if call.fault.spoilt else set()
        if len(spoilt) == len(planned):  # "If none of the items can be processed due to insufficient throughput".
            raise throttled(planned[0][0].name)
        found: dict[str, list[Item]] = {name: [] for name in request["RequestItems"]}
        left: dict[str, dict[str, Any]] = {}
        answer_bytes = 0
        for index, (table, about, key) in enumerate(planned):
            item = table.read(key, self._as_of_us(about, call), self.timeline.now_us)
            answer_bytes += item_size(item or {}) if index not in spoilt else 0
            if index in spoilt or answer_bytes > BATCH_BYTES_MAX:
                about_left = {name: part for name, part in about.items() if name != "Keys"}
                left.setdefault(table.name, {**about_left, "Keys": []})["Keys"].append(dict(wanted[index][2]))
            elif item is not None:
                found[table.name].append(self._shape(about)(item))
        return {"Responses": found, "UnprocessedKeys": left}

    def _transact_write_items(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        """Write all items if all their conditions hold, or none. A repeat under the same token does nothing."""
        only(request, {"TransactItems", "ClientRequestToken"})
        token, content = request.get("ClientRequestToken", ""), repr(request["TransactItems"])
        done_us, done = self._transactions.get(token, (-TOKEN_S * US, content))
        if token and self.timeline.now_us - done_us < TOKEN_S * US:
            if done != content:
                raise refusal("IdempotentParameterMismatchException", "The token was used for another request")
            return {}
        writes = [next(iter(each.items())) for each in request["TransactItems"]]
        keys = [(what["TableName"], repr(written_key(self._known(what["TableName"]), what))) for _, what in writes]
        if len(writes) > TRANSACTION_WRITES_MAX or len(set(keys)) != len(keys):
            raise invalid("Transaction request has too many items, or multiple operations on one item")
        self._staged = []
        try:
            refusals = [self._staged_refusal(kind, what, call) for kind, what in writes]
            if any(refusals):
                reasons = [{"Code": code or "None"} for code in refusals]
                raise refusal("TransactionCanceledException", "Transaction cancelled", CancellationReasons=reasons)
            planned = self._staged
        finally:
            self._staged = None
        for table, key, item in planned:
            self._store(table, key, item, call)
        self._transactions[token] = (self.timeline.now_us, content)
        return {}

    def _staged_refusal(self, kind: str, what: dict[str, Any], call: Call) -> str:
        """Check one write of a transaction. Return the code of its refusal, or nothing."""
        operations = {"Put": self._put_item, "Update": self._update_item, "Delete": self._delete_item}
        if kind not in operations or "ReturnValues" in what:
            raise NotImplementedError(f"the virtual DynamoDB knows no such {kind} in a transaction")
        try:
            operations[kind](what, call)
        except ClientError as failure:
            if failure.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            return "ConditionalCheckFailed"
        return ""

    def _shape(self, about: dict[str, Any]) -> Callable[[Item], Item]:
        only(about, {"Keys", "ConsistentRead", "ProjectionExpression", "ExpressionAttributeNames"})
        used: set[str] = set()
        shape = shaped_by(about, used)
        check_all_used(about, used)
        return shape

    def _query(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        known = {"TableName", "KeyConditionExpression", "FilterExpression", "ProjectionExpression", "Limit", "Select"}
        known |= {"ExclusiveStartKey", "ScanIndexForward", "ConsistentRead", *PLACEHOLDERS}
        table = self._table(request, call, known)
        used: set[str] = set()
        condition = parsed(request, "KeyConditionExpression", used)
        hash_value, within, bounds = condition.key_condition(table.hash_name, table.range_name)
        kept, shape = kept_by(request, used), shaped_by(request, used)
        check_all_used(request, used)
        rows = [item for item in table.rows(hash_value, self._as_of_us(request, call), bounds) if within(item)]
        if not request.get("ScanIndexForward", True):
            rows.reverse()
        rows = rows_after(table, rows, request)
        page, ended = one_page(rows, request.get("Limit"))
        items = [shape(item) for item in page if kept(item)]
        answer: dict[str, Any] = {"Count": len(items), "ScannedCount": len(page)}
        if request.get("Select") != "COUNT":
            answer["Items"] = items
        if not ended:
            answer["LastEvaluatedKey"] = {name: dict(page[-1][name]) for name in (table.hash_name, table.range_name)}
        return answer

    # ------------------------------------------------------------------------------------------------------- inside

    def _table(self, request: dict[str, Any], call: Call, known: set[str]) -> Table:
        only(request, known)
        return self._known(request["TableName"])

    def _known(self, name: str) -> Table:
        if name not in self.tables:
            raise refusal("ResourceNotFoundException", "Requested resource not found")
        return self.tables[name]

    def _as_of_us(self, request: dict[str, Any], call: Call) -> int:
        if request.get("ConsistentRead", False):
            return self.timeline.now_us
        return self.timeline.now_us - round(min(call.fault.stale_s, STALE_S_MAX) * US)

    def _store(self, table: Table, key: tuple[str, str], item: Item | None, call: Call) -> None:
        if self._staged is not None:
            self._staged.append((table, key, item))
            return
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


_CONDITIONAL = (*PLACEHOLDERS, "ConditionExpression", "ReturnValuesOnConditionCheckFailure")
