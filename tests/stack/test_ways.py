"""Near and far schedules through the deployed template, on a local AWS that enforces the roles."""

import json
import time
from pathlib import Path

import pytest

from punctual.local.deployment import FunctionFailed
from scheduler.model.schedule import sort_from
from waiting import wait_until

EVENTS = Path(__file__).parents[2] / "events"


def test_a_near_schedule_is_in_the_output_queue_when_due(stack, output_queue):
    """Body, id and due time equal the answer. It comes at most about a second late and never early."""
    due_s = round(time.time() + 2, 3)
    answer = stack.invoke("ScheduleFunction", {"timestamp": due_s, "data": "Zeile\nnächste 🎉", "user": "me"})
    assert ("queued", due_s) == (answer["state"], answer["timestamp"])
    (message,) = output_queue.receive()
    assert "Zeile\nnächste 🎉" == message.body
    assert {"id": answer["id"], "due": f"{due_s:.3f}", "user": "me"} == message.attributes
    assert message.lateness_s >= 0


def test_a_far_schedule_waits_in_the_table(stack, table, output_queue):
    """The trigger feeds every partition, but does not move it before it is within reach."""
    answer = stack.invoke("ScheduleFunction", {"delay": 1000, "data": "far"})
    assert "stored" == answer["state"]
    assert {"feeds": 4} == stack.invoke("TriggerFunction", json.loads((EVENTS / "trigger-by-hand.json").read_text()))
    time.sleep(1)
    assert (["far"], 0) == ([item["data"]["S"] for item in table.items()], output_queue.count())


def test_the_trigger_feeds_every_partition(stack, table, output_queue):
    """Overdue schedules are sent at once, and upcoming ones when due. Then the table is empty."""
    now_s = time.time()
    ids = {table.put_due(number, now_s - 5 + number, str(number % 4)) for number in range(8)}
    stack.invoke("TriggerFunction", {})
    messages = output_queue.receive(8)
    assert ids == {message.id for message in messages}
    assert all(message.lateness_s >= 0 for message in messages)
    assert [] == table.items()


def test_schedules_for_1970_and_9999_are_accepted(stack, table, output_queue):
    """The first is sent at once, by the schedule function or by the feed. The other waits."""
    stack.invoke("ScheduleFunction", {"timestamp": 0, "data": "from the door"})
    stack.invoke("ScheduleFunction", {"timestamp": "9999-12-31T23:59:59.999Z", "data": "the last"})
    table.put_due(1, 0.0)
    stack.invoke("TriggerFunction", {})
    assert {"from the door", "data 1"} == {message.body for message in output_queue.receive(2)}
    assert ["the last"] == [item["data"]["S"] for item in table.items()]


def test_a_listed_target_gets_near_and_far_schedules(stack, table, target_queue, output_queue):
    """The output queue does not get them."""
    stack.invoke("ScheduleFunction", {"delay": 0, "data": "near", "target": target_queue.arn})
    table.put_due(1, time.time(), target={"S": target_queue.arn})
    stack.invoke("TriggerFunction", {})
    assert {"near", "data 1"} == {message.body for message in target_queue.receive(2)}
    assert 0 == output_queue.count()


def test_an_expired_schedule_is_reported_and_not_sent(stack, table, output_queue, failure_queue):
    """The failure queue has it as it was sent, with the reason, and the table keeps it among the failures."""
    id = table.put_due(1, time.time() - 60, expires_after={"N": "30000"})
    stack.invoke("FeedFunction", {"partition": "0"})
    (message,) = failure_queue.receive()
    report = json.loads(message.body)
    assert ("expired", id, "data 1") == (report["reason"], report["schedule"]["id"], report["schedule"]["data"])
    (kept,) = table.items()
    assert kept["partition"]["S"].startswith("failed#")
    assert 0 == output_queue.count()


def test_three_far_repeats_with_one_token_are_one_schedule(stack, table):
    """The same request with the same token has the same id and is stored once."""
    request = {"timestamp": int(time.time()) + 5000, "data": "x", "token": "t"}
    assert 1 == len({stack.invoke("ScheduleFunction", request)["id"] for _ in range(3)})
    assert 1 == len(table.items())


def test_three_near_repeats_with_one_token_have_one_id(stack, output_queue):
    """A standard queue does not deduplicate. They may come three times, and a consumer can compare ids."""
    request = {"timestamp": int(time.time()) + 1, "data": "x", "token": "t"}
    ids = {stack.invoke("ScheduleFunction", request)["id"] for _ in range(3)}
    assert ids == {message.id for message in output_queue.receive(3)}


def test_repeats_in_a_batch_and_a_repeated_batch_are_stored_once(stack, table):
    """The token is that of the member or of the batch."""
    far = {"timestamp": int(time.time()) + 5000, "data": "x"}
    answer = stack.invoke("ScheduleFunction", [{**far, "token": "t"}] * 5)
    assert (5, 1) == (answer["accepted"], len(table.items()))
    batch = {"schedules": [far] * 5, "token": "t"}
    assert stack.invoke("ScheduleFunction", batch) == stack.invoke("ScheduleFunction", batch)
    assert 1 + 1 == len(table.items())


def test_256_kib_are_sent_unchanged_near_and_far(stack, output_queue):
    """Ten in one batch, with Unicode and newlines."""
    batch = [{"delay": 0, "data": f"{number}\n🎉" + "ü" * 131_069} for number in range(10)]
    assert 10 == stack.invoke("ScheduleFunction", batch)["accepted"]
    assert {member["data"] for member in batch} == {message.body for message in output_queue.receive(10)}


def test_ten_of_256_kib_in_one_page_are_fed_completely(stack, table, output_queue):
    """The feed counts bytes, because three of them fit a call."""
    expected = set()
    for number in range(10):
        data = f"{number}\n" + "x" * 262_142
        table.put_due(number, time.time(), data={"S": data})
        expected.add(data)
    stack.invoke("FeedFunction", {"partition": "0"})
    assert expected == {message.body for message in output_queue.receive(10)}
    assert [] == table.items()


@pytest.mark.parametrize("event", ["feed.json", "feed-by-hand.json", "feed-continued.json"])
def test_the_sample_orders_are_fed(stack, event):
    """The trigger, an operator and the feed itself send these shapes."""
    assert 0 == stack.invoke("FeedFunction", json.loads((EVENTS / event).read_text()))["left"]


def test_the_sample_event_of_the_rule_is_accepted(stack):
    """EventBridge sends its time. `until` is one interval later."""
    assert {"feeds": 4} == stack.invoke("TriggerFunction", json.loads((EVENTS / "trigger.json").read_text()))


@pytest.mark.slow
def test_partitions_beyond_a_lowered_count_are_fed_on_a_running_stack(make_stack, queue_of, table_of):
    """The count goes from 8 to 2 and back with schedules in all partitions. No schedule is orphaned."""
    stack = make_stack(PartitionCount=8)
    output, table = queue_of(stack, "OutputQueueUrl"), table_of(stack)
    expected, due_s = set(), time.time() + 5000
    for count in (8, 2, 8):
        stack = stack.update({"PartitionCount": count})
        far = [{"timestamp": int(due_s), "data": "far", "token": f"{count} {number}"} for number in range(100)]
        stored = stack.invoke("ScheduleFunction", far)  # One call each, because each has its own token.
        partitions = {result["id"].split("-")[0] for result in stored["results"]}
        assert {str(partition) for partition in range(count)} == partitions
        expected |= {table.put_due(count * 100 + number, time.time(), str(number)) for number in range(8)}
        assert {"feeds": 8} == stack.invoke("TriggerFunction", {})
    assert expected == {message.id for message in output.receive(len(expected))}
    assert 200 == len(table.items())  # The same tokens over eight partitions are the same schedules.


@pytest.mark.slow
def test_a_feed_continues_itself_for_more_than_16_invocations(make_stack, queue_of, table_of):
    """Lambda stops other loops after about 16 invocations. This loop is allowed to run as long as needed.

    A timeout no longer than the reserve leaves each feed time for one batch of ten.
    """
    stack = make_stack()
    output, table = queue_of(stack, "OutputQueueUrl"), table_of(stack)
    functions = stack.emulator.client("lambda")
    functions.update_function_configuration(FunctionName=stack.outputs["FeedFunction"], Timeout=6)
    due_s = time.time()
    for start in range(0, 300, 25):
        requests = [
            {"PutRequest": {"Item": {
                "partition": {"S": "0"},
                "sort": {"S": f"{sort_from(round(due_s * 1000))}#{number:016x}"},
                "data": {"S": str(number)},
            }}}
            for number in range(start, start + 25)
        ]  # fmt: skip
        table.client.batch_write_item(RequestItems={table.name: requests})
    stack.invoke("FeedFunction", {"partition": "0", "until": due_s + 600})
    assert sorted(map(str, range(300))) == sorted(message.body for message in output.receive(300, within_s=60))
    # The last run deletes and logs after it has sent.
    assert wait_until(lambda: [] == table.items(), 10)
    assert wait_until(lambda: 30 == stack.emulator.log_path.read_text().count('"outcome": "fed", "partition": "0"'), 10)


@pytest.mark.slow
def test_the_consumer_logs_each_schedule_with_its_lateness(make_stack):
    """It logs one JSON line each, with id, due time and lateness in milliseconds. Then the queue is empty."""
    stack = make_stack(ConsumerEnabled="true")
    answer = stack.invoke("ScheduleFunction", [{"delay": 1, "data": f"secret {number}"} for number in range(20)])
    ids = {result["id"] for result in answer["results"]}

    def lines():
        text = stack.emulator.log_path.read_text()
        return [json.loads(line) for line in text.splitlines() if line.startswith('{"outcome": "consumed"')]

    assert wait_until(lambda: 20 <= len(lines()), 20)
    assert ids == {line["id"] for line in lines()}
    assert all(line["lateness_ms"] >= 0 for line in lines())
    assert "secret" not in stack.emulator.log_path.read_text()


@pytest.mark.slow
def test_the_user_is_required_if_the_owner_says_so(make_stack):
    """RequireUser, on a running stack."""
    stack = make_stack(RequireUser="true")
    with pytest.raises(FunctionFailed, match="user is missing, and this stack requires it"):
        stack.invoke("ScheduleFunction", {"delay": 1, "data": "x"})
    assert "queued" == stack.invoke("ScheduleFunction", {"delay": 1, "data": "x", "user": "me"})["state"]


@pytest.mark.slow
def test_a_far_batch_is_bundled_fed_and_sent_under_the_ids_of_its_answer(make_stack, queue_of, table_of):
    """With a reach of five seconds, it takes twelve. A batch sent twice with its token is delivered once."""
    stack = make_stack(ReachSeconds=5)
    output, table = queue_of(stack, "OutputQueueUrl"), table_of(stack)
    due_s = int(time.time()) + 12
    batch = {"schedules": [{"timestamp": due_s, "data": f"{n} 🎉"} for n in range(300)], "token": "t"}
    answer = stack.invoke("ScheduleFunction", batch)
    assert answer == stack.invoke("ScheduleFunction", batch)
    assert {"stored"} == {result["state"] for result in answer["results"]}
    assert len(table.items()) < 10
    time.sleep(max(0.0, due_s - 4 - time.time()))
    stack.invoke("TriggerFunction", {})
    messages = output.receive(300, within_s=30)
    assert {(r["id"], f"{n} 🎉") for n, r in enumerate(answer["results"])} == {(m.id, m.body) for m in messages}
    assert all(message.lateness_s >= 0 for message in messages)
    assert (300, []) == (len(messages), table.items())
