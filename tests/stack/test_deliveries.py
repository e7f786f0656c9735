"""Deliveries through the deployed template, on a local AWS that enforces the roles. The receivers read them."""

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
from waiting import wait_until

pytestmark = pytest.mark.slow

EVENTS = Path(__file__).parents[2] / "events"
UNICODE = "Zeile\r\nnächste\t🎉 \"'\\ &<>"
OBJECT = '{"order": 42, "note": "Grüße 🎉"}'
WITHIN_S = 15
READ_S_MAX = 10
IN_BATCHES = 50
"""The messages that Lambda's pollers bring at once at first."""
HANGING_AT_ONCE = 40
"""An environment sends at most twelve requests to a target that has not answered, and postpones the rest. So many
requests need four environments at their limits, and the fifth has its batch in hand."""
KINDS = ["queue", "topic", "bus", "function", "machine", "webhook"]


@pytest.fixture
def stack(delivering_stack):
    """A stack whose TargetArns and WebhookHosts list the receivers."""
    return delivering_stack


def asked(stack, **fields):
    return stack.invoke("ScheduleFunction", {"delay": 0, **fields})


def requests(server, count=1, within_s=WITHIN_S):
    wait_until(lambda: len(server.requests) >= count, within_s)
    return list(server.requests)


def record(table, name, state):
    """Return the record of a name once it has this state."""

    def found():
        items = [item for item in table.items() if item["sort"]["S"] == name]
        return [item for item in items if item["state"]["S"] == state]

    (item,) = wait_until(found, WITHIN_S)
    return {field: next(iter(value.values())) for field, value in item.items()}


def target_of(receivers, kind):
    """Return the target of this kind as a caller writes it, and a function that reads the received bodies."""
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


# Targets by kind


def test_a_queue_gets_an_envelope_on_request(stack, receivers):
    """It is the body. The attributes stay the same, and it does not come earlier."""
    due_s = round(time.time() + 2, 3)
    target = {"arn": receivers.queue.arn, "envelope": True}
    answered = stack.invoke("ScheduleFunction", {"timestamp": due_s, "data": OBJECT, "target": target, "user": "Ünal"})
    (message,) = receivers.queue.receive()
    assert {"id": answered["id"], "due": due_s, "user": "Ünal", "data": json.loads(OBJECT)} == json.loads(message.body)
    assert {"id": answered["id"], "due": f"{due_s:.3f}", "user": "Ünal"} == message.attributes
    assert message.lateness_s >= 0


@pytest.mark.parametrize("data", [UNICODE, OBJECT, "{}", "ü" * 130_000], ids=["text", "object", "empty", "large"])
def test_a_topic_gets_the_data_and_the_attributes(stack, receivers, data):
    """Its subscriber reads both unchanged, and not before the due time."""
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
    """JSON text becomes JSON, and other data a JSON string."""
    asked(stack, data=data, target=receivers.function_arn)
    (message,) = receivers.of_function.receive()
    assert event == json.loads(message.body)


@pytest.mark.parametrize(
    ("data", "detail"), [(OBJECT, json.loads(OBJECT)), (UNICODE, {"data": UNICODE}), ("[1]", {"data": [1]})], ids=str
)
def test_a_bus_gets_an_event(stack, receivers, data, detail):
    """We are its source, and the data is its detail."""
    asked(stack, data=data, target=receivers.bus_arn)
    (message,) = receivers.of_bus.receive()
    event = json.loads(message.body)
    assert ("punctual", "Scheduled", detail) == (event["source"], event["detail-type"], event["detail"])


def test_a_state_machine_starts_an_execution_under_the_id(stack, receivers, emulator):
    """The data is its input."""
    answered = asked(stack, data=OBJECT, target=receivers.machine_arn)
    wait_until(lambda: answered["id"] in beside.executions(emulator, receivers.machine_arn, 0), WITHIN_S)
    assert json.loads(OBJECT) == json.loads(beside.executions(emulator, receivers.machine_arn, 0)[answered["id"]])


@pytest.mark.parametrize("kind", ["topic", "bus", "function", "machine"])
def test_an_envelope_has_all_other_fields(stack, receivers, emulator, kind):
    """A function or a bus sees id, due time, name and user next to the data in no other way."""
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


def test_a_webhook_is_the_requested_request(stack, receivers):
    """Method, path, headers, cookies and body. Both secrets sign it, so that either verifies it."""
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
def test_a_webhook_has_defaults(stack, receivers, data, method, content_type):
    """It is a signed POST of the data with its content type, and a GET without data."""
    asked(stack, target={"url": receivers.url()}, **({} if data is None else {"data": data}))
    (request,) = requests(receivers.server)
    assert f"{method} / HTTP/1.1" == request.line
    assert ((data or "").encode(), content_type) == (request.body, request.headers.get("content-type"))
    assert 2 == len(request.headers["webhook-signature"].split())


def test_a_webhook_takes_256_kib(stack, receivers):
    """All of it arrives."""
    data = "ü" * 131_072
    asked(stack, target={"url": receivers.url()}, data=data)
    (request,) = requests(receivers.server)
    assert data.encode() == request.body


# Near and far


@pytest.mark.parametrize("kind", KINDS)
def test_a_far_schedule_is_delivered_once_it_is_within_reach(stack, receivers, table_of, kind):
    """The feed sends it to the delivery queue, unless its target is a queue. Then the table is empty."""
    target, read = target_of(receivers, kind)
    text = json.dumps(target, separators=(",", ":")) if isinstance(target, dict) else target
    table = table_of(stack)
    table.put_due(1, time.time() + 2, target={"S": text}, data={"S": '{"far": "one"}'})
    stack.invoke("TriggerFunction", {})
    assert ['{"far": "one"}'] == read()
    assert [] == table.items()


@pytest.mark.parametrize("kind", KINDS)
def test_a_named_schedule_is_delivered_to_every_kind(stack, receivers, table_of, kind):
    """Its record says so."""
    target, read = target_of(receivers, kind)
    name = f"named/{kind}"
    answered = asked(stack, data='{"near": "one"}', target=target, name=name, delay=1)
    assert ['{"near": "one"}'] == read()
    found = record(table_of(stack), name, "delivered")
    assert (answered["id"], "1") == (found["id"], found["attempts"])


def test_an_existing_execution_is_success(stack, receivers, emulator, failure_reports, delivery_queue):
    """A repeated delivery, as after a crash, starts no second execution and is no failure."""
    schedule = unchecked(receivers.machine_arn)
    for _ in range(2):
        delivery_queue.send(delivery_job.body(DeliveryJob(schedule)))
    wait_until(lambda: schedule.id in beside.executions(emulator, receivers.machine_arn, 0), WITHIN_S)
    wait_until(lambda: logged(stack, "delivered", schedule.id) == 2, WITHIN_S)
    names = [name for name in beside.executions(emulator, receivers.machine_arn, 0) if name == schedule.id]
    assert ([schedule.id], 2) == (names, logged(stack, "delivered", schedule.id))
    assert 0 == failure_reports.count()


@pytest.fixture
def delivery_queue(stack, queue_of):
    return queue_of(stack, "DeliveryQueueUrl")


@pytest.fixture
def failure_reports(stack, queue_of):
    return queue_of(stack, "FailureQueueUrl")


def unchecked(target, data="{}"):
    """Return a schedule due now that no code has checked."""
    due_ms = int(time.time() * 1000)
    return Schedule(Key("0", f"{sort_from(due_ms)}#0123456789abcdef"), due_ms, data, target)


def logged(stack, outcome, id):
    """Count how often the functions logged this outcome of this schedule."""
    lines = stack.emulator.log_path.read_text().splitlines()
    return sum(f'"outcome":"{outcome}"' in line.replace(" ", "") and id in line for line in lines)


# Failures


def test_a_receiver_that_fails_twice_is_tried_three_times(stack, receivers):
    """All tries have one webhook-id and pauses between them. A receiver's Retry-After is respected."""
    receivers.server.turn(answer(503), answer(503), answer(200))
    receivers.other_server.turn(answer(429, b"", "Retry-After: 12"), answer(200))
    begun_s = time.time()
    failing = asked(stack, data="x", target={"url": receivers.url()})
    asked(stack, data="y", target={"url": f"http://127.0.0.1:{receivers.other_server.port}/"})
    assert 2 == len(requests(receivers.other_server, 2, 40))
    assert time.time() - begun_s >= 12
    assert [failing["id"]] * 3 == [each.headers["webhook-id"] for each in requests(receivers.server, 3, 60)]
    assert {b"x"} == {each.body for each in receivers.server.requests}


def test_a_permanent_failure_is_reported_everywhere(stack, receivers, table_of, failure_reports):
    """A 404 is not retried. It is in the failure queue, the failures, the failure target and the record of the name."""
    receivers.server.turn(answer(404, b"no such order"))
    target = {"url": receivers.url("/orders/7")}
    answered = asked(
        stack, data="x", target=target, name="order/7", user="me", failure_target=receivers.failures.arn, delay=1
    )
    (told,), (heard,) = failure_reports.receive(), receivers.failures.receive()
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


def test_a_failure_of_a_name_is_redriven_under_a_new_id(stack, receivers, table_of):
    """The failure keeps that id until its deletion."""
    receivers.server.turn(answer(404), answer(200))
    answered = asked(stack, data="x", target={"url": receivers.url()}, name="order/8", delay=1)
    record(table_of(stack), "order/8", "failed")
    redrive = {"operation": "redrive", "id": answered["id"]}
    assert {"redriven": 1, "left": 0, "next": None} == stack.invoke("ManageFunction", redrive)
    found = record(table_of(stack), "order/8", "delivered")
    assert answered["id"] != found["id"]
    assert not [item for item in table_of(stack).items() if item["partition"]["S"].startswith("failed#")]


@pytest.mark.parametrize("kind", ["queue", "topic", "bus", "function", "machine", "webhook"])
def test_an_unlisted_target_is_refused_at_the_request(stack, receivers, kind):
    """This holds for every kind, so no schedule waits in vain."""
    target = {"url": "https://example.com/"} if kind == "webhook" else f"{target_of(receivers, kind)[0]}x"
    with pytest.raises(FunctionFailed, match="which is not listed"):
        asked(stack, data="x", target=target)


def test_a_failing_host_does_not_delay_others(stack, receivers):
    """Side by side in one batch, a healthy host is served while the other one fails."""
    receivers.other_server.turn(lambda connection: time.sleep(5))
    due_s = time.time() + 5
    hanging = {"url": f"http://127.0.0.1:{receivers.other_server.port}/"}
    batch = [{"timestamp": due_s, "data": "x", "target": hanging}] * 3
    batch += [{"timestamp": due_s, "data": "x", "target": {"url": receivers.url()}}] * 3
    stack.invoke("ScheduleFunction", batch)
    assert 3 == len(requests(receivers.server, 3))
    assert time.time() - due_s < 4


def test_messages_behind_a_hanging_host_are_delivered_before_its_timeout(stack, receivers):
    """A message hangs in every batch of Lambda's pollers, and the function receives the next messages itself."""
    passed = threading.Event()

    def hang(connection):
        passed.wait(READ_S_MAX)
        answer(200)(connection)

    receivers.other_server.turn(hang)
    due_s = time.time() + 6
    hanging = {"timestamp": due_s, "data": "x", "target": {"url": f"http://127.0.0.1:{receivers.other_server.port}/"}}
    try:
        stack.invoke("ScheduleFunction", [hanging] * IN_BATCHES)
        assert HANGING_AT_ONCE <= len(requests(receivers.other_server, HANGING_AT_ONCE))
        behind = asked(stack, data="y", target={"url": receivers.url()})
        (request,) = requests(receivers.server)
        assert time.time() - due_s < READ_S_MAX / 2
        assert behind["id"] == request.headers["punctual-id"]
    finally:
        passed.set()
    assert wait_until(lambda: sum(logged(stack, "delivered", each) for each in ids(receivers)) >= IN_BATCHES, 30)


def ids(receivers):
    return {each.headers["punctual-id"] for each in receivers.other_server.requests}


# The role


def test_the_deliver_function_cannot_send_to_an_unlisted_target(stack, receivers, delivery_queue, failure_reports):
    """A forged message in the delivery queue does not help, because the role has only the listed targets."""
    for target in (receivers.unlisted_topic_arn, receivers.unlisted.arn):
        delivery_queue.send(delivery_job.body(DeliveryJob(unchecked(target))))
        (told,) = failure_reports.receive()
        report = json.loads(told.body)
        assert ("failed", 1, target) == (report["reason"], report["attempts"], report["schedule"]["target"])
        assert report["error"] in ("AccessDenied", "AccessDeniedException", "AuthorizationError")
    assert (0, 0) == (receivers.of_unlisted_topic.count(), receivers.unlisted.count())


def test_an_unlisted_host_is_not_called(stack, receivers, delivery_queue, failure_reports):
    """It was removed from the list later, or was never on it."""
    delivery_queue.send(delivery_job.body(DeliveryJob(unchecked('{"url":"https://127.0.0.2/"}'))))
    (told,) = failure_reports.receive()
    report = json.loads(told.body)
    assert ("failed", 1) == (report["reason"], report["attempts"])
    assert "which is not listed" in report["error"]


@pytest.mark.parametrize("event", sorted(path.name for path in EVENTS.glob("schedule*.json")))
def test_the_sample_events_are_accepted(stack, event):
    """The stack lists the targets in events/."""
    answer = stack.invoke("ScheduleFunction", json.loads((EVENTS / event).read_text()))
    assert 0 < answer.get("accepted", 1)
