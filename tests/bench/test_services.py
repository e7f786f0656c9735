"""The stand-in's services: what they answer, what they count, and when they throttle."""

import json

import pytest

from bench.services import Services

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


def query(services, partition="0", low="", high="~", names=(), **more):
    return ask(
        services,
        "query",
        TableName="table",
        KeyConditionExpression="#partition = :partition AND #sort BETWEEN :from AND :to",
        ExpressionAttributeNames={"#partition": "partition", "#sort": "sort", **{f"#{name}": name for name in names}},
        ExpressionAttributeValues={":partition": {"S": partition}, ":from": {"S": low}, ":to": {"S": high}},
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
    """Of the whole item, names included."""
    services = Services()
    put(services, item("a", "x" * data_bytes))
    assert units == services.counted["write_units"]
    delete(services, item("a"))
    assert 2 * units == services.counted["write_units"]
    assert [] == query(services)[1]["Items"]


def test_an_overwritten_item_is_billed_by_the_larger_of_the_two():
    """Writing less over more is not cheaper."""
    services = Services()
    put(services, item("a", "x" * 3_000))
    put(services, item("a"))
    assert 6 == services.counted["write_units"]


def test_binary_counts_as_what_it_decodes_to():
    """Base64 is only how it travels."""
    services = Services()
    put(services, {**item("a"), "bundle": {"B": "A" * 1_200}})
    assert 1 == services.counted["write_units"]
    put(services, {**item("b"), "bundle": {"B": "A" * 1_400}})
    assert 3 == services.counted["write_units"]


def test_a_query_pages_by_its_limit_and_goes_on_behind_its_last_key():
    """In the order of the sort keys, however they came."""
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


def test_what_a_filter_leaves_out_and_a_projection_does_not_show_is_read_all_the_same():
    """As DynamoDB bills it."""
    services = Services()
    put(services, *[item(tail) for tail in "abc"])
    whole = query(services)[1]
    read_units = services.counted["read_units"]
    none = query(services, names=["bundle"], FilterExpression="attribute_exists(#bundle)")[1]
    assert ([], 0, 3) == (none["Items"], none["Count"], none["ScannedCount"])
    shown = query(services, names=["bundle"], ProjectionExpression="#sort, #bundle")[1]
    assert [{"sort": each["sort"]} for each in whole["Items"]] == shown["Items"]
    assert 3 * read_units == services.counted["read_units"]


def test_a_page_ends_at_a_mebibyte():
    """Of items as DynamoDB counts them."""
    services = Services()
    for tail in range(5):
        put(services, item(tail, "x" * 300_000))
    answer = query(services)[1]
    assert 3 == answer["Count"]
    assert "LastEvaluatedKey" in answer
    assert 220 == services.counted["read_units"]


def test_a_query_has_both_its_bounds_in_it_and_none_of_what_was_deleted():
    """An item that is put again is there again."""
    services = Services()
    put(services, *[item(tail) for tail in "abcd"])
    delete(services, item("b"), item("c"))
    put(services, item("c", "again"))
    found = query(services, low=f"{DUE}#b", high=f"{DUE}#d")[1]["Items"]
    assert [("c", "again"), ("d", "x")] == [(each["sort"]["S"][-1], each["data"]["S"]) for each in found]


def test_a_throttled_partition_takes_a_thousand_units_a_second(clock):
    """What does not get through comes back as UnprocessedItems; another partition is as good as before."""
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


def test_a_call_of_which_nothing_gets_through_is_refused_whole(clock):
    """As DynamoDB does it, and nothing is billed."""
    services = Services(throttled=True, clock=clock)
    status, answer = put(services, item("a"), item("b"))
    assert (400, "#ProvisionedThroughputExceededException") == (status, answer["__type"])
    assert (0, 1) == (services.counted["write_units"], services.counted["throttled_calls"])


def test_no_more_than_a_second_is_saved_up(clock):
    """However long nothing was written."""
    services = Services(throttled=True, clock=clock)
    put(services, item("first"))
    clock.now_s = 60
    for batch in range(50):
        put(services, *[item(f"{batch}-{number}") for number in range(25)])
    assert 1_000 == services.counted["items_put"]


def test_an_update_on_condition_is_refused_where_the_condition_does_not_hold():
    """With the item that stands, where that is asked for."""
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
    """The same id twice is a repeat."""
    services = Services()
    ask(services, "send_message_batch", QueueUrl="output", Entries=[message(index) for index in range(10)])
    ask(services, "send_message_batch", QueueUrl="output", Entries=[message(index) for index in range(5)])
    ask(services, "send_message", QueueUrl="output", **message(11, "x" * 70_000))
    figures = services.figures()
    assert (16, 11, 4, 3) == tuple(figures[name] for name in ("messages", "ids", "sqs_requests", "calls"))


@pytest.mark.parametrize(
    "entries", [[message(index) for index in range(11)], [message(0, DelaySeconds=901)], [message(0, "x" * 2**20)]]
)
def test_what_sqs_refuses_is_refused(entries):
    """Eleven at once, a delay beyond 900 s, more than a mebibyte."""
    services = Services()
    assert 400 == ask(services, "send_message_batch", QueueUrl="output", Entries=entries)[0]
    assert 0 == services.counted["messages"]


def test_what_is_not_known_is_refused():
    """Rather than guessed."""
    services = Services()
    put(services, item("a"))
    assert 400 == query(services, FilterExpression="#data = :data")[0]
    assert 400 == ask(services, "scan", TableName="table")[0]
