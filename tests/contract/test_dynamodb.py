"""Our assumptions about DynamoDB, checked against the virtual AWS, moto and the local AWS.

Sources: the API reference of Amazon DynamoDB, and "Service, account, and table quotas" in its developer guide.
"""

from __future__ import annotations

import random
from typing import Any

import pytest
from botocore.exceptions import ParamValidationError

from deviations import differs, refused
from punctual.testing.cloud import Cloud


def item(sort: str, partition: str = "p", **more: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {"partition": {"S": partition}, "sort": {"S": sort}, **more}


def put(aws, *items: dict[str, Any]) -> None:
    for each in items:
        aws.dynamodb.put_item(TableName=aws.table, Item=each)


def query(aws, **more: Any) -> dict[str, Any]:
    answer: dict[str, Any] = aws.dynamodb.query(
        TableName=aws.table,
        KeyConditionExpression="#p = :p",
        ExpressionAttributeNames={"#p": "partition"},
        ExpressionAttributeValues={":p": {"S": "p"}},
        **more,
    )
    return answer


def sorts(answer: dict[str, Any]) -> list[str]:
    return [each["sort"]["S"] for each in answer["Items"]]


def write(aws, *writes: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = aws.dynamodb.batch_write_item(RequestItems={aws.table: list(writes)})
    return answer


def update(aws, sort: str, expression: str, names: dict[str, str], values: dict[str, Any], **more: Any) -> Any:
    return aws.dynamodb.update_item(
        TableName=aws.table,
        Key=item(sort),
        UpdateExpression=expression,
        ExpressionAttributeNames=names,
        ExpressionAttributeValues=values,
        **more,
    )


def test_a_stored_item_is_read_back(aws):
    """It is unchanged. A missing item is no item at all."""
    put(aws, item("a", data={"S": "x"}, number={"N": "12"}))
    got = aws.dynamodb.get_item(TableName=aws.table, Key=item("a"), ConsistentRead=True)
    assert item("a", data={"S": "x"}, number={"N": "12"}) == got["Item"]
    assert "Item" not in aws.dynamodb.get_item(TableName=aws.table, Key=item("b"))


def test_a_key_is_not_empty(aws):
    """A key attribute has at least one byte. Other attributes may be empty."""
    put(aws, item("a", data={"S": ""}))
    refused("ValidationException", aws.dynamodb.put_item, TableName=aws.table, Item=item(""))


def test_an_item_has_its_keys(aws):
    """An item without its range key is refused."""
    refused("ValidationException", aws.dynamodb.put_item, TableName=aws.table, Item={"partition": {"S": "p"}})


def test_a_key_has_the_type_of_the_schema(aws):
    """A number instead of a string is refused."""
    wrong = {"partition": {"S": "p"}, "sort": {"N": "1"}}
    refused("ValidationException", aws.dynamodb.put_item, TableName=aws.table, Item=wrong)


@differs(moto='it stops at 405,000 bytes; "Service, account, and table quotas", item size: 400 KB')
def test_an_item_is_at_most_400_kb(aws):
    """Names and values count together."""
    put(aws, item("a", data={"S": "x" * 409_500}))
    larger = item("b", data={"S": "x" * 409_600})
    refused("ValidationException", aws.dynamodb.put_item, TableName=aws.table, Item=larger)


def test_an_unknown_table_is_an_error(aws):
    refused("ResourceNotFoundException", aws.dynamodb.get_item, TableName="nowhere", Key=item("a"))


def test_a_query_sorts_as_text(aws):
    """It sorts by the bytes of the range key, in both directions."""
    put(aws, *(item(sort) for sort in ("b", "a#2", "a#10", "00", "B")))
    assert ["00", "B", "a#10", "a#2", "b"] == sorts(query(aws))
    assert ["b", "a#2", "a#10", "B", "00"] == sorts(query(aws, ScanIndexForward=False))


def test_between_includes_both_ends(aws):
    put(aws, *(item(sort) for sort in "abcd"))
    answer = aws.dynamodb.query(
        TableName=aws.table,
        KeyConditionExpression="#p = :p AND #s BETWEEN :from AND :to",
        ExpressionAttributeNames={"#p": "partition", "#s": "sort"},
        ExpressionAttributeValues={":p": {"S": "p"}, ":from": {"S": "b"}, ":to": {"S": "c"}},
        ConsistentRead=True,
    )
    assert ["b", "c"] == sorts(answer)


@differs(moto='it finds nothing; error of Query: "BETWEEN operator requires upper bound to be greater than or equal"')
def test_between_refuses_bounds_in_the_wrong_order(aws):
    """Equal bounds are valid."""
    put(aws, item("b"))

    def between(first, last):
        return {
            "TableName": aws.table,
            "KeyConditionExpression": "#p = :p AND #s BETWEEN :from AND :to",
            "ExpressionAttributeNames": {"#p": "partition", "#s": "sort"},
            "ExpressionAttributeValues": {":p": {"S": "p"}, ":from": {"S": first}, ":to": {"S": last}},
        }

    refused("ValidationException", aws.dynamodb.query, **between("c", "b"))
    assert ["b"] == sorts(aws.dynamodb.query(**between("b", "b")))


def test_a_page_ends_at_its_limit_with_its_last_key(aws):
    """The next page begins after that key, and the last page has none."""
    put(aws, *(item(sort) for sort in "abc"))
    first = query(aws, Limit=2)
    assert ["a", "b"] == sorts(first)
    assert item("b") == first["LastEvaluatedKey"]
    second = query(aws, Limit=2, ExclusiveStartKey=first["LastEvaluatedKey"])
    assert ["c"] == sorts(second)
    assert "LastEvaluatedKey" not in second


def test_a_page_ends_at_a_megabyte(aws):
    """The limit on the number does not matter."""
    for sort in "abcd":
        put(aws, item(sort, data={"S": "x" * 300_000}))
        aws.wait(0.4)  # A key takes a thousand write units a second.
    first = query(aws)
    assert ["a", "b", "c"] == sorts(first)
    assert ["d"] == sorts(query(aws, ExclusiveStartKey=first["LastEvaluatedKey"]))


def test_a_filter_applies_after_the_limit(aws):
    """The query reads and counts items that the filter drops."""
    put(aws, item("a", kind={"S": "x"}), item("b", kind={"S": "y"}), item("c", kind={"S": "y"}))
    answer = aws.dynamodb.query(
        TableName=aws.table,
        KeyConditionExpression="#p = :p",
        FilterExpression="#k = :k",
        ExpressionAttributeNames={"#p": "partition", "#k": "kind"},
        ExpressionAttributeValues={":p": {"S": "p"}, ":k": {"S": "y"}},
        Limit=2,
    )
    assert ["b"] == sorts(answer)
    assert (1, 2) == (answer["Count"], answer["ScannedCount"])


def test_counting_returns_no_items(aws):
    put(aws, item("a"), item("b"))
    answer = query(aws, Select="COUNT")
    assert 2 == answer["Count"]
    assert not answer.get("Items")


def test_a_batch_puts_and_deletes(aws):
    """Deleting a missing item is no error."""
    put(aws, item("a"))
    gone = [{"DeleteRequest": {"Key": item(sort)}} for sort in ("a", "never")]
    answer = write(aws, {"PutRequest": {"Item": item("b")}}, *gone)
    assert {} == answer["UnprocessedItems"]
    assert ["b"] == sorts(query(aws))


@differs(moto='it takes 26; API reference, BatchWriteItem: "more than 25 requests in the batch"')
def test_a_batch_has_at_most_25_writes(aws):
    puts = [{"PutRequest": {"Item": item(f"{number:02d}")}} for number in range(26)]
    refused("ValidationException", aws.dynamodb.batch_write_item, RequestItems={aws.table: puts})
    assert {} == write(aws, *puts[:25])["UnprocessedItems"]


@differs(moto='it sees no put and delete of one key; API reference, BatchWriteItem, "multiple operations"')
def test_a_batch_names_a_key_once(aws):
    """A batch that puts or deletes the same key twice is refused."""
    same_key = [{"PutRequest": {"Item": item("a")}}, {"DeleteRequest": {"Key": item("a")}}]
    refused("ValidationException", aws.dynamodb.batch_write_item, RequestItems={aws.table: same_key})


def test_an_empty_batch_does_not_leave_the_client(aws):
    with pytest.raises(ParamValidationError):
        aws.dynamodb.batch_write_item(RequestItems={aws.table: []})


def test_a_write_without_a_key_fails_its_batch(aws):
    """One invalid request is an error of the whole call, and nothing is written."""
    puts = [{"PutRequest": {"Item": item("a")}}, {"PutRequest": {"Item": item("")}}]
    refused("ValidationException", aws.dynamodb.batch_write_item, RequestItems={aws.table: puts})
    assert [] == sorts(query(aws))


def test_an_update_creates_a_missing_item(aws):
    update(aws, "a", "SET #n = :n", {"#n": "n"}, {":n": {"N": "1"}})
    assert [item("a", n={"N": "1"})] == query(aws)["Items"]


def test_a_failed_condition_changes_nothing(aws):
    """The answer holds the current item on request."""
    put(aws, item("a", n={"N": "5"}))
    error = refused(
        "ConditionalCheckFailedException",
        aws.dynamodb.update_item,
        TableName=aws.table,
        Key=item("a"),
        UpdateExpression="SET #n = :n",
        ConditionExpression="attribute_not_exists(#n) OR #n < :n",
        ExpressionAttributeNames={"#n": "n"},
        ExpressionAttributeValues={":n": {"N": "4"}},
        ReturnValuesOnConditionCheckFailure="ALL_OLD",
    )
    assert item("a", n={"N": "5"}) == error.response["Item"]
    assert [item("a", n={"N": "5"})] == query(aws)["Items"]


def test_numbers_compare_as_numbers(aws):
    """10 is more than 9, but not as text."""
    put(aws, item("a", n={"N": "9"}))
    update(aws, "a", "SET #n = :n", {"#n": "n"}, {":n": {"N": "10"}}, ConditionExpression="#n < :n")
    assert [item("a", n={"N": "10"})] == query(aws)["Items"]


def test_a_missing_attribute_equals_nothing(aws):
    """A comparison with it is false."""
    put(aws, item("a"))
    refused(
        "ConditionalCheckFailedException",
        aws.dynamodb.delete_item,
        TableName=aws.table,
        Key=item("a"),
        ConditionExpression="#h = :h",
        ExpressionAttributeNames={"#h": "holder"},
        ExpressionAttributeValues={":h": {"S": "me"}},
    )


def test_a_conditional_delete_deletes(aws):
    put(aws, item("a", holder={"S": "me"}))
    aws.dynamodb.delete_item(
        TableName=aws.table,
        Key=item("a"),
        ConditionExpression="#h = :h",
        ExpressionAttributeNames={"#h": "holder"},
        ExpressionAttributeValues={":h": {"S": "me"}},
    )
    assert [] == query(aws)["Items"]


def test_an_update_adds_and_removes(aws):
    put(aws, item("a", n={"N": "1"}, old={"S": "x"}))
    update(aws, "a", "SET #n = #n + :one REMOVE #o", {"#n": "n", "#o": "old"}, {":one": {"N": "1"}})
    update(aws, "a", "SET #m = if_not_exists(#m, :one)", {"#m": "m"}, {":one": {"N": "1"}})
    assert [item("a", n={"N": "2"}, m={"N": "1"})] == query(aws)["Items"]


def test_a_key_is_not_updated(aws):
    refused(
        "ValidationException",
        aws.dynamodb.update_item,
        TableName=aws.table,
        Key=item("a"),
        UpdateExpression="SET #s = :s",
        ExpressionAttributeNames={"#s": "sort"},
        ExpressionAttributeValues={":s": {"S": "b"}},
    )


def test_an_unused_placeholder_is_refused(aws):
    refused(
        "ValidationException",
        aws.dynamodb.update_item,
        TableName=aws.table,
        Key=item("a"),
        UpdateExpression="SET #n = :n",
        ExpressionAttributeNames={"#n": "n"},
        ExpressionAttributeValues={":n": {"N": "1"}, ":unused": {"N": "1"}},
    )


def test_a_missing_placeholder_is_refused(aws):
    refused(
        "ValidationException",
        aws.dynamodb.update_item,
        TableName=aws.table,
        Key=item("a"),
        UpdateExpression="SET #n = :n",
        ExpressionAttributeNames={"#n": "n"},
        ExpressionAttributeValues={":other": {"N": "1"}},
    )


def read(aws, *keys: dict[str, Any], **more: Any) -> dict[str, Any]:
    answer: dict[str, Any] = aws.dynamodb.batch_get_item(RequestItems={aws.table: {"Keys": list(keys), **more}})
    return answer


def test_a_put_returns_the_replaced_item(aws):
    """ALL_OLD is the complete old item, or nothing if there was none."""
    first = aws.dynamodb.put_item(TableName=aws.table, Item=item("a", n={"N": "1"}), ReturnValues="ALL_OLD")
    second = aws.dynamodb.put_item(TableName=aws.table, Item=item("a"), ReturnValues="ALL_OLD")
    assert "Attributes" not in first
    assert item("a", n={"N": "1"}) == second["Attributes"]


def test_a_put_replaces_the_whole_item(aws):
    """Unlike an update, it removes the attributes that the new item does not have."""
    put(aws, item("a", ttl={"N": "5"}), item("a", n={"N": "1"}))
    assert [item("a", n={"N": "1"})] == query(aws)["Items"]


def test_a_put_with_a_failed_condition_returns_the_current_item(aws):
    """It does so on request, whatever else it would return."""
    put(aws, item("a", n={"N": "5"}))
    error = refused(
        "ConditionalCheckFailedException",
        aws.dynamodb.put_item,
        TableName=aws.table,
        Item=item("a", n={"N": "4"}),
        ConditionExpression="(attribute_not_exists(#n) OR #n < :n) AND (attribute_not_exists(#i) OR #i <> :i)",
        ExpressionAttributeNames={"#n": "n", "#i": "id"},
        ExpressionAttributeValues={":n": {"N": "4"}, ":i": {"S": "x"}},
        ReturnValues="ALL_OLD",
        ReturnValuesOnConditionCheckFailure="ALL_OLD",
    )
    assert item("a", n={"N": "5"}) == error.response["Item"]


def test_a_failed_condition_without_an_item_returns_none(aws):
    """The error has no item either."""
    error = refused(
        "ConditionalCheckFailedException",
        aws.dynamodb.put_item,
        TableName=aws.table,
        Item=item("a"),
        ConditionExpression="attribute_exists(#n)",
        ExpressionAttributeNames={"#n": "n"},
        ReturnValuesOnConditionCheckFailure="ALL_OLD",
    )
    assert "Item" not in error.response


def test_a_missing_attribute_is_unequal_to_everything(aws):
    """`<>` with a missing attribute is true, unlike `=` and `<`."""
    put(aws, item("a"))
    changed = {"names": {"#n": "n", "#s": "state"}, "values": {":n": {"N": "1"}, ":s": {"S": "pending"}}}
    update(aws, "a", "SET #n = :n", **changed, ConditionExpression="#s <> :s")
    assert [item("a", n={"N": "1"})] == query(aws)["Items"]


def test_a_conditional_delete_of_another_item_changes_nothing(aws):
    """Its condition holds for an earlier item and not for the current one."""
    put(aws, item("a", asked={"N": "2"}))
    refused(
        "ConditionalCheckFailedException",
        aws.dynamodb.delete_item,
        TableName=aws.table,
        Key=item("a"),
        ConditionExpression="#a = :a",
        ExpressionAttributeNames={"#a": "asked"},
        ExpressionAttributeValues={":a": {"N": "1"}},
    )
    assert [item("a", asked={"N": "2"})] == query(aws)["Items"]


def test_an_update_sets_several_attributes_and_leaves_the_rest(aws):
    """It sets all at once, or none if its condition fails."""
    put(aws, item("a", id={"S": "x"}, data={"S": "d"}))
    names = {"#s": "state", "#e": "error", "#t": "ttl", "#i": "id"}
    values = {":s": {"S": "done"}, ":e": {"S": ""}, ":t": {"N": "9"}, ":i": {"S": "x"}}
    setting = "SET #s = :s, #e = :e, #t = :t"
    update(aws, "a", setting, names, values, ConditionExpression="#i = :i")
    done = item("a", id={"S": "x"}, data={"S": "d"}, state={"S": "done"}, error={"S": ""}, ttl={"N": "9"})
    assert [done] == query(aws)["Items"]
    parameters = {"Key": item("a"), "UpdateExpression": setting, "ConditionExpression": "#i = :i"}
    refused(
        "ConditionalCheckFailedException",
        aws.dynamodb.update_item,
        TableName=aws.table,
        ExpressionAttributeNames=names,
        ExpressionAttributeValues={**values, ":s": {"S": "other"}, ":i": {"S": "y"}},
        **parameters,
    )
    assert [done] == query(aws)["Items"]


def test_a_batch_read_returns_the_existing_items(aws):
    """The order is undefined, and missing items are omitted."""
    put(aws, item("a", n={"N": "1"}), item("b", n={"N": "2"}, m={"N": "3"}))
    answer = read(aws, item("a"), item("b"), item("never"), ConsistentRead=True)
    assert {"a", "b"} == {each["sort"]["S"] for each in answer["Responses"][aws.table]}
    assert {} == answer["UnprocessedKeys"]


def test_a_batch_read_returns_the_projection_of_each_item(aws):
    put(aws, item("a", n={"N": "1"}, m={"N": "3"}))
    wanted = {"ProjectionExpression": "#n, #never", "ExpressionAttributeNames": {"#n": "n", "#never": "never"}}
    assert [{"n": {"N": "1"}}] == read(aws, item("a"), **wanted)["Responses"][aws.table]


def test_a_batch_reads_at_most_a_hundred_keys(aws):
    keys = [item(f"{number:03d}") for number in range(101)]
    refused("ValidationException", aws.dynamodb.batch_get_item, RequestItems={aws.table: {"Keys": keys}})
    assert {} == read(aws, *keys[:100])["UnprocessedKeys"]


def test_a_batch_reads_a_key_once(aws):
    """The same key twice is refused, as in a batch of writes."""
    same_key = {aws.table: {"Keys": [item("a"), item("a")]}}
    refused("ValidationException", aws.dynamodb.batch_get_item, RequestItems=same_key)


@differs(local='it hands out all at once; API reference, BatchGetItem: "the response size limit is exceeded"')
def test_a_batch_reads_at_most_16_mb(aws):
    """UnprocessedKeys holds the rest, in the form of the next request."""
    for number in range(43):
        put(aws, item("a", partition=f"p{number}", data={"S": "x" * 400_000}))
    first = read(aws, *(item("a", partition=f"p{number}") for number in range(43)), ConsistentRead=True)
    left = first["UnprocessedKeys"]
    assert 0 < len(left[aws.table]["Keys"]) < 43
    second = aws.dynamodb.batch_get_item(RequestItems=left)
    found = [*first["Responses"][aws.table], *second["Responses"][aws.table]]
    assert 43 == len({each["partition"]["S"] for each in found}) == len(found)


def test_an_item_is_deleted_some_time_after_its_ttl():
    """Only the virtual AWS is tested.

    moto never deletes the item, the local AWS uses its own clock, and AWS takes up to a few days.
    """
    cloud = Cloud(1_893_456_000, random.Random(0))
    table, dynamodb = cloud.dynamodb.create_table("expiring", "partition", "sort", "ttl"), cloud.client("dynamodb")
    ttl = {"N": "1893456060"}
    for new in (item("a", ttl=ttl), item("b", ttl=ttl), item("b")):  # The last write replaces the item without a TTL.
        dynamodb.put_item(TableName=table.name, Item=new)
    cloud.timeline.sleep(61)
    assert {"a", "b"} == set(table.items["p"])
    cloud.timeline.sleep(3 * 24 * 3600)
    assert {"b"} == set(table.items["p"])


def test_a_query_with_filter_and_limit_has_several_pages(aws):
    """An empty page need not be the last. `LastEvaluatedKey` decides, not the number of items."""
    put(aws, *(item(sort, kind={"S": "x"}) for sort in "abc"), item("d", kind={"S": "y"}))
    asked: dict[str, Any] = {
        "TableName": aws.table,
        "KeyConditionExpression": "#p = :p",
        "FilterExpression": "#k = :k",
        "ExpressionAttributeNames": {"#p": "partition", "#k": "kind"},
        "ExpressionAttributeValues": {":p": {"S": "p"}, ":k": {"S": "y"}},
        "Limit": 3,
    }
    first = aws.dynamodb.query(**asked)
    assert [] == first["Items"]
    assert item("c") == first["LastEvaluatedKey"]
    assert ["d"] == sorts(aws.dynamodb.query(**asked, ExclusiveStartKey=first["LastEvaluatedKey"]))


def test_a_set_of_texts_grows_and_shrinks(aws):
    """A member is in it once, and its order means nothing. The attribute goes with the last member."""
    for member in ("b", "a", "b"):
        update(aws, "s", "ADD #m :m", {"#m": "members"}, {":m": {"SS": [member]}})
    assert {"a", "b"} == set(got(aws, "s")["members"]["SS"])

    update(aws, "s", "DELETE #m :m", {"#m": "members"}, {":m": {"SS": ["a", "c"]}})
    assert ["b"] == got(aws, "s")["members"]["SS"]

    update(aws, "s", "DELETE #m :m", {"#m": "members"}, {":m": {"SS": ["b"]}})
    assert item("s") == got(aws, "s")
    update(aws, "s", "DELETE #m :m", {"#m": "members"}, {":m": {"SS": ["b"]}})


def test_a_transaction_writes_all_or_nothing(aws):
    """One condition that does not hold keeps every item as it was, and the reasons come in the order of the items."""
    put(aws, item("old", n={"N": "1"}))
    absent = {"ConditionExpression": "attribute_not_exists(#s)", "ExpressionAttributeNames": {"#s": "sort"}}
    new = {"Put": {"TableName": aws.table, "Item": item("new"), **absent}}
    taken = {"Put": {"TableName": aws.table, "Item": item("old"), **absent}}
    counted = {
        "Update": {
            "TableName": aws.table,
            "Key": item("old"),
            "UpdateExpression": "SET #n = :n",
            "ExpressionAttributeNames": {"#n": "n"},
            "ExpressionAttributeValues": {":n": {"N": "2"}},
        }
    }
    failure = refused("TransactionCanceledException", aws.dynamodb.transact_write_items, TransactItems=[new, taken])
    assert ["None", "ConditionalCheckFailed"] == [each["Code"] for each in failure.response["CancellationReasons"]]
    assert ["old"] == sorts(query(aws))

    aws.dynamodb.transact_write_items(TransactItems=[new, counted])
    assert ["new", "old"] == sorts(query(aws))
    assert {"N": "2"} == got(aws, "old")["n"]


@differs(moto='it forgets the token; API reference, TransactWriteItems: "makes the call idempotent"')
def test_a_transaction_is_done_once_under_a_token(aws):
    """A repeat after a lost answer succeeds, although its condition no longer holds."""
    absent = {"ConditionExpression": "attribute_not_exists(#s)", "ExpressionAttributeNames": {"#s": "sort"}}
    new = {"Put": {"TableName": aws.table, "Item": item("new"), **absent}}
    for _ in range(2):
        aws.dynamodb.transact_write_items(TransactItems=[new], ClientRequestToken="t" * 36)
    assert ["new"] == sorts(query(aws))


def test_a_transaction_names_an_item_once(aws):
    new = {"Put": {"TableName": aws.table, "Item": item("new")}}
    refused("ValidationException", aws.dynamodb.transact_write_items, TransactItems=[new, new])


def got(aws, sort: str) -> dict[str, Any]:
    found: dict[str, Any] = aws.dynamodb.get_item(TableName=aws.table, Key=item(sort), ConsistentRead=True)["Item"]
    return found
