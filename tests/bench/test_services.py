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


def test_what_is_filtered_out_is_not_handed_out_and_is_billed():
    """A page and its limit count what is looked at."""
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


def test_a_projection_hands_out_the_named_attributes_and_is_billed_for_all():
    """Those that an item has."""
    services = Services()
    put(services, item("a", "x" * 9_000), {**item("b"), "name": {"S": "n"}})
    answer = query(services, ProjectionExpression="#sort, #name", names={"#name": "name"})[1]
    assert [{"sort": item("a")["sort"]}, {"sort": item("b")["sort"], "name": {"S": "n"}}] == answer["Items"]
    assert 3 == services.counted["read_units"]


def test_a_filter_compares_numbers_as_numbers():
    """And takes a projection beside it."""
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
    """Each by its started four kilobytes, however little of it is asked for, and one unit for what is not there."""
    services = Services()
    put(services, item("a"), item("b", "x" * 5_000))
    projected = {"ProjectionExpression": "#sort", "ExpressionAttributeNames": {"#sort": "sort"}}
    _, answer = get_batch(services, "a", "b", "none", **projected)
    assert [{"sort": item(tail)["sort"]} for tail in "ab"] == answer["Responses"]["table"]
    assert {} == answer["UnprocessedKeys"]
    assert 4 == services.counted["read_units"]


def test_a_batch_of_reads_ends_at_sixteen_mebibytes():
    """The rest comes back to be asked for again."""
    services = Services()
    tails = [f"{number:02d}" for number in range(43)]
    for tail in tails:
        put(services, item(tail, "x" * 400_000))
    _, answer = get_batch(services, *tails)
    assert 41 == len(answer["Responses"]["table"])
    left = answer["UnprocessedKeys"]["table"]
    assert (["41", "42"], True) == ([key["sort"]["S"][-2:] for key in left["Keys"]], left["ConsistentRead"])


@pytest.mark.parametrize("tails", [[], ["a", "a"], [str(number) for number in range(101)]])
def test_a_batch_of_reads_takes_a_hundred_different_keys(tails):
    """And no fewer than one."""
    assert 400 == get_batch(Services(), *tails)[0]


def test_a_put_hands_back_what_stood_there_where_that_is_asked_for():
    """Nothing, where nothing did."""
    services = Services()
    assert {} == ask(services, "put_item", TableName="table", Item=item("a"), ReturnValues="ALL_OLD")[1]
    answer = ask(services, "put_item", TableName="table", Item=item("a", "y"), ReturnValues="ALL_OLD")[1]
    assert {"Attributes": item("a")} == answer


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


def test_a_request_with_a_message_group_is_billed_as_a_fair_one():
    """Beside what every request costs."""
    services = Services()
    ask(services, "send_message_batch", QueueUrl="delivery", Entries=[message(0), message(1, MessageGroupId="a host")])
    ask(services, "send_message_batch", QueueUrl="delivery", Entries=[message(2)])
    assert (2, 1) == (services.counted["sqs_requests"], services.counted["sqs_fair_requests"])


def test_a_message_without_attributes_waits_to_be_taken():
    """As those of the delivery queue, which are counted like any other."""
    services = Services()
    ask(services, "send_message_batch", QueueUrl="delivery", Entries=[{"Id": "0", "MessageBody": "x"}])
    assert (["x"], 1) == (services.queue.bare, services.counted["messages"])
    assert 0 == services.figures()["ids"]


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
    assert 400 == query(services, FilterExpression="size(#sort) > :from")[0]
    assert 400 == query(services, ProjectionExpression="#data")[0]
    assert 400 == query(services, ScanIndexForward=False)[0]
    assert 400 == ask(services, "scan", TableName="table")[0]
