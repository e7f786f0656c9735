"""The stand-in's services: their answers, their counts, and when they throttle."""

import json

import pytest

from bench.laboratory.services import Services

DUE = "001893456000000"


class Clock:
    def __init__(self):
        self.now_s = 0.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


def ask(services, operation, **request):
    status, body = services.answer(operation, json.dumps(request).encode())
    return status, json.loads(body)


def item(tail, data="x", partition="0"):
    return {"partition": {"S": partition}, "sort": {"S": f"{DUE}#{tail}"}, "data": {"S": data}}


def put(services, *items):
    writes = [{"PutRequest": {"Item": each}} for each in items]
    return ask(services, "batch_write_item", RequestItems={"table": writes})


def delete(services, *items):
    writes = [{"DeleteRequest": {"Key": {name: each[name] for name in ("partition", "sort")}}} for each in items]
    return ask(services, "batch_write_item", RequestItems={"table": writes})


def query(services, partition="0", low="", high="~", names=None, values=None, **more):
    return ask(
        services,
        "query",
        TableName="table",
        KeyConditionExpression="#partition = :partition AND #sort BETWEEN :from AND :to",
        ExpressionAttributeNames={"#partition": "partition", "#sort": "sort", **(names or {})},
        ExpressionAttributeValues={
            ":partition": {"S": partition},
            ":from": {"S": low},
            ":to": {"S": high},
            **(values or {}),
        },
        ConsistentRead=True,
        **more,
    )


def message(index, body="x", **more):
    return {
        "Id": str(index),
        "MessageBody": body,
        "MessageAttributes": {"id": {"DataType": "String", "StringValue": f"0-{index}"}},
        **more,
    }


@pytest.mark.parametrize(("data_bytes", "units"), [(100, 1), (900, 1), (1_024, 2), (3_000, 3)])
def test_a_write_costs_a_unit_per_started_kilobyte_and_a_delete_the_same(data_bytes, units):
    """The size of the whole item counts, attribute names included."""
    services = Services()
    put(services, item("a", "x" * data_bytes))
    assert units == services.counted["write_units"]
    delete(services, item("a"))
    assert 2 * units == services.counted["write_units"]
    assert [] == query(services)[1]["Items"]


def test_an_overwrite_is_billed_by_the_larger_item():
    """A small item that replaces a large one is not cheaper."""
    services = Services()
    put(services, item("a", "x" * 3_000))
    put(services, item("a"))
    assert 6 == services.counted["write_units"]


def test_binary_counts_by_its_decoded_size():
    """Base64 is only the encoding on the wire."""
    services = Services()
    put(services, {**item("a"), "bundle": {"B": "A" * 1_200}})
    assert 1 == services.counted["write_units"]
    put(services, {**item("b"), "bundle": {"B": "A" * 1_400}})
    assert 3 == services.counted["write_units"]


def test_a_query_pages_by_its_limit_and_continues_after_its_last_key():
    """Pages are in the order of the sort keys, whatever the order of the writes."""
    services = Services()
    put(services, *[item(tail) for tail in "cadbe"])
    tails, start = [], {}
    for _ in range(4):
        answer = query(services, Limit=2, **start)[1]
        tails += [each["sort"]["S"][-1] for each in answer["Items"]]
        if "LastEvaluatedKey" not in answer:
            break
        start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}
    assert list("abcde") == tails
    assert 3 == services.counted["calls_query"]


def test_a_page_ends_at_a_mebibyte():
    """DynamoDB's item sizes count."""
    services = Services()
    for tail in range(5):
        put(services, item(tail, "x" * 300_000))
    answer = query(services)[1]
    assert 3 == answer["Count"]
    assert "LastEvaluatedKey" in answer
    assert 220 == services.counted["read_units"]


def test_a_query_includes_both_bounds_and_no_deleted_items():
    """A deleted item that is written again appears again."""
    services = Services()
    put(services, *[item(tail) for tail in "abcd"])
    delete(services, item("b"), item("c"))
    put(services, item("c", "again"))
    found = query(services, low=f"{DUE}#b", high=f"{DUE}#d")[1]["Items"]
    assert [("c", "again"), ("d", "x")] == [(each["sort"]["S"][-1], each["data"]["S"]) for each in found]


def test_filtered_items_are_billed_and_not_returned():
    """The page size and the limit count the items that DynamoDB reads."""
    services = Services()
    put(services, *[item(tail, "x" * 3_000) for tail in "abcd"], {**item("e"), "bundle": {"B": "AAAA"}})
    filtered = {"FilterExpression": "attribute_exists(#bundle)", "names": {"#bundle": "bundle"}}
    answer = query(services, **filtered)[1]
    assert (["e"], 1, 5) == (
        [each["sort"]["S"][-1] for each in answer["Items"]],
        answer["Count"],
        answer["ScannedCount"],
    )
    assert (3, 5) == (services.counted["read_units"], services.counted["items_read"])
    answer = query(services, **filtered, Limit=2)[1]
    assert ([], 2, "b") == (answer["Items"], answer["ScannedCount"], answer["LastEvaluatedKey"]["sort"]["S"][-1])


def test_a_projection_returns_the_named_attributes_and_is_billed_for_all():
    """The projection skips attributes that an item does not have."""
    services = Services()
    put(services, item("a", "x" * 9_000), {**item("b"), "name": {"S": "n"}})
    answer = query(services, ProjectionExpression="#sort, #name", names={"#name": "name"})[1]
    assert [{"sort": item("a")["sort"]}, {"sort": item("b")["sort"], "name": {"S": "n"}}] == answer["Items"]
    assert 3 == services.counted["read_units"]


def test_a_filter_compares_numbers_as_numbers():
    """A query can combine a filter with a projection."""
    services = Services()
    put(services, *[{**item(tail), "due": {"N": due}} for tail, due in (("a", "9"), ("b", "10"), ("c", "20"))])
    answer = query(
        services,
        FilterExpression="#due >= :low AND #due < :high",
        ProjectionExpression="#due",
        names={"#due": "due"},
        values={":low": {"N": "10"}, ":high": {"N": "20"}},
    )[1]
    assert [{"due": {"N": "10"}}] == answer["Items"]


def get_batch(services, *tails, **more):
    keys = [{name: item(tail)[name] for name in ("partition", "sort")} for tail in tails]
    return ask(services, "batch_get_item", RequestItems={"table": {"Keys": keys, "ConsistentRead": True, **more}})


def test_a_batch_of_reads_is_billed_item_by_item():
    """Each item costs its started four kilobytes, whatever the projection, and a missing item costs one unit."""
    services = Services()
    put(services, item("a"), item("b", "x" * 5_000))
    projected = {"ProjectionExpression": "#sort", "ExpressionAttributeNames": {"#sort": "sort"}}
    _, answer = get_batch(services, "a", "b", "none", **projected)
    assert [{"sort": item(tail)["sort"]} for tail in "ab"] == answer["Responses"]["table"]
    assert {} == answer["UnprocessedKeys"]
    assert 4 == services.counted["read_units"]


def test_a_batch_of_reads_ends_at_sixteen_mebibytes():
    """The rest comes back as UnprocessedKeys."""
    services = Services()
    tails = [f"{number:02d}" for number in range(43)]
    for tail in tails:
        put(services, item(tail, "x" * 400_000))
    _, answer = get_batch(services, *tails)
    assert 41 == len(answer["Responses"]["table"])
    left = answer["UnprocessedKeys"]["table"]
    assert (["41", "42"], True) == ([key["sort"]["S"][-2:] for key in left["Keys"]], left["ConsistentRead"])


@pytest.mark.parametrize("tails", [[], ["a", "a"], [str(number) for number in range(101)]])
def test_a_batch_of_reads_takes_one_to_a_hundred_different_keys(tails):
    """An empty batch is refused as well."""
    assert 400 == get_batch(Services(), *tails)[0]


def test_a_put_returns_the_old_item_on_request():
    """It returns nothing if there was no old item."""
    services = Services()
    assert {} == ask(services, "put_item", TableName="table", Item=item("a"), ReturnValues="ALL_OLD")[1]
    answer = ask(services, "put_item", TableName="table", Item=item("a", "y"), ReturnValues="ALL_OLD")[1]
    assert {"Attributes": item("a")} == answer


def test_a_throttled_partition_takes_a_thousand_units_a_second(clock):
    """The refused writes come back as UnprocessedItems. Another partition is not affected."""
    services = Services(throttled=True, clock=clock)
    put(services, item("first"))
    clock.now_s = 0.01
    _, answer = put(services, *[item(tail) for tail in range(25)])
    assert 15 == len(answer["UnprocessedItems"]["table"])
    assert 15 == services.counted["unprocessed"] - 1
    put(services, item("first", partition="1"))
    clock.now_s = 0.02
    status, answer = put(services, *[item(tail, partition="1") for tail in range(10)])
    assert (200, {}) == (status, answer["UnprocessedItems"])


def test_a_call_without_any_accepted_write_is_refused_as_a_whole(clock):
    """DynamoDB does the same and bills nothing."""
    services = Services(throttled=True, clock=clock)
    status, answer = put(services, item("a"), item("b"))
    assert (400, "#ProvisionedThroughputExceededException") == (status, answer["__type"])
    assert (0, 1) == (services.counted["write_units"], services.counted["throttled_calls"])


def test_a_partition_saves_up_one_second_at_most(clock):
    """A long time without writes does not change that."""
    services = Services(throttled=True, clock=clock)
    put(services, item("first"))
    clock.now_s = 60
    for batch in range(50):
        put(services, *[item(f"{batch}-{number}") for number in range(25)])
    assert 1_000 == services.counted["items_put"]


def test_an_update_is_refused_if_its_condition_fails():
    """The error carries the current item if the request asks for it."""
    services = Services()
    lease = {
        "TableName": "table",
        "Key": {"partition": {"S": "meta"}, "sort": {"S": "lease#0"}},
        "UpdateExpression": "SET #holder = :holder, #ends = :ends",
        "ConditionExpression": "attribute_not_exists(#ends) OR #ends <= :now OR (#holder = :old AND NOT #ends < :now)",
        "ExpressionAttributeNames": {"#holder": "holder", "#ends": "ends"},
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }

    def take(holder, now, inherited="-"):
        values = {":holder": {"S": holder}, ":ends": {"N": "100"}, ":now": {"N": now}, ":old": {"S": inherited}}
        return ask(services, "update_item", **lease, ExpressionAttributeValues=values)

    assert 200 == take("a", "9")[0]
    status, answer = take("b", "9")
    assert (400, "#ConditionalCheckFailedException", {"S": "a"}) == (
        status,
        answer["__type"],
        answer["Item"]["holder"],
    )
    assert 200 == take("b", "9", inherited="a")[0]
    assert 200 == take("c", "100")[0]


def test_messages_are_counted_by_schedule_and_billed_by_64_kibibytes():
    """A repeated id is a repeat."""
    services = Services()
    ask(services, "send_message_batch", QueueUrl="output", Entries=[message(index) for index in range(10)])
    ask(services, "send_message_batch", QueueUrl="output", Entries=[message(index) for index in range(5)])
    ask(services, "send_message", QueueUrl="output", **message(11, "x" * 70_000))
    figures = services.figures()
    assert (16, 11, 4, 3) == tuple(figures[name] for name in ("messages", "ids", "sqs_requests", "calls"))


def test_a_request_with_a_message_group_is_billed_as_fair_queue_request():
    """The charge comes on top of the charge for every request."""
    services = Services()
    ask(services, "send_message_batch", QueueUrl="delivery", Entries=[message(0), message(1, MessageGroupId="a host")])
    ask(services, "send_message_batch", QueueUrl="delivery", Entries=[message(2)])
    assert (2, 1) == (services.counted["sqs_requests"], services.counted["sqs_fair_requests"])


def test_a_message_without_attributes_waits_until_taken():
    """The delivery queue's messages have no attributes. They are counted like all others."""
    services = Services()
    ask(services, "send_message_batch", QueueUrl="delivery", Entries=[{"Id": "0", "MessageBody": "x"}])
    assert (["x"], 1) == (services.queue.bare, services.counted["messages"])
    assert 0 == services.figures()["ids"]


@pytest.mark.parametrize(
    "entries", [[message(index) for index in range(11)], [message(0, DelaySeconds=901)], [message(0, "x" * 2**20)]]
)
def test_sqs_limits_are_enforced(entries):
    """Eleven messages, a delay over 900 s, and more than a mebibyte are refused."""
    services = Services()
    assert 400 == ask(services, "send_message_batch", QueueUrl="output", Entries=entries)[0]
    assert 0 == services.counted["messages"]


def test_unknown_requests_are_refused():
    """The services do not guess."""
    services = Services()
    put(services, item("a"))
    assert 400 == query(services, FilterExpression="#data = :data")[0]
    assert 400 == query(services, FilterExpression="size(#sort) > :from")[0]
    assert 400 == query(services, ProjectionExpression="#data")[0]
    assert 400 == query(services, ScanIndexForward=False)[0]
    assert 400 == ask(services, "scan", TableName="table")[0]
