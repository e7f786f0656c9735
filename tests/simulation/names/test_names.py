"""Names on the virtual stack: create, replace, keep, fail, what a waking timer finds, and what is left over."""

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
    """Return all items of the partitions with this prefix."""
    table = stack.output("TableName")
    found = stack.client("dynamodb").query(
        TableName=table,
        KeyConditionExpression="#p = :p",
        ExpressionAttributeNames={"#p": "partition"},
        ExpressionAttributeValues={":p": {"S": partition}},
    )
    return found["Items"]


@pytest.mark.parametrize("delay", [5, 900, 901, 40 * DAY_S])
def test_a_named_schedule_is_delivered_when_due(stack, delay):
    """The deliver function sends it with its name, exact to the millisecond, near or far."""
    answer = stack.schedule(named("a", delay, user="me"))
    assert ("created", "queued" if delay <= 900 else "stored") == (answer["result"], answer["state"])
    stack.advance(seconds=delay - 1)
    assert [] == stack.released()
    stack.advance(seconds=2)
    (out,) = stack.released()
    assert (answer["id"], "bill", "a", "me", answer["timestamp"]) == (out.id, out.name, out.data, out.user, out.due)
    assert 0 <= out.at - out.due < 0.1


@pytest.mark.parametrize(("first", "second"), [(5, 10), (10, 5), (5, 2000), (2000, 5), (2000, 4000), (4000, 2000)])
def test_a_replaced_schedule_is_sent_once_with_the_last_data(stack, first, second):
    """The new time is earlier or later, near or far. Nothing is left of the old schedule."""
    start = stack.now
    stack.schedule(named("old", first))
    answer = stack.schedule(named("new", second))
    assert "replaced" == answer["result"]
    stack.advance(seconds=6000)
    assert [("new", start + second)] == [(data, round(at)) for data, at in released(stack)]
    assert all([] == items(stack, str(partition)) for partition in range(4))


def test_keep_leaves_a_pending_schedule_and_fail_raises(stack):
    """Both write if nothing is pending."""
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
    """It may be pending or finished, and is sent once."""
    request = {"timestamp": stack.now + 5, "data": "a", "name": "bill", "token": "t"}
    first, second = stack.schedule(request), stack.schedule(request)
    assert (first["id"], "kept") == (second["id"], second["result"])
    stack.advance(seconds=60)
    third = stack.schedule(request)
    assert (first["id"], "kept", "delivered") == (third["id"], third["result"], third["state"])
    stack.advance(seconds=60)
    assert ["a"] == [each.data for each in stack.released()]


def test_the_last_member_with_a_name_stays(stack):
    """Each member gets its own answer. Keep and fail yield to the first member."""
    answer = stack.schedule([named("a"), named("b"), named("c", if_exists="keep"), named("x", name="other")])
    assert ["created", "replaced", "kept", "created"] == [each["result"] for each in answer["results"]]
    assert answer["results"][1]["id"] == answer["results"][2]["id"]
    stack.advance(seconds=60)
    assert ["b", "x"] == sorted(each.data for each in stack.released())


def test_a_named_member_of_a_batch_is_in_no_bundle(stack):
    """Its changes would change its neighbours."""
    stack.schedule([named(f"{number}", 2000, name=f"n{number}") for number in range(20)])
    lying = [item for partition in range(4) for item in items(stack, str(partition))]
    assert 20 == len(lying)
    assert not [item for item in lying if "bundle" in item]
    assert {"partition", "sort", "name", "asked"} == set(lying[0])


def test_a_slow_clock_undoes_no_later_request(stack):
    """The later write to the table stays, whatever the clocks of two environments say."""
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


def test_a_record_keeps_its_outcome_for_a_week(stack):
    """Then it is deleted, unless it is written again in between."""
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


def test_a_record_without_its_timer_is_woken_by_the_timer_before(stack):
    """A crash between the two writes repairs itself: the schedule is sent once, slightly late."""
    start = stack.now
    stack.schedule(named("old", 5))
    record = find_record(stack)
    orphan = {**record, "data": {"S": "new"}, "id": {"S": "1-001893456010000-00000000000000aa"}}
    orphan["due"] = {"N": str(round((start + 10) * 1000))}
    stack.client("dynamodb").put_item(TableName=stack.output("TableName"), Item=orphan)
    stack.advance(seconds=120)
    assert [("new", start + 30)] == [(data, round(at)) for data, at in released(stack)]


def test_an_expired_named_schedule_is_reported_and_not_delivered(stack):
    """The failure queue and the record have the outcome."""
    stack.schedule(named("a", 2000, expires_after=1))
    stack.client("lambda")
    record = find_record(stack)
    record["due"] = {"N": str(int(record["due"]["N"]) - 5_000)}
    stack.client("dynamodb").put_item(TableName=stack.output("TableName"), Item=record)
    stack.advance(seconds=2100)
    assert [] == stack.released()
    assert [("expired", "bill")] == [(each["reason"], each["schedule"]["name"]) for each in stack.failures()]
    assert "expired" == find_record(stack)["state"]["S"]


def test_a_target_queue_gets_named_schedules_too(stack):
    """If the queue is deleted, the failure is stored, reported and recorded."""
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


def test_an_unreadable_delivery_job_is_reported_and_deleted(stack):
    """It would otherwise come again a thousand times."""
    for body in ("nonsense", "{}", '{"id":"1","due":1}', json.dumps({"id": "0-001893456000000-00000000000000aa"})):
        stack.client("sqs").send_message(QueueUrl=stack.output("DeliveryQueueUrl"), MessageBody=body)
    stack.advance(seconds=10)
    assert ["unreadable"] * 4 == [each["reason"] for each in stack.failures()]


def test_a_far_too_early_timer_is_set_again(stack):
    """Another clock set it, or SQS limited its delay. It is not dropped, and nothing is early."""
    start = stack.now
    answer = stack.schedule(named("a", 600))
    job = {"id": answer["id"], "due": round(answer["timestamp"] * 1000), "name": "bill"}
    stack.client("sqs").send_message(QueueUrl=stack.output("DeliveryQueueUrl"), MessageBody=json.dumps(job))
    stack.advance(seconds=590)
    assert [] == stack.released()
    stack.advance(seconds=60)
    assert start + 600 <= stack.released()[0].at


def test_a_name_can_be_cancelled_moved_and_fired(stack):
    """A cancelled schedule is not sent, a moved one is sent at its new time, and a fired one is sent now and once."""
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


def test_a_batch_that_restores_a_name_keeps_its_timer(stack):
    """The same batch with its token makes the same ids. Its last member restores what its first member replaces."""
    far = [named("a", if_exists="keep"), named("b"), named("c", if_exists="keep"), named("d")]
    members = [{**each, "timestamp": stack.now + 4000 + place} for place, each in enumerate(far)]
    batch = {"schedules": [{k: v for k, v in each.items() if k != "delay"} for each in members], "token": "t"}
    first, second = stack.schedule(batch), stack.schedule(batch)
    assert first["results"][-1]["id"] == second["results"][-1]["id"]
    stack.advance(hours=3)
    assert ["d"] == [each.data for each in stack.released()]


def test_a_member_that_keeps_a_later_one_is_not_refused_with_it(stack):
    """The first keeps what the third wrote in an earlier call. The second replaces it, and the third fails."""
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


def test_two_timers_postponed_to_one_time_deliver_once():
    """A near schedule that is replaced has two timers, and a host's cool-down postpones both."""
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


def test_a_retry_of_the_previous_version_is_identified_by_its_attempts():
    """It has no turns, and the turns that this version recorded count other events."""
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
