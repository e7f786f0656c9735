"""The transports, under the rules of their services in moto. The receiver behind each target reads the messages.

moto runs no function without Docker and finds every function, so the tests check the request to Lambda. Tests put
answers that moto does not know on the wire, such as EventBridge's errors of an entry, in the shape of the service's
model.
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
    """Transports on moto, with their clients, so that a test can change the answers of the services."""

    def __init__(self, cloud):
        self.cloud = cloud
        self.clients = {}
        self.webhooks = []
        self.transports = Transports(self.client, cloud.output, self)

    def client(self, service):
        assert service not in self.clients
        self.clients[service] = runtime.current().client(service, 2)
        return self.clients[service]

    def bend(self, event, handler):
        service = event.split(".")[1]
        if service not in self.clients:
            kind = {"stepfunctions": "states"}.get(service, service)
            self.transports._transport(kind)
        self.clients[service].meta.events.register(event, handler)

    def deliver(self, schedule):
        """A fake of the webhook transport."""
        self.webhooks.append(schedule)

    def queue(self, name):
        url = self.cloud.sqs.create_queue(QueueName=name)["QueueUrl"]
        return url, f"arn:aws:sqs:{PLACE}:{name}"


@pytest.fixture
def place(cloud):
    return Place(cloud)


@pytest.fixture
def topic(place):
    """Return a topic with a queue that is subscribed with raw message delivery."""
    url, queue_arn = place.queue("subscriber")
    sns = boto3.client("sns")
    arn = sns.create_topic(Name="topic")["TopicArn"]
    sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=queue_arn, Attributes={"RawMessageDelivery": "true"})
    return arn, url


@pytest.fixture
def bus(place):
    """Return a bus with a rule that sends our events to a queue."""
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
    """It is the exact data, in the output queue and in a target queue."""
    url, arn = place.queue("other")
    for target, queue_url in ((None, place.cloud.output), (arn, url)):
        place.transports.deliver(made(data, target))
        (message,) = place.cloud.received(queue_url)
        assert (data, ATTRIBUTES) == (message["Body"], attributes(message))


def test_a_queue_with_its_own_delay_does_not_delay_a_due_message(place):
    """This includes a schedule whose due time is slightly ahead of this clock."""
    place.cloud.sqs.create_queue(QueueName="slow", Attributes={"DelaySeconds": "900"})
    place.transports.deliver(made("x", f"arn:aws:sqs:{PLACE}:slow", NOON_MS + 10_000_000))
    assert ["x"] == [message["Body"] for message in place.cloud.received(place.cloud.output[:-6] + "slow")]


# SNS


@pytest.mark.parametrize("data", [*DATA[:-1], LARGE[:-100]], ids=lambda data: data[:10])
def test_a_topic_gets_the_same_as_a_queue(place, topic, data):
    """The test reads a subscribed queue."""
    arn, url = topic
    place.transports.deliver(made(data, arn))
    (message,) = place.cloud.received(url)
    assert (data, ATTRIBUTES) == (message["Body"], attributes(message))


def test_a_queue_or_a_topic_gets_an_envelope_on_request(place, topic):
    """The attributes stay."""
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
    """The test reads a queue behind a rule for our source and detail-type."""
    arn, url = bus
    place.transports.deliver(made(data, arn))
    (message,) = place.cloud.received(url)
    event = json.loads(message["Body"])
    assert ("punctual", "Scheduled", detail) == (event["source"], event["detail-type"], event["detail"])


def test_the_detail_of_an_event_is_the_requested_envelope(place, bus):
    """The envelope is an object already."""
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
def test_a_failed_entry_of_a_successful_call_is_undelivered(place, bus, code, permanent):
    """Unknown errors, and those that EventBridge does not call permanent, are tried again."""

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
def test_an_event_without_a_plain_confirmation_is_undelivered(place, bus, answer):
    """A confirmation has an id and no failed entry."""

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
    """The id of the schedule is the execution's name. Data that is no JSON becomes a JSON string."""
    place.transports.deliver(made(data, machine))
    arn = machine.replace("stateMachine", "execution") + ":" + ENVELOPE["id"]
    execution = boto3.client("stepfunctions").describe_execution(executionArn=arn)
    assert (ENVELOPE["id"], read) == (execution["name"], json.loads(execution["input"]))


def test_the_longest_id_is_a_valid_name_of_an_execution(place, machine):
    """The name has at most 80 valid characters.

    https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
    """
    longest = Schedule(Key("255", f"{'9' * 15}#{'f' * 16}"), NOON_MS, "{}", machine, index=9_999)
    place.transports.deliver(longest)
    (execution,) = boto3.client("stepfunctions").list_executions(stateMachineArn=machine)["executions"]
    assert (longest.id, True) == (execution["name"], len(longest.id) <= 80)


def test_an_existing_execution_is_success(place, machine):
    """A second delivery starts nothing. moto returns this error only for another input."""
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
def test_a_function_is_invoked_asynchronously_with_the_data(place, data, payload, qualifier):
    """JSON data stays JSON, and other data becomes a JSON string. The target may name a version."""
    sent = []
    place.bend("before-send.lambda.Invoke", lambda request, **_: sent.append(request))
    place.transports.deliver(made(data, FUNCTION + qualifier))
    (request,) = sent
    assert (payload.encode(), b"Event") == (request.body, request.headers["X-Amz-Invocation-Type"])
    assert f"function%3Aworker{qualifier.replace(':', '%3A')}/invocations" in request.url


def test_a_function_gets_an_envelope_on_request(place):
    """A function sees the id in no other way."""
    sent = []
    place.bend("before-send.lambda.Invoke", lambda request, **_: sent.append(request.body))
    place.transports.deliver(made("x", enveloped(FUNCTION)))
    assert ENVELOPE | {"data": "x"} == json.loads(sent[0])


def test_an_invocation_that_lambda_did_not_queue_is_undelivered(place):
    """A queued invocation has status 202."""
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
def test_a_missing_target_is_never_tried_again(place, target, code):
    """The error has the service's own code. EventBridge never reports a missing bus."""
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
        # Access, content and keys: from the services' models.
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
        # Temporary errors.
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
def test_each_error_of_a_service_is_permanent_or_temporary(place, call, code, status, permanent):
    """Its code and status decide."""
    place.bend(f"before-call.{call}", refuse(code, status))
    with pytest.raises(Undelivered) as failure:
        place.transports.deliver(made("x", CALLS[call]))
    assert (code.removeprefix("AWS.SimpleQueueService."), permanent) == (failure.value.error, failure.value.permanent)
    assert not failure.value.timed_out


@pytest.mark.parametrize(
    ("code", "permanent"), [("InvalidMessageContents", True), ("AccessDenied", False), ("NonExistentQueue", False)]
)
def test_the_output_queue_is_given_up_only_for_the_content(place, code, permanent):
    """Refused content stays refused, but a missing queue or denied access can be repaired."""
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
def test_a_call_without_an_answer_is_worth_a_retry_and_boto3_makes_none(place, call, error, timed_out):
    """The result is unknown. A timeout has its own outcome."""
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
def test_a_failure_never_shows_the_payload(place, call):
    """Services quote it in their errors."""

    def quote(**_):
        raise ClientError({"Error": {"Code": "Bad", "Message": "at 'card 4111'"}}, "Call")

    place.bend(f"before-call.{call}", quote)
    with pytest.raises(Undelivered) as failure:
        place.transports.deliver(made("card 4111", CALLS[call]))
    assert "4111" not in f"{failure.value} {failure.value.error}"


@pytest.mark.parametrize("call", CALLS)
def test_no_delivery_carries_lambdas_trace_header(place, call, monkeypatch):
    """Lambda counts invocations by it and would stop a consumer that schedules itself again."""
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


def test_only_used_services_get_a_client(place):
    """A cold start makes no client for a service without targets."""
    place.transports.deliver(schedule(1))
    place.transports.deliver(schedule(2))
    assert ["sqs"] == list(place.clients)


def test_a_webhook_goes_to_the_webhook_transport(place):
    """Any webhook transport works."""
    hooked = replace(schedule(1), target='{"url":"https://example.com"}')
    place.transports.deliver(hooked)
    assert ([hooked], {}) == (place.webhooks, place.clients)


def test_many_threads_share_one_client(place):
    """The first thread makes it. `Place` permits only one."""
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
