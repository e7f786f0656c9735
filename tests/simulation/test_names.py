"""Names on the virtual stack: create, replace, keep, fail; what a timer finds when it wakes; and what is left over."""

import json

import pytest

from punctual.testing import Refused, Stack

DAY_S = 86_400


@pytest.fixture
def stack():
    return Stack()


def named(data, delay=5, name="bill", **fields):
    return {"delay": delay, "data": data, "name": name, **fields}


def outcomes(stack, *kinds):
    return [line for line in stack.log() if line["outcome"] in kinds]


def released(stack):
    return [(each.data, each.at) for each in stack.released()]


def items(stack, partition=""):
    """Whatever lies in the table under partitions that begin so."""
    table = stack.output("TableName")
    found = stack.client("dynamodb").query(
        TableName=table,
        KeyConditionExpression="#p = :p",
        ExpressionAttributeNames={"#p": "partition"},
        ExpressionAttributeValues={":p": {"S": partition}},
    )
    return found["Items"]


@pytest.mark.parametrize("delay", [5, 900, 901, 40 * DAY_S])
def test_a_named_schedule_comes_out_at_its_moment(stack, delay):
    """Near or far, with its name on it, by the deliver function and to the millisecond."""
    answer = stack.schedule(named("a", delay, user="me"))
    assert ("created", "queued" if delay <= 900 else "stored") == (answer["result"], answer["state"])
    stack.advance(seconds=delay - 1)
    assert [] == stack.released()
    stack.advance(seconds=2)
    (out,) = stack.released()
    assert (answer["id"], "bill", "a", "me", answer["timestamp"]) == (out.id, out.name, out.data, out.user, out.due)
    assert 0 <= out.at - out.due < 0.1


@pytest.mark.parametrize(("first", "second"), [(5, 10), (10, 5), (5, 2000), (2000, 5), (2000, 4000), (4000, 2000)])
def test_what_is_replaced_comes_out_once_as_it_was_asked_for_last(stack, first, second):
    """Earlier or later, near or far; of what stood before nothing is left."""
    start = stack.now
    stack.schedule(named("old", first))
    answer = stack.schedule(named("new", second))
    assert "replaced" == answer["result"]
    stack.advance(seconds=6000)
    assert [("new", start + second)] == [(data, round(at)) for data, at in released(stack)]
    assert all([] == items(stack, str(partition)) for partition in range(4))


def test_keep_leaves_what_is_pending_and_fail_says_so(stack):
    """Both write where nothing is pending any more."""
    first = stack.schedule(named("first"))
    kept = stack.schedule(named("second", 7, if_exists="keep"))
    assert (first["id"], first["timestamp"], "kept") == (kept["id"], kept["timestamp"], kept["result"])
    with pytest.raises(Refused, match=r"InvalidSchedule: name is 'bill', under which .* is pending, and if_exists"):
        stack.schedule(named("third", 7, if_exists="fail"))
    stack.advance(seconds=60)
    assert ["first"] == [each.data for each in stack.released()]
    for choice in ("keep", "fail"):
        assert "created" == stack.schedule(named(choice, if_exists=choice))["result"]
        stack.advance(seconds=60)
    assert ["first", "keep", "fail"] == [each.data for each in stack.released()]


def test_the_same_request_with_its_token_is_the_same_schedule(stack):
    """While it is pending, and when it is done: it comes out once."""
    request = {"timestamp": stack.now + 5, "data": "a", "name": "bill", "token": "t"}
    first, second = stack.schedule(request), stack.schedule(request)
    assert (first["id"], "kept") == (second["id"], second["result"])
    stack.advance(seconds=60)
    third = stack.schedule(request)
    assert (first["id"], "kept", "delivered") == (third["id"], third["result"], third["state"])
    stack.advance(seconds=60)
    assert ["a"] == [each.data for each in stack.released()]


def test_of_a_name_twice_in_a_batch_the_last_stands(stack):
    """Each is answered as if it had come by itself; keep and fail give way to the first."""
    answer = stack.schedule([named("a"), named("b"), named("c", if_exists="keep"), named("x", name="other")])
    assert ["created", "replaced", "kept", "created"] == [each["result"] for each in answer["results"]]
    assert answer["results"][1]["id"] == answer["results"][2]["id"]
    stack.advance(seconds=60)
    assert ["b", "x"] == sorted(each.data for each in stack.released())


def test_a_named_member_of_a_batch_lies_in_no_bundle(stack):
    """A change of it would be one of its neighbours."""
    stack.schedule([named(f"{number}", 2000, name=f"n{number}") for number in range(20)])
    lying = [item for partition in range(4) for item in items(stack, str(partition))]
    assert 20 == len(lying)
    assert not [item for item in lying if "bundle" in item]
    assert {"partition", "sort", "name", "asked"} == set(lying[0])


def test_a_clock_that_is_behind_undoes_no_later_request(stack):
    """What comes later to the table stands, whatever the clocks of two environments say."""
    stack.schedule(named("a"))
    record = items(stack, "names#c")[0] if items(stack, "names#c") else find_record(stack)
    ahead = str(int(record["asked"]["N"]) + 500 * 1_000_000)
    record["asked"] = {"N": ahead}
    stack.client("dynamodb").put_item(TableName=stack.output("TableName"), Item=record)
    assert "replaced" == stack.schedule(named("b"))["result"]
    stack.advance(seconds=60)
    assert ["b"] == [each.data for each in stack.released()]


def find_record(stack):
    (record,) = [item for digit in "0123456789abcdef" for item in items(stack, f"names#{digit}")]
    return record


def test_a_record_tells_what_came_of_it_for_a_week(stack):
    """Then it is gone; one that is written afresh in between stays."""
    stack.schedule(named("a"))
    assert ("pending", False) == (find_record(stack)["state"]["S"], "ttl" in find_record(stack))
    stack.advance(seconds=60)
    assert ("delivered", "1") == (find_record(stack)["state"]["S"], find_record(stack)["attempts"]["N"])
    stack.advance(days=6)
    stack.schedule(named("b", 30 * DAY_S))
    stack.advance(days=8)
    assert "pending" == find_record(stack)["state"]["S"]
    stack.advance(days=23)
    assert ["a", "b"] == [each.data for each in stack.released()]
    stack.advance(days=8)
    assert [] == [item for digit in "0123456789abcdef" for item in items(stack, f"names#{digit}")]


def test_a_record_without_its_timer_is_woken_by_the_timer_of_what_stood_before(stack):
    """So a crash between the two heals itself; a little later than asked for, and once."""
    start = stack.now
    stack.schedule(named("old", 5))
    record = find_record(stack)
    orphan = {**record, "data": {"S": "new"}, "id": {"S": "1-001893456010000-00000000000000aa"}}
    orphan["due"] = {"N": str(round((start + 10) * 1000))}
    stack.client("dynamodb").put_item(TableName=stack.output("TableName"), Item=orphan)
    stack.advance(seconds=120)
    assert [("new", start + 30)] == [(data, round(at)) for data, at in released(stack)]


def test_what_is_named_and_expired_is_told_and_not_delivered(stack):
    """By failure queue and record."""
    stack.schedule(named("a", 2000, expires_after=1))
    stack.client("lambda")
    record = find_record(stack)
    record["due"] = {"N": str(int(record["due"]["N"]) - 5_000)}
    stack.client("dynamodb").put_item(TableName=stack.output("TableName"), Item=record)
    stack.advance(seconds=2100)
    assert [] == stack.released()
    assert [("expired", "bill")] == [(each["reason"], each["schedule"]["name"]) for each in stack.failures()]
    assert "expired" == find_record(stack)["state"]["S"]


def test_a_target_queue_gets_what_is_named_too(stack):
    """And where it is gone for good, the failure is kept, told and written down."""
    arn = stack.add_target("theirs")
    stack.schedule(named("a", target=arn))
    stack.advance(seconds=10)
    (out,) = stack.released()
    assert out.queue.endswith("/theirs")

    gone = next(queue for queue in stack._cloud.sqs.queues.values() if queue.arn == arn)
    del stack._cloud.sqs.queues[gone.url]
    stack.schedule(named("b", target=arn, name="lost"))
    stack.advance(seconds=10)
    (failure,) = stack.failures()
    assert ("failed", "NonExistentQueue", 1) == (failure["reason"], failure["error"], failure["attempts"])
    assert {"name": "lost", "data": "b", "target": arn}.items() <= failure["schedule"].items()
    assert 1 == sum(len(items(stack, f"failed#2030-01-01#{mark:x}")) for mark in range(16))


def test_an_errand_that_nobody_can_read_is_told_and_gone(stack):
    """Whoever sent it: it would come again a thousand times."""
    for body in ("nonsense", "{}", '{"id":"1","due":1}', json.dumps({"id": "0-001893456000000-00000000000000aa"})):
        stack.client("sqs").send_message(QueueUrl=stack.output("DeliveryQueueUrl"), MessageBody=body)
    stack.advance(seconds=10)
    assert ["unreadable"] * 4 == [each["reason"] for each in stack.failures()]


def test_what_comes_far_too_early_is_set_anew(stack):
    """A timer of somebody's clock, or one whose delay SQS bounds: it is not dropped, and nothing comes early."""
    start = stack.now
    answer = stack.schedule(named("a", 600))
    job = {"id": answer["id"], "due": round(answer["timestamp"] * 1000), "name": "bill"}
    stack.client("sqs").send_message(QueueUrl=stack.output("DeliveryQueueUrl"), MessageBody=json.dumps(job))
    stack.advance(seconds=590)
    assert [] == stack.released()
    stack.advance(seconds=60)
    assert start + 600 <= stack.released()[0].at


def test_what_is_cancelled_moved_and_fired_by_its_name_does_as_it_is_told(stack):
    """Cancelled it does not come out; moved at its new moment; fired now, and not a second time."""
    start = stack.now
    for name in ("cancelled", "moved", "fired"):
        stack.schedule(named(name, 2000, name))
    assert "cancelled" == stack.manage("cancel", name="cancelled")["state"]
    assert "replaced" == stack.manage("move", name="moved", delay=4000)["result"]
    stack.manage("fire", name="fired")
    stack.advance(hours=3)
    assert [("fired", start), ("moved", start + 4000)] == [(data, round(at)) for data, at in released(stack)]
    assert ["cancelled", "delivered", "delivered"] == [
        stack.manage("get", name=name)["state"] for name in ("cancelled", "moved", "fired")
    ]
    with pytest.raises(Refused) as refusal:
        stack.manage("get", name="never there")
    assert "InvalidRequest" == refusal.value.kind


def test_a_batch_that_puts_a_name_where_it_was_keeps_its_timer(stack):
    """Under its token the same batch makes the same ids: what its first member replaces, its last puts there again."""
    far = [named("a", if_exists="keep"), named("b"), named("c", if_exists="keep"), named("d")]
    members = [{**each, "timestamp": stack.now + 4000 + place} for place, each in enumerate(far)]
    batch = {"schedules": [{k: v for k, v in each.items() if k != "delay"} for each in members], "token": "t"}
    first, second = stack.schedule(batch), stack.schedule(batch)
    assert first["results"][-1]["id"] == second["results"][-1]["id"]
    stack.advance(hours=3)
    assert ["d"] == [each.data for each in stack.released()]


def test_a_member_that_keeps_what_a_later_one_left_is_not_refused_with_it(stack):
    """The first keeps what the third put there in an earlier call; the second replaces it, and the third fails."""
    bad, moment = {"data": ""}, stack.now + 4000
    a, b, c = (named(data, if_exists=choice) for data, choice in (("a", "keep"), ("b", "replace"), ("c", "fail")))
    members = [{"timestamp": moment, **{k: v for k, v in each.items() if k != "delay"}} for each in (a, b, c)]
    earlier = stack.schedule({"schedules": [bad, bad, members[2]], "token": "t"})["results"]
    results = stack.schedule({"schedules": members, "token": "t"})["results"]
    assert [("kept", earlier[2]["id"]), ("replaced", results[1]["id"])] == [
        (each["result"], each["id"]) for each in results[:2]
    ]
    assert "InvalidSchedule" == results[2]["error"]
    stack.advance(hours=3)
    assert ["b"] == [each.data for each in stack.released()]


def test_two_timers_put_off_to_one_moment_deliver_once():
    """One that is replaced while it is near has two, and a host that rests puts off whatever comes for it."""
    stack, hook = Stack(WebhookHosts="api.example.com"), {"url": "https://api.example.com/"}
    stack.answer("api.example.com", status=None)
    stack.schedule([{"delay": 10, "data": f"{number}", "target": hook, "expires_after": 20} for number in range(4)])
    stack.schedule(named("first", delay=28, target=hook))
    stack.schedule(named("second", delay=30, target=hook))
    stack.advance(seconds=52)
    stack.answer("api.example.com")
    stack.advance(minutes=5)
    assert ["second"] == [each.data for each in stack.delivered()]
    second = stack.manage("get", name="bill")["id"]
    found = [line["outcome"] for line in outcomes(stack, "put off", "dropped", "delivered") if line["id"] == second]
    assert ["put off", "dropped", "delivered"] == found


def test_a_retry_of_the_version_before_is_told_by_its_attempts():
    """It knows of no turns, and those that this version has noted count what it never did."""
    stack = Stack(WebhookHosts="api.example.com")
    stack.answer("api.example.com", status=503)
    stack.schedule(named("x", delay=1, target={"url": "https://api.example.com/"}))
    stack.advance(seconds=3)
    queue = stack._cloud.sqs.queues[stack.output("DeliveryQueueUrl")]
    (message,) = queue.messages.values()
    job = json.loads(message.body)
    assert (2, 2) == (job["attempt"], job.pop("turn"))
    message.body = json.dumps(job)
    (record,) = [item for digit in "0123456789abcdef" for item in items(stack, f"names#{digit}")]
    table = stack._cloud.dynamodb.tables[stack.output("TableName")]
    table.store((record["partition"]["S"], "bill"), {**record, "turns": {"N": "7"}}, stack._cloud.timeline.now_us)
    stack.answer("api.example.com")
    stack.advance(minutes=5)
    assert ["x"] == [each.data for each in stack.delivered()]
    assert "delivered" == stack.manage("get", name="bill")["state"]
