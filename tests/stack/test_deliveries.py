"""Deliveries through the deployed template, on a local AWS that enforces the roles: what receivers read."""

import json
import threading
import time
from pathlib import Path

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

import receivers as beside
from punctual.local.deployment import FunctionFailed
from receiver import answer
from scheduler.model import delivery_job
from scheduler.model.delivery_job import DeliveryJob
from scheduler.model.schedule import Key, Schedule, sort_from

EVENTS = Path(__file__).parents[2] / "events"
UNICODE = "Zeile\r\nnächste\t🎉 \"'\\ &<>"
OBJECT = '{"order": 42, "note": "Grüße 🎉"}'
WITHIN_S = 15
READ_S_MAX = 10
IN_BATCHES = 50
"""What Lambda brings at once at first."""
KINDS = ["queue", "topic", "bus", "function", "machine", "webhook"]


@pytest.fixture
def stack(delivering_stack):
    """Its TargetArns and WebhookHosts list the receivers."""
    return delivering_stack


def asked(stack, **fields):
    return stack.invoke("ScheduleFunction", {"delay": 0, **fields})


def wait_until(fact, within_s=WITHIN_S):
    """What it answers, once that is something."""
    deadline_s = time.time() + within_s
    while not (found := fact()) and time.time() < deadline_s:
        time.sleep(0.1)
    return found


def requests(server, count=1, within_s=WITHIN_S):
    wait_until(lambda: len(server.requests) >= count, within_s)
    return list(server.requests)


def record(table, name, state):
    """The record of a name, once it is in this state."""

    def found():
        items = [item for item in table.items() if item["sort"]["S"] == name]
        return [item for item in items if item["state"]["S"] == state]

    (item,) = wait_until(found)
    return {field: next(iter(value.values())) for field, value in item.items()}


def target_of(receivers, kind):
    """The target of this kind as a caller writes it, and what reads there: the bodies that came to it."""
    if kind == "webhook":
        return {"url": receivers.url("/hook")}, lambda: [each.body.decode() for each in requests(receivers.server)]
    if kind == "machine":
        arn, emulator = receivers.machine_arn, receivers.emulator
        known = beside.executions(emulator, arn, 0)

        def inputs():
            found = beside.executions(emulator, arn, len(known) + 1)
            return [text for name, text in found.items() if name not in known]

        return arn, inputs
    if kind == "queue":
        return receivers.queue.arn, lambda: [message.body for message in receivers.queue.receive()]
    arn, queue = {
        "topic": (receivers.topic_arn, receivers.of_topic),
        "bus": (receivers.bus_arn, receivers.of_bus),
        "function": (receivers.function_arn, receivers.of_function),
    }[kind]
    if kind == "bus":
        return arn, lambda: [json.dumps(json.loads(message.body)["detail"]) for message in queue.receive()]
    return arn, lambda: [message.body for message in queue.receive()]


# What comes out, by kind


def test_a_queue_gets_the_envelope_where_it_is_asked_for(stack, receivers):
    """In the body; the attributes are what they always are, and it is no sooner there."""
    due_s = round(time.time() + 2, 3)
    target = {"arn": receivers.queue.arn, "envelope": True}
    answered = stack.invoke("ScheduleFunction", {"timestamp": due_s, "data": OBJECT, "target": target, "user": "Ünal"})
    (message,) = receivers.queue.receive()
    assert {"id": answered["id"], "due": due_s, "user": "Ünal", "data": json.loads(OBJECT)} == json.loads(message.body)
    assert {"id": answered["id"], "due": f"{due_s:.3f}", "user": "Ünal"} == message.attributes
    assert message.lateness_s >= 0


@pytest.mark.parametrize("data", [UNICODE, OBJECT, "{}", "ü" * 130_000], ids=["text", "object", "empty", "large"])
def test_a_topic_gets_the_data_and_the_attributes(stack, receivers, data):
    """Its subscriber reads both exactly, and not before the moment."""
    due_s = round(time.time() + 2, 3)
    answered = stack.invoke(
        "ScheduleFunction", {"timestamp": due_s, "data": data, "target": receivers.topic_arn, "user": "me"}
    )
    (message,) = receivers.of_topic.receive()
    assert data == message.body
    assert {"id": answered["id"], "due": f"{due_s:.3f}", "user": "me"} == message.attributes
    assert message.lateness_s >= 0


@pytest.mark.parametrize(
    ("data", "event"), [(OBJECT, json.loads(OBJECT)), ("[]", []), (UNICODE, UNICODE), ("5", 5)], ids=str
)
def test_a_function_gets_the_data_as_json(stack, receivers, data, event):
    """Itself where it is JSON text, else as a JSON string."""
    asked(stack, data=data, target=receivers.function_arn)
    (message,) = receivers.of_function.receive()
    assert event == json.loads(message.body)


@pytest.mark.parametrize(
    ("data", "detail"), [(OBJECT, json.loads(OBJECT)), (UNICODE, {"data": UNICODE}), ("[1]", {"data": [1]})], ids=str
)
def test_a_bus_gets_an_event(stack, receivers, data, detail):
    """From us, with the data for its detail."""
    asked(stack, data=data, target=receivers.bus_arn)
    (message,) = receivers.of_bus.receive()
    event = json.loads(message.body)
    assert ("punctual", "Scheduled", detail) == (event["source"], event["detail-type"], event["detail"])


def test_a_state_machine_starts_an_execution_under_the_id(stack, receivers, emulator):
    """With the data for its input."""
    answered = asked(stack, data=OBJECT, target=receivers.machine_arn)
    wait_until(lambda: answered["id"] in beside.executions(emulator, receivers.machine_arn, 0))
    assert json.loads(OBJECT) == json.loads(beside.executions(emulator, receivers.machine_arn, 0)[answered["id"]])


@pytest.mark.parametrize("kind", ["topic", "bus", "function", "machine"])
def test_an_envelope_says_what_else_there_is_to_know(stack, receivers, emulator, kind):
    """Id, due, name and user beside the data: a function or a bus has no other way to see them."""
    arn, read = target_of(receivers, kind)
    due_s = round(time.time() + 1, 3)
    answered = stack.invoke(
        "ScheduleFunction",
        {
            "timestamp": due_s,
            "data": UNICODE,
            "target": {"arn": arn, "envelope": True},
            "name": f"enveloped/{kind}",
            "user": "me",
        },
    )
    (text,) = read()
    assert {
        "id": answered["id"],
        "due": due_s,
        "name": f"enveloped/{kind}",
        "user": "me",
        "data": UNICODE,
    } == json.loads(text)


# Webhooks


def test_a_webhook_is_the_request_that_was_asked_for(stack, receivers):
    """Method, path, headers, cookies and body; signed with both secrets, so that either of them verifies it."""
    due_s = round(time.time() + 2, 3)
    target = {
        "url": receivers.url("/hook?a=b%20c"),
        "method": "PATCH",
        "headers": {"X-Token": "Grüße", "Authorization": "Bearer t"},
        "cookies": {"session": "s", "theme": "dark"},
    }
    answered = stack.invoke("ScheduleFunction", {"timestamp": due_s, "data": OBJECT, "target": target})
    (request,) = requests(receivers.server)
    assert time.time() >= due_s
    assert ("PATCH /hook?a=b%20c HTTP/1.1", OBJECT.encode()) == (request.line, request.body)
    got = {name: request.headers[name] for name in ("x-token", "authorization", "cookie", "content-type")}
    assert {
        "x-token": target["headers"]["X-Token"],
        "authorization": "Bearer t",
        "cookie": "session=s; theme=dark",
        "content-type": "application/json",
    } == got
    assert (answered["id"], due_s) == (request.headers["punctual-id"], float(request.headers["punctual-due"]))
    assert answered["id"] == request.headers["webhook-id"]
    for secret in receivers.secrets:
        assert json.loads(OBJECT) == Webhook(secret).verify(request.body, request.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_bm9ib2R5bm9ib2R5bm9ib2R5").verify(request.body, request.headers)


@pytest.mark.parametrize(
    ("data", "method", "content_type"),
    [(UNICODE, "POST", "text/plain; charset=utf-8"), ("{}", "POST", "application/json"), (None, "GET", None)],
)
def test_a_webhook_by_default(stack, receivers, data, method, content_type):
    """A POST of the data with its content type, a GET where there is none; signed all the same."""
    asked(stack, target={"url": receivers.url()}, **({} if data is None else {"data": data}))
    (request,) = requests(receivers.server)
    assert f"{method} / HTTP/1.1" == request.line
    assert ((data or "").encode(), content_type) == (request.body, request.headers.get("content-type"))
    assert 2 == len(request.headers["webhook-signature"].split())


def test_a_webhook_takes_256_kib(stack, receivers):
    """Whole."""
    data = "ü" * 131_072
    asked(stack, target={"url": receivers.url()}, data=data)
    (request,) = requests(receivers.server)
    assert data.encode() == request.body


# Ways


@pytest.mark.parametrize("kind", KINDS)
def test_a_far_one_is_delivered_once_it_is_within_reach(stack, receivers, table_of, kind):
    """The feed sends it to the delivery queue, unless its target is a queue; the table is empty then."""
    target, read = target_of(receivers, kind)
    text = json.dumps(target, separators=(",", ":")) if isinstance(target, dict) else target
    table = table_of(stack)
    table.put_due(1, time.time() + 2, target={"S": text}, data={"S": '{"far": "one"}'})
    stack.invoke("TriggerFunction", {})
    assert ['{"far": "one"}'] == read()
    assert [] == table.items()


@pytest.mark.parametrize("kind", KINDS)
def test_a_named_one_is_delivered_to_every_kind(stack, receivers, table_of, kind):
    """And its record says so."""
    target, read = target_of(receivers, kind)
    name = f"named/{kind}"
    answered = asked(stack, data='{"near": "one"}', target=target, name=name, delay=1)
    assert ['{"near": "one"}'] == read()
    found = record(table_of(stack), name, "delivered")
    assert (answered["id"], "1") == (found["id"], found["attempts"])


def test_an_execution_that_exists_is_success(stack, receivers, emulator, failures_told, delivery_queue):
    """The same schedule, delivered again as after a crash, starts nothing a second time and is no failure."""
    schedule = unchecked(receivers.machine_arn)
    for _ in range(2):
        delivery_queue.send(delivery_job.body(DeliveryJob(schedule)))
    wait_until(lambda: schedule.id in beside.executions(emulator, receivers.machine_arn, 0))
    wait_until(lambda: logged(stack, "delivered", schedule.id) == 2)
    names = [name for name in beside.executions(emulator, receivers.machine_arn, 0) if name == schedule.id]
    assert ([schedule.id], 2) == (names, logged(stack, "delivered", schedule.id))
    assert 0 == failures_told.count()


@pytest.fixture
def delivery_queue(stack, queue_of):
    return queue_of(stack, "DeliveryQueueUrl")


@pytest.fixture
def failures_told(stack, queue_of):
    return queue_of(stack, "FailureQueueUrl")


def unchecked(target, data="{}"):
    """A schedule that nothing has checked, due now."""
    due_ms = int(time.time() * 1000)
    return Schedule(Key("0", f"{sort_from(due_ms)}#0123456789abcdef"), due_ms, data, target)


def logged(stack, outcome, id):
    """How often the functions said so of this schedule."""
    lines = stack.emulator.log_path.read_text().splitlines()
    return sum(f'"outcome":"{outcome}"' in line.replace(" ", "") and id in line for line in lines)


# Failures


def test_a_receiver_that_fails_twice_is_tried_three_times(stack, receivers):
    """Under one webhook-id, with pauses; and one that asks for a while is left alone for that while."""
    receivers.server.turn(answer(503), answer(503), answer(200))
    receivers.other_server.turn(answer(429, b"", "Retry-After: 12"), answer(200))
    begun_s = time.time()
    failing = asked(stack, data="x", target={"url": receivers.url()})
    asked(stack, data="y", target={"url": f"http://127.0.0.1:{receivers.other_server.port}/"})
    assert 2 == len(requests(receivers.other_server, 2, 40))
    assert time.time() - begun_s >= 12
    assert [failing["id"]] * 3 == [each.headers["webhook-id"] for each in requests(receivers.server, 3, 60)]
    assert {b"x"} == {each.body for each in receivers.server.requests}


def test_what_fails_for_good_is_told_to_everybody(stack, receivers, table_of, failures_told):
    """A 404 is not tried again: failure queue, failed items, failure target and the record of the name have it."""
    receivers.server.turn(answer(404, b"no such order"))
    target = {"url": receivers.url("/orders/7")}
    answered = asked(
        stack, data="x", target=target, name="order/7", user="me", failure_target=receivers.failures.arn, delay=1
    )
    (told,), (heard,) = failures_told.receive(), receivers.failures.receive()
    report = json.loads(told.body)
    assert report == json.loads(heard.body)
    assert ("failed", "answered 404", 1) == (report["reason"], report["error"], report["attempts"])
    sent = report["schedule"]
    assert ("x", target, "order/7", "me") == (sent["data"], sent["target"], sent["name"], sent["user"])
    found = record(table_of(stack), "order/7", "failed")
    assert (answered["id"], "answered 404") == (found["id"], found["error"])
    (item,) = [item for item in table_of(stack).items() if item["partition"]["S"].startswith("failed#")]
    day, mark = item["partition"]["S"].rsplit("#", 1)
    assert time.strftime("failed#%Y-%m-%d", time.gmtime(report["at"])) == day
    assert mark in "0123456789abcdef"
    assert 1 == len(receivers.server.requests)


def test_a_failure_under_a_name_is_redriven_under_a_new_id(stack, receivers, table_of):
    """The failure holds that id until it is deleted."""
    receivers.server.turn(answer(404), answer(200))
    answered = asked(stack, data="x", target={"url": receivers.url()}, name="order/8", delay=1)
    record(table_of(stack), "order/8", "failed")
    redrive = {"operation": "redrive", "id": answered["id"]}
    assert {"redriven": 1, "left": 0, "next": None} == stack.invoke("ManageFunction", redrive)
    found = record(table_of(stack), "order/8", "delivered")
    assert answered["id"] != found["id"]
    assert not [item for item in table_of(stack).items() if item["partition"]["S"].startswith("failed#")]


@pytest.mark.parametrize("kind", ["queue", "topic", "bus", "function", "machine", "webhook"])
def test_a_target_that_is_not_listed_is_refused_when_it_is_asked_for(stack, receivers, kind):
    """Whatever its kind; nothing waits for a moment that cannot be."""
    target = {"url": "https://example.com/"} if kind == "webhook" else f"{target_of(receivers, kind)[0]}x"
    with pytest.raises(FunctionFailed, match="which is not listed"):
        asked(stack, data="x", target=target)


def test_a_failing_host_does_not_keep_others_waiting(stack, receivers):
    """Side by side in one batch: one that answers is done though the other does not."""
    receivers.other_server.turn(lambda connection: time.sleep(5))
    due_s = time.time() + 5
    hanging = {"url": f"http://127.0.0.1:{receivers.other_server.port}/"}
    batch = [{"timestamp": due_s, "data": "x", "target": hanging}] * 3
    batch += [{"timestamp": due_s, "data": "x", "target": {"url": receivers.url()}}] * 3
    stack.invoke("ScheduleFunction", batch)
    assert 3 == len(requests(receivers.server, 3))
    assert time.time() - due_s < 4


def test_what_is_behind_a_host_that_hangs_is_there_before_that_has_timed_out(stack, receivers):
    """Where one hangs in every batch that Lambda has brought; the function takes in the rest, and what comes after."""
    passed = threading.Event()

    def hang(connection):
        passed.wait(READ_S_MAX)
        answer(200)(connection)

    receivers.other_server.turn(hang)
    due_s = time.time() + 6
    hanging = {"timestamp": due_s, "data": "x", "target": {"url": f"http://127.0.0.1:{receivers.other_server.port}/"}}
    try:
        stack.invoke("ScheduleFunction", [hanging] * IN_BATCHES)
        assert IN_BATCHES <= len(requests(receivers.other_server, IN_BATCHES))
        behind = asked(stack, data="y", target={"url": receivers.url()})
        (request,) = requests(receivers.server)
        assert time.time() - due_s < READ_S_MAX / 2
        assert behind["id"] == request.headers["punctual-id"]
    finally:
        passed.set()
    assert wait_until(lambda: sum(logged(stack, "delivered", each) for each in ids(receivers)) >= IN_BATCHES)


def ids(receivers):
    return {each.headers["punctual-id"] for each in receivers.other_server.requests}


# The role


def test_the_deliver_function_cannot_send_to_what_is_not_listed(stack, receivers, delivery_queue, failures_told):
    """Even if somebody wrote the message into the delivery queue: its role has the listed targets alone."""
    for target in (receivers.unlisted_topic_arn, receivers.unlisted.arn):
        delivery_queue.send(delivery_job.body(DeliveryJob(unchecked(target))))
        (told,) = failures_told.receive()
        report = json.loads(told.body)
        assert ("failed", 1, target) == (report["reason"], report["attempts"], report["schedule"]["target"])
        assert report["error"] in ("AccessDenied", "AccessDeniedException", "AuthorizationError")
    assert (0, 0) == (receivers.of_unlisted_topic.count(), receivers.unlisted.count())


def test_a_host_that_is_not_listed_is_not_called(stack, receivers, delivery_queue, failures_told):
    """Struck off after it was accepted, or never on the list."""
    delivery_queue.send(delivery_job.body(DeliveryJob(unchecked('{"url":"https://127.0.0.2/"}'))))
    (told,) = failures_told.receive()
    report = json.loads(told.body)
    assert ("failed", 1) == (report["reason"], report["attempts"])
    assert "which is not listed" in report["error"]


@pytest.mark.parametrize("event", sorted(path.name for path in EVENTS.glob("schedule*.json")))
def test_the_sample_events_are_accepted(stack, event):
    """Each as it lies in events/, where the stack lists what they name."""
    answer = stack.invoke("ScheduleFunction", json.loads((EVENTS / event).read_text()))
    assert 0 < answer.get("accepted", 1)
