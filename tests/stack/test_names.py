"""Names through the deployed template, on a local AWS that enforces the roles: replace, cancel, move, fire, get."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from punctual.local.deployment import FunctionFailed

pytestmark = pytest.mark.slow

COUNT = 100


def names(count=COUNT):
    return [f"name/{number}" for number in range(count)]


def manage(stack, operation, **fields):
    return stack.invoke("ManageFunction", {"operation": operation, **fields})


def test_a_named_schedule_is_delivered_on_time_and_recorded(stack, output_queue):
    """Its message has its name and id, and its record says delivered."""
    due_s = round(time.time() + 4, 3)
    answer = stack.invoke("ScheduleFunction", {"timestamp": due_s, "data": "a", "name": "bill", "user": "me"})
    assert ("queued", "created") == (answer["state"], answer["result"])
    (message,) = output_queue.receive()
    assert {"id": answer["id"], "due": f"{due_s:.3f}", "name": "bill", "user": "me"} == message.attributes
    assert message.lateness_s >= 0
    found = wait_for(stack, "bill", "delivered")
    assert (answer["id"], due_s, "a", 1) == (found["id"], found["timestamp"], found["data"], found["attempts"])


def wait_for(stack, name, state, within_s=10):
    """Wait for this state and return the record of the name."""
    deadline_s = time.time() + within_s
    while (found := manage(stack, "get", name=name))["state"] != state and time.time() < deadline_s:
        time.sleep(0.2)
    assert state == found["state"]
    return found


def test_a_schedule_cancelled_two_seconds_before_it_is_due_is_not_delivered(stack, output_queue):
    """A hundred schedules are cancelled while the messages that wake them are in the queue."""
    due_s = {name: time.time() + 10 + number * 0.4 for number, name in enumerate([*names(), "control"])}
    batch = [{"timestamp": moment_s, "data": name, "name": name} for name, moment_s in due_s.items()]
    stack.invoke("ScheduleFunction", batch)
    for name in names():
        time.sleep(max(0.0, due_s[name] - 2 - time.time()))
        assert "cancelled" == manage(stack, "cancel", name=name)["state"]
    assert ["control"] == [message.body for message in output_queue.receive(2, within_s=10)]


def test_a_replaced_schedule_is_delivered_once_with_the_last_data(stack, output_queue):
    """A hundred schedules change from +5 s to +10 s. Each is delivered at +10 s with the new data."""
    now_s = time.time()
    stack.invoke(
        "ScheduleFunction", [{"timestamp": now_s + 5, "data": f"old {each}", "name": each} for each in names()]
    )
    new = [{"timestamp": now_s + 10, "data": f"new {each}", "name": each} for each in names()]
    answer = stack.invoke("ScheduleFunction", new)
    assert {"replaced"} == {result["result"] for result in answer["results"]}
    messages = output_queue.receive(COUNT + 1, within_s=20)
    assert sorted(f"new {name}" for name in names()) == sorted(message.body for message in messages)
    assert all(message.lateness_s >= 0 for message in messages)


def test_one_of_twenty_concurrent_replacements_is_delivered(stack, output_queue):
    """It is the one that get shows. All twenty come before the moment, however long twenty cold starts take."""

    def replace(number, due_s):
        return stack.invoke("ScheduleFunction", {"timestamp": due_s, "data": f"{number}", "name": "contested"})

    with ThreadPoolExecutor(20) as callers:
        far_s = time.time() + 86_400
        list(callers.map(lambda number: replace(number, far_s), range(20)))
        due_s = time.time() + 15
        answers = list(callers.map(lambda number: replace(number, due_s), range(20)))
    assert 20 == len({answer["id"] for answer in answers})
    shown = manage(stack, "get", name="contested")
    (message,) = output_queue.receive(2, within_s=max(due_s - time.time(), 0) + 8)
    assert (shown["id"], shown["data"]) == (message.id, message.body)


def test_far_schedules_are_listed_counted_moved_fired_and_cancelled(stack, output_queue):
    """With or without a name, single or in a bundle. None is sent twice."""
    base_s = (int(time.time()) // 3600 + 24) * 3600
    batch = [{"timestamp": base_s + number, "data": f"{number}"} for number in range(20)]
    ids = [result["id"] for result in stack.invoke("ScheduleFunction", batch)["results"]]
    stack.invoke("ScheduleFunction", {"timestamp": base_s + 30, "data": "named", "name": "far/one"})
    listed = manage(stack, "list", **{"from": base_s, "to": base_s + 3600})["schedules"]
    assert [*map(str, range(20)), "named"] == [each["data"] for each in listed]
    counted = manage(stack, "forecast", **{"from": base_s, "to": base_s + 3600}, bucket=3600)
    assert (21, [21]) == (counted["total"], [bucket["count"] for bucket in counted["buckets"]])

    moved = manage(stack, "move", id=ids[3], timestamp=base_s + 7200)
    assert ("stored", base_s + 7200) == (moved["state"], moved["timestamp"])
    assert ("cancelled", ids[4]) == (manage(stack, "cancel", id=ids[4])["state"], ids[4])
    manage(stack, "fire", id=ids[5])
    manage(stack, "fire", name="far/one")
    assert {"5", "named"} == {message.body for message in output_queue.receive(2)}
    left = manage(stack, "list", **{"from": base_s, "to": base_s + 8000})["schedules"]
    assert [number for number in map(str, range(20)) if number not in "345"] + ["3"] == [each["data"] for each in left]
    swept = manage(stack, "cancel_where", prefix="far/", dry_run=False)
    assert (0, 0) == (swept["matched"], swept["cancelled"])


@pytest.mark.parametrize(
    ("request_", "kind"),
    [
        ({"operation": "gte"}, "InvalidRequest"),
        ({"operation": "get", "id": "7"}, "InvalidRequest"),
        ({"operation": "get", "name": "never there"}, "InvalidRequest"),
        ({"operation": "get", "name": "never-there"}, "NotFound"),
        ({"operation": "cancel", "id": "0-009999999999999-0123456789abcdef"}, "NotFound"),
        ({"operation": "cancel", "id": "0-001000000000000-0123456789abcdef"}, "OnItsWay"),
    ],
)
def test_an_impossible_change_is_refused_by_name(stack, request_, kind):
    """The error has the type that the documentation names, on the local AWS too."""
    with pytest.raises(FunctionFailed) as failure:
        stack.invoke("ManageFunction", request_)
    assert kind == failure.value.error_type
    assert failure.value.error_message
