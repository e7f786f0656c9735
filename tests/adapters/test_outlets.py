"""The outlets by the rules of their services, in moto, with the receiver that a target has reading what came.

moto runs no function without Docker, and finds every one there: of Lambda the request is looked at. What moto does not
know, the errors of an entry of EventBridge among it, is put on the wire in the shape of the service's model.
"""

import json
import threading
from dataclasses import replace

import boto3
import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError

from fakes import NOON_MS, schedule
from scheduler.errors import Undelivered
from scheduler.model.schedule import Key, Schedule, sort_from
from scheduler.transports import Transports
from scheduler.wiring import runtime

PLACE = "eu-central-1:123456789012"
FUNCTION = f"arn:aws:lambda:{PLACE}:function:worker"
UNICODE = "Zeile\r\nnächste\t🎉 \"'\\ &<>"
LARGE = "ü" * 131_072
DATA = ["plain text", UNICODE, "{}", "[]", '{"a": 1.0, "ü": "🎉"}', "5", " ", LARGE]


class Place:
    """Outlets on moto, and the clients that they were given, so that a test can bend what these answer."""

    def __init__(self, cloud):
        self.cloud = cloud
        self.clients = {}
        self.webhooks = []
        self.transports = Transports(self.client, cloud.output, self)

    def client(self, service):
        assert service not in self.clients
        self.clients[service] = runtime.outside().client(service, 2)
        return self.clients[service]

    def bend(self, event, handler):
        service = event.split(".")[1]
        if service not in self.clients:
            kind = {"stepfunctions": "states"}.get(service, service)
            self.transports._outlet(kind)
        self.clients[service].meta.events.register(event, handler)

    def deliver(self, schedule):
        """As the outlet of webhooks."""
        self.webhooks.append(schedule)

    def queue(self, name):
        url = self.cloud.sqs.create_queue(QueueName=name)["QueueUrl"]
        return url, f"arn:aws:sqs:{PLACE}:{name}"


@pytest.fixture
def place(cloud):
    return Place(cloud)


@pytest.fixture
def topic(place):
    """A topic with a queue subscribed, raw, so that the very message is there."""
    url, queue_arn = place.queue("subscriber")
    sns = boto3.client("sns")
    arn = sns.create_topic(Name="topic")["TopicArn"]
    sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=queue_arn, Attributes={"RawMessageDelivery": "true"})
    return arn, url


@pytest.fixture
def bus(place):
    """A bus with a rule that sends what comes from us to a queue."""
    url, queue_arn = place.queue("listener")
    events = boto3.client("events")
    arn = events.create_event_bus(Name="orders")["EventBusArn"]
    pattern = json.dumps({"source": ["punctual"], "detail-type": ["Scheduled"]})
    events.put_rule(Name="all", EventBusName="orders", EventPattern=pattern)
    events.put_targets(Rule="all", EventBusName="orders", Targets=[{"Id": "queue", "Arn": queue_arn}])
    return arn, url


@pytest.fixture
def machine(cloud):
    definition = {"StartAt": "End", "States": {"End": {"Type": "Pass", "End": True}}}
    answer = boto3.client("stepfunctions").create_state_machine(
        name="orders", definition=json.dumps(definition), roleArn="arn:aws:iam::123456789012:role/machine"
    )
    return answer["stateMachineArn"]


def made(data, target, due_ms=NOON_MS + 7):
    key = Key("3", f"{sort_from(due_ms)}#0123456789abcdef")
    return Schedule(key, due_ms, data, target, "Ünal", name="bill/7")


def enveloped(arn):
    return f'{{"arn":"{arn}","envelope":true}}'


ENVELOPE = {"id": "3-001893456000007-0123456789abcdef", "due": 1893456000.007, "name": "bill/7", "user": "Ünal"}
ATTRIBUTES = {
    "id": ("String", "3-001893456000007-0123456789abcdef"),
    "due": ("Number", "1893456000.007"),
    "name": ("String", "bill/7"),
    "user": ("String", "Ünal"),
}


def attributes(message):
    return {name: (value["DataType"], value["StringValue"]) for name, value in message["MessageAttributes"].items()}


def refuse(code, status=400):
    def refusing(**_):
        raise ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "Call")

    return refusing


# SQS


@pytest.mark.parametrize("data", DATA, ids=lambda data: data[:10])
def test_a_queue_gets_the_data_and_the_attributes(place, data):
    """Exactly, in the output queue and in a target queue."""
    url, arn = place.queue("other")
    for target, queue_url in ((None, place.cloud.output), (arn, url)):
        place.transports.deliver(made(data, target))
        (message,) = place.cloud.received(queue_url)
        assert (data, ATTRIBUTES) == (message["Body"], attributes(message))


def test_a_queue_with_a_delay_of_its_own_does_not_hold_up_what_is_due(place):
    """Nor does a schedule whose moment this clock has not quite reached."""
    place.cloud.sqs.create_queue(QueueName="slow", Attributes={"DelaySeconds": "900"})
    place.transports.deliver(made("x", f"arn:aws:sqs:{PLACE}:slow", NOON_MS + 10_000_000))
    assert ["x"] == [message["Body"] for message in place.cloud.received(place.cloud.output[:-6] + "slow")]


# SNS


@pytest.mark.parametrize("data", [*DATA[:-1], LARGE[:-100]], ids=lambda data: data[:10])
def test_a_topic_gets_the_same_as_a_queue(place, topic, data):
    """Read by a queue that is subscribed to it."""
    arn, url = topic
    place.transports.deliver(made(data, arn))
    (message,) = place.cloud.received(url)
    assert (data, ATTRIBUTES) == (message["Body"], attributes(message))


def test_a_queue_or_a_topic_gets_the_envelope_where_it_wants_one(place, topic):
    """With the attributes all the same."""
    arn, url = topic
    place.transports.deliver(made('{"a": 1}', enveloped(arn)))
    place.transports.deliver(made("x", enveloped(f"arn:aws:sqs:{PLACE}:subscriber")))
    messages = place.cloud.received(url)
    assert [ENVELOPE | {"data": {"a": 1}}, ENVELOPE | {"data": "x"}] == [json.loads(m["Body"]) for m in messages]
    assert [ATTRIBUTES, ATTRIBUTES] == [attributes(message) for message in messages]


# EventBridge


@pytest.mark.parametrize(
    ("data", "detail"),
    [
        ('{"a": 1.0, "ü": "🎉"}', {"a": 1.0, "ü": "🎉"}),
        ("{}", {}),
        ("[1]", {"data": [1]}),
        ("5", {"data": "5"}),
        (UNICODE, {"data": UNICODE}),
        (LARGE, {"data": LARGE}),
    ],
    ids=lambda data: str(data)[:10],
)
def test_a_bus_gets_an_event_with_an_object(place, bus, data, detail):
    """Read by a queue behind a rule for our source and detail-type."""
    arn, url = bus
    place.transports.deliver(made(data, arn))
    (message,) = place.cloud.received(url)
    event = json.loads(message["Body"])
    assert ("punctual", "Scheduled", detail) == (event["source"], event["detail-type"], event["detail"])


def test_the_detail_of_an_event_is_the_envelope_where_the_target_wants_one(place, bus):
    """An object already."""
    arn, url = bus
    place.transports.deliver(made("[1]", enveloped(arn)))
    (message,) = place.cloud.received(url)
    assert ENVELOPE | {"data": [1]} == json.loads(message["Body"])["detail"]


@pytest.mark.parametrize(
    ("code", "permanent"),
    [
        ("MalformedDetail", True),
        ("AccessDeniedException", True),
        ("NotAuthorizedForSourceException", True),
        ("ThrottlingException", False),
        ("InternalFailure", False),
        ("SomethingNew", False),
    ],
)
def test_an_entry_that_failed_in_a_call_that_succeeded_is_undelivered(place, bus, code, permanent):
    """What EventBridge does not call permanent is tried again, also what it does not name yet."""

    def fail(parsed, **_):
        parsed.update(FailedEntryCount=1, Entries=[{"ErrorCode": code, "ErrorMessage": "of secret things"}])

    place.bend("after-call.events.PutEvents", fail)
    with pytest.raises(Undelivered) as failure:
        place.transports.deliver(made("x", bus[0]))
    assert (code, permanent, False) == (failure.value.error, failure.value.permanent, failure.value.timed_out)


@pytest.mark.parametrize(
    "answer",
    [
        {"Entries": []},
        {"Entries": [{}]},
        {"FailedEntryCount": 0},
        {"FailedEntryCount": 1, "Entries": [{"EventId": "7"}]},
    ],
)
def test_an_event_that_the_answer_does_not_plainly_confirm_is_undelivered(place, bus, answer):
    """It has an id, and none has failed."""

    def bend(parsed, **_):
        parsed.pop("Entries")
        parsed.update(answer)

    place.bend("after-call.events.PutEvents", bend)
    with pytest.raises(Undelivered, match="NoAnswer") as failure:
        place.transports.deliver(made("x", bus[0]))
    assert not failure.value.permanent


# Step Functions


@pytest.mark.parametrize(
    ("data", "read"),
    [('{"a": 1.0}', {"a": 1.0}), ("[]", []), ("5", 5), ("text", "text"), (UNICODE, UNICODE)],
    ids=lambda data: str(data)[:10],
)
def test_a_state_machine_starts_with_the_data_as_its_input(place, machine, data, read):
    """Under the id of the schedule; as a JSON string where it is no JSON."""
    place.transports.deliver(made(data, machine))
    arn = machine.replace("stateMachine", "execution") + ":" + ENVELOPE["id"]
    execution = boto3.client("stepfunctions").describe_execution(executionArn=arn)
    assert (ENVELOPE["id"], read) == (execution["name"], json.loads(execution["input"]))


def test_the_longest_id_is_a_name_for_an_execution(place, machine):
    """At most 80 characters, none of which is refused:
    https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html"""
    longest = Schedule(Key("255", f"{'9' * 15}#{'f' * 16}"), NOON_MS, "{}", machine, index=9_999)
    place.transports.deliver(longest)
    (execution,) = boto3.client("stepfunctions").list_executions(stateMachineArn=machine)["executions"]
    assert (longest.id, True) == (execution["name"], len(longest.id) <= 80)


def test_an_execution_that_exists_already_is_success(place, machine):
    """A second delivery of a schedule starts nothing. moto says so of one whose input is another."""
    place.transports.deliver(made('{"a":1}', machine))
    place.transports.deliver(made('{"a":2}', enveloped(machine)))
    (execution,) = boto3.client("stepfunctions").list_executions(stateMachineArn=machine)["executions"]
    assert ENVELOPE["id"] == execution["name"]


# Lambda


@pytest.mark.parametrize(
    ("data", "payload"),
    [
        ('{"a": 1.0, "ü": "🎉"}', '{"a": 1.0, "ü": "🎉"}'),
        ("5", "5"),
        ("text", '"text"'),
        ("NaN", '"NaN"'),
        (LARGE, f'"{LARGE}"'),
    ],
    ids=lambda data: data[:10],
)
@pytest.mark.parametrize("qualifier", ["", ":1"])
def test_a_function_is_invoked_on_its_own_with_the_data(place, data, payload, qualifier):
    """The data itself where it is JSON, else as a string of JSON; a version is asked for where the target names one."""
    sent = []
    place.bend("before-send.lambda.Invoke", lambda request, **_: sent.append(request))
    place.transports.deliver(made(data, FUNCTION + qualifier))
    (request,) = sent
    assert (payload.encode(), b"Event") == (request.body, request.headers["X-Amz-Invocation-Type"])
    assert f"function%3Aworker{qualifier.replace(':', '%3A')}/invocations" in request.url


def test_a_function_gets_the_envelope_where_the_target_wants_one(place):
    """It has no other way to see the id."""
    sent = []
    place.bend("before-send.lambda.Invoke", lambda request, **_: sent.append(request.body))
    place.transports.deliver(made("x", enveloped(FUNCTION)))
    assert ENVELOPE | {"data": "x"} == json.loads(sent[0])


def test_an_invocation_that_lambda_did_not_queue_is_undelivered(place):
    """The status of one that it did is 202."""
    place.bend("after-call.lambda.Invoke", lambda parsed, **_: parsed.update(StatusCode=200))
    with pytest.raises(Undelivered, match="StatusCode 200"):
        place.transports.deliver(made("x", FUNCTION))


# Every service

GONE = {
    f"arn:aws:sqs:{PLACE}:gone": "NonExistentQueue",
    f"arn:aws:sns:{PLACE}:gone": "NotFound",
    f"arn:aws:states:{PLACE}:stateMachine:gone": "StateMachineDoesNotExist",
}


@pytest.mark.parametrize(("target", "code"), GONE.items(), ids=GONE.values())
def test_a_target_that_does_not_exist_is_never_worth_trying_again(place, target, code):
    """And says so by the name that its service has for it; EventBridge alone never says so."""
    with pytest.raises(Undelivered) as failure:
        place.transports.deliver(made("x", target))
    assert (code, True) == (failure.value.error, failure.value.permanent)


CALLS = {
    "sqs.SendMessage": f"arn:aws:sqs:{PLACE}:other",
    "sns.Publish": f"arn:aws:sns:{PLACE}:topic",
    "lambda.Invoke": FUNCTION,
    "events.PutEvents": f"arn:aws:events:{PLACE}:event-bus/orders",
    "stepfunctions.StartExecution": f"arn:aws:states:{PLACE}:stateMachine:orders",
}


@pytest.mark.parametrize(
    ("call", "code", "status", "permanent"),
    [
        # Access, content and keys: as the models of the services list them.
        ("sqs.SendMessage", "AccessDenied", 403, True),
        ("sqs.SendMessage", "AWS.SimpleQueueService.NonExistentQueue", 400, True),
        ("sqs.SendMessage", "InvalidParameterValue", 400, True),
        ("sqs.SendMessage", "KmsDisabled", 400, True),
        ("sns.Publish", "AuthorizationError", 403, True),
        ("sns.Publish", "InvalidParameter", 400, True),
        ("sns.Publish", "KMSDisabled", 400, True),
        ("lambda.Invoke", "ResourceNotFoundException", 404, True),
        ("lambda.Invoke", "AccessDeniedException", 403, True),
        ("lambda.Invoke", "RequestTooLargeException", 413, True),
        ("lambda.Invoke", "InvalidRequestContentException", 400, True),
        ("events.PutEvents", "AccessDeniedException", 400, True),
        ("events.PutEvents", "ValidationException", 400, True),
        ("stepfunctions.StartExecution", "AccessDeniedException", 400, True),
        ("stepfunctions.StartExecution", "InvalidExecutionInput", 400, True),
        ("stepfunctions.StartExecution", "StateMachineDeleting", 400, True),
        ("stepfunctions.StartExecution", "KmsAccessDeniedException", 400, True),
        # What goes away by itself.
        ("sqs.SendMessage", "RequestThrottled", 403, False),
        ("sqs.SendMessage", "KmsThrottled", 400, False),
        ("sns.Publish", "Throttled", 429, False),
        ("sns.Publish", "KMSThrottling", 400, False),
        ("sns.Publish", "InternalError", 500, False),
        ("lambda.Invoke", "TooManyRequestsException", 429, False),
        ("lambda.Invoke", "ResourceConflictException", 409, False),
        ("lambda.Invoke", "EFSMountTimeoutException", 408, False),
        ("lambda.Invoke", "EC2ThrottledException", 502, False),
        ("lambda.Invoke", "ExpiredTokenException", 403, False),
        ("events.PutEvents", "InternalException", 500, False),
        ("events.PutEvents", "ThrottlingException", 400, False),
        ("stepfunctions.StartExecution", "ExecutionLimitExceeded", 400, False),
        ("stepfunctions.StartExecution", "KmsThrottlingException", 400, False),
        ("stepfunctions.StartExecution", "ServiceUnavailable", 503, False),
    ],
)
def test_each_no_of_a_service_is_for_good_or_for_now(place, call, code, status, permanent):
    """By its code and its status."""
    place.bend(f"before-call.{call}", refuse(code, status))
    with pytest.raises(Undelivered) as failure:
        place.transports.deliver(made("x", CALLS[call]))
    assert (code.removeprefix("AWS.SimpleQueueService."), permanent) == (failure.value.error, failure.value.permanent)
    assert not failure.value.timed_out


@pytest.mark.parametrize(
    ("code", "permanent"), [("InvalidMessageContents", True), ("AccessDenied", False), ("NonExistentQueue", False)]
)
def test_the_output_queue_is_given_up_for_the_content_alone(place, code, permanent):
    """What it does not take it will never take; gone or closed to us it comes back."""
    place.bend("before-call.sqs.SendMessage", refuse(code, 400))
    with pytest.raises(Undelivered) as failure:
        place.transports.deliver(made("x", None))
    assert (code, permanent) == (failure.value.error, failure.value.permanent)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("error", "timed_out"),
    [
        (ReadTimeoutError(endpoint_url="x"), True),
        (ConnectTimeoutError(endpoint_url="x"), True),
        (EndpointConnectionError(endpoint_url="x"), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_call_without_an_answer_is_worth_another_and_is_not_sent_again_by_boto3(place, call, error, timed_out):
    """Nobody knows what became of it; and a time-out is told from the rest."""
    calls = []

    def break_off(**_):
        calls.append(1)
        raise error

    place.bend(f"before-send.{call}", break_off)
    with pytest.raises(Undelivered) as failure:
        place.transports.deliver(made("x", CALLS[call]))
    found = failure.value
    assert (1, type(error).__name__) == (len(calls), found.error)
    assert (False, timed_out, None) == (found.permanent, found.timed_out, found.retry_after_s)


@pytest.mark.parametrize("call", CALLS)
def test_a_failure_never_tells_the_payload(place, call):
    """Services quote it in their messages."""

    def quote(**_):
        raise ClientError({"Error": {"Code": "Bad", "Message": "at 'card 4111'"}}, "Call")

    place.bend(f"before-call.{call}", quote)
    with pytest.raises(Undelivered) as failure:
        place.transports.deliver(made("card 4111", CALLS[call]))
    assert "4111" not in f"{failure.value} {failure.value.error}"


@pytest.mark.parametrize("call", CALLS)
def test_no_delivery_carries_lambdas_trace_header(place, call, monkeypatch):
    """Lambda counts invocations by it, and would stop a consumer that schedules itself again."""
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "deliver")
    monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-5759e988-bd862e3fe1be46a994272793;Lineage=1:a87bd80c:16")
    sent = []

    def keep(request, **_):
        sent.append(request)
        raise ReadTimeoutError(endpoint_url="x")

    place.bend(f"before-send.{call}", keep)
    with pytest.raises(Undelivered):
        place.transports.deliver(made("x", CALLS[call]))
    (request,) = sent
    assert not [name for name in request.headers if "trace" in name.lower()]
    assert b"5759e988" not in (request.body if isinstance(request.body, bytes) else str(request.body).encode())


# The registry


def test_only_what_is_used_is_connected(place):
    """A cold start pays for no client that nothing is delivered by."""
    place.transports.deliver(schedule(1))
    place.transports.deliver(schedule(2))
    assert ["sqs"] == list(place.clients)


def test_a_webhook_goes_to_the_outlet_of_webhooks(place):
    """Whatever that is."""
    hooked = replace(schedule(1), target='{"url":"https://example.com"}')
    place.transports.deliver(hooked)
    assert ([hooked], {}) == (place.webhooks, place.clients)


def test_many_threads_share_one_client(place):
    """The first one of a kind makes it; `Place` allows for one."""
    errors = []

    def deliver(number):
        try:
            place.transports.deliver(schedule(number))
        except AssertionError as error:
            errors.append(error)

    threads = [threading.Thread(target=deliver, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert ([], 8) == (errors, len(place.cloud.received()))
