"""The queues, under the rules of SQS: valid messages, valid batches, and the meaning of each kind of error."""

import json
from dataclasses import replace

import pytest
from botocore.exceptions import ReadTimeoutError

from aws_faults import bend_batch, refuse_call
from fakes import NOON_MS, OTHER_ARN, Clock, schedule
from scheduler.execution.deadline import retry_batch
from scheduler.model import delivery_job, failure_report
from scheduler.model.delivery_job import DeliveryJob
from scheduler.model.schedule import Key, Schedule, sort_from, timer

TOPIC = "arn:aws:sns:eu-central-1:123456789012:topic"


def sized(number, data_bytes):
    return Schedule(Key("0", f"{sort_from(NOON_MS)}#{number:016x}"), NOON_MS, "x" * data_bytes)


def test_the_body_is_the_data_and_attributes_describe_it(cloud):
    """The attributes are id, due with three decimals, and an optional user. Unicode and newlines stay unchanged."""
    key = Key("3", f"{sort_from(NOON_MS + 7)}#0123456789abcdef")
    sent = Schedule(key, NOON_MS + 7, "Zeile\r\nnächste\t🎉", user="Ünal")
    cloud.queues.send(cloud.output, [sent], NOON_MS + 7)
    (message,) = cloud.received()
    assert "Zeile\r\nnächste\t🎉" == message["Body"]
    assert {
        "id": ("String", "3-001893456000007-0123456789abcdef"),
        "due": ("Number", "1893456000.007"),
        "user": ("String", "Ünal"),
    } == {name: (value["DataType"], value["StringValue"]) for name, value in message["MessageAttributes"].items()}


def test_a_message_waits_in_the_queue_until_it_is_due(cloud):
    """Its delay is the remaining time, and zero for an overdue message."""
    delays = []
    cloud.sqs.meta.events.register(
        "provide-client-params.sqs.SendMessageBatch",
        lambda params, **_: delays.extend(entry["DelaySeconds"] for entry in params["Entries"]),
    )
    cloud.queues.send(cloud.output, [schedule(1, NOON_MS + 899_001), schedule(2, NOON_MS - 1)], NOON_MS)
    assert [900, 0] == delays
    assert ["data 2"] == [message["Body"] for message in cloud.received()]


def test_a_batch_refused_for_one_bad_message_is_sent_again_one_by_one(cloud):
    """Its neighbours are sent, if anyone stored a character that SQS refuses.

    moto accepts such characters. SQS refuses the whole batch:
    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html
    """

    def refuse(params, **_):
        if any("\x00" in entry["MessageBody"] for entry in params["Entries"]):
            refuse_call("InvalidMessageContents")()

    cloud.sqs.meta.events.register("provide-client-params.sqs.SendMessageBatch", refuse)
    bad = Schedule(schedule(1).key, NOON_MS, "a\x00b")
    outcome = cloud.queues.send(cloud.output, [bad, schedule(2), schedule(3)], NOON_MS)
    assert ([(bad, "InvalidMessageContents")], []) == (outcome.rejected, outcome.unconfirmed)
    assert ["data 2", "data 3"] == sorted(message["Body"] for message in cloud.received())


def test_batches_hold_ten_messages_and_a_mebibyte(cloud):
    """A page may hold ten messages of 256 KiB, and three of them fit a call."""
    assert [10, 10, 5] == [
        len(batch) for batch in cloud.queues.batches(cloud.output, [sized(n, 100) for n in range(25)])
    ]
    large = [sized(number, 262_144) for number in range(10)]
    batches = list(cloud.queues.batches(cloud.output, large))
    assert [3, 3, 3, 1] == [len(batch) for batch in batches]
    for batch in batches:
        assert batch == cloud.queues.send(cloud.output, batch, NOON_MS).confirmed
    assert {262_144} == {len(message["Body"]) for message in cloud.received()}


def test_a_failed_entry_is_not_sent(cloud):
    """A fault of SQS is retried, a fault of the message is a refusal, and a fault of the queue means a closed queue."""
    codes = {
        "data 1": ("InternalError", False),
        "data 2": ("InvalidMessageContents", True),
        "data 3": ("AccessDenied", True),
        "data 4": ("RequestThrottled", True),
    }

    def report(parsed, held):
        parsed["Failed"] = [
            {"Id": entry["Id"], "Code": codes[entry["MessageBody"]][0], "SenderFault": codes[entry["MessageBody"]][1]}
            for entry in held
        ]

    bend_batch(
        cloud.sqs, "sqs.SendMessageBatch", lambda params: params["Entries"], lambda e: e["MessageBody"] in codes, report
    )
    outcome = cloud.queues.send(cloud.output, [schedule(number) for number in range(6)], NOON_MS)
    assert ["data 0", "data 5"] == [each.data for each in outcome.confirmed]
    assert ["data 1", "data 4"] == [each.data for each in outcome.unconfirmed]
    assert [("data 2", "InvalidMessageContents")] == [(each.data, reason) for each, reason in outcome.rejected]
    assert [("data 3", "AccessDenied")] == [(each.data, reason) for each, reason in outcome.unavailable]


def test_a_batch_sent_one_by_one_stops_at_the_first_unconfirmed_message(cloud):
    """Ten calls that time out would take longer than the feed's reserve."""
    calls = []

    def refuse_then_break(params, **_):
        calls.append(1)
        return refuse_call("UnsupportedOperation", 400)() if len(calls) == 1 else refuse_call("InternalFailure", 500)()

    cloud.sqs.meta.events.register("before-call.sqs.SendMessageBatch", refuse_then_break)
    many = [schedule(number) for number in range(10)]
    assert (many, 2) == (cloud.queues.send(cloud.output, many, NOON_MS).unconfirmed, len(calls))


def test_a_schedule_for_any_target_goes_to_the_delivery_queue_for_the_deliver_function(cloud):
    """It is a delivery job. One call sends ten, and the rest stays untried."""
    many = [schedule(number) for number in range(12)]
    outcome = cloud.queues.send_to_delivery(many, NOON_MS)
    assert (many[:10], many[10:]) == (outcome.confirmed, outcome.not_attempted)
    bodies = [message["Body"] for message in cloud.received(cloud.delivery)]
    assert {each.id for each in many[:10]} == {delivery_job.read(body).id for body in bodies}


def test_an_entry_in_neither_list_is_not_sent(cloud):
    """Only confirmed entries are done."""
    cloud.sqs.meta.events.register("after-call.sqs.SendMessageBatch", lambda parsed, **_: parsed.pop("Successful"))
    assert [schedule(1)] == cloud.queues.send(cloud.output, [schedule(1)], NOON_MS).unconfirmed


def test_a_missing_queue_is_closed(cloud):
    """Its error code is known in both protocols of SQS."""
    outcome = cloud.queues.send(cloud.output + "-gone", [schedule(1)], NOON_MS)
    assert [(schedule(1), "NonExistentQueue")] == outcome.unavailable


@pytest.mark.parametrize("code", ["AccessDenied", "AccessDeniedException", "KmsDisabled", "KMS.AccessDeniedException"])
def test_a_queue_that_denies_access_is_closed(cloud, code):
    """Its policy or its key denies it."""
    cloud.sqs.meta.events.register("before-call.sqs.SendMessageBatch", refuse_call(code, 403))
    assert [(schedule(1), code)] == cloud.queues.send(cloud.output, [schedule(1)], NOON_MS).unavailable


@pytest.mark.parametrize(
    ("code", "status"), [("RequestThrottled", 403), ("ServiceUnavailable", 503), ("KmsThrottled", 400)]
)
def test_a_temporary_error_leaves_everything(cloud, code, status):
    """The caller tries again with a new delay."""
    cloud.sqs.meta.events.register("before-call.sqs.SendMessageBatch", refuse_call(code, status))
    outcome = cloud.queues.send(cloud.output, [schedule(1)], NOON_MS)
    assert ([schedule(1)], code) == (outcome.unconfirmed, outcome.last_error)


def test_a_call_without_an_answer_leaves_everything_and_boto3_does_not_retry(cloud):
    """A retry by boto3 would carry an old delay, so our code retries."""
    calls = []

    def time_out(**_):
        calls.append(1)
        raise ReadTimeoutError(endpoint_url="sqs")

    cloud.sqs.meta.events.register("before-send.sqs.SendMessageBatch", time_out)
    outcome = cloud.queues.send(cloud.output, [schedule(1)], NOON_MS)
    assert (1, "ReadTimeoutError") == (len(calls), outcome.last_error)


def test_reports_go_to_the_failure_queue_whole(cloud):
    """This includes the largest payload, whose length escaping doubles."""
    large = Schedule(schedule(1).key, NOON_MS, '"' * 262_144)
    reports = [failure_report.expired(each, NOON_MS + 5000) for each in (large, large, schedule(2))]
    first = cloud.queues.report(reports)
    assert (reports[:1], reports[1:]) == (first.confirmed, first.not_attempted)
    assert reports[1:] == retry_batch(cloud.queues.report, reports[1:], Clock().deadline()).confirmed
    bodies = [json.loads(message["Body"]) for message in cloud.received(cloud.failure)]
    assert {large.data, "data 2"} == {body["schedule"]["data"] for body in bodies}


def test_no_call_carries_lambdas_trace_header(cloud, monkeypatch):
    """Lambda counts invocations by it and would stop a consumer that schedules itself again after about 16 rounds."""
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "schedule")
    monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-5759e988-bd862e3fe1be46a994272793;Lineage=1:a87bd80c:16")
    headers = []

    def keep(request, **_):
        headers.extend(request.headers)

    cloud.sqs.meta.events.register("before-send.sqs.SendMessageBatch", keep)
    cloud.queues.send(cloud.output, [schedule(1)], NOON_MS)
    assert "Authorization" in headers
    assert not [name for name in headers if "trace" in name.lower()]


def test_a_batch_with_a_missing_parameter_is_sent_again_one_by_one(cloud):
    """SQS refuses the whole batch for an empty body. The neighbours must not wait for it."""
    bad = Schedule(schedule(1).key, NOON_MS, "bad")

    def refuse(params, **_):
        if any(entry["MessageBody"] == "bad" for entry in params["Entries"]):
            refuse_call("MissingParameter")()

    cloud.sqs.meta.events.register("provide-client-params.sqs.SendMessageBatch", refuse)
    outcome = cloud.queues.send(cloud.output, [bad, schedule(2)], NOON_MS)
    assert ([(bad, "MissingParameter")], [schedule(2)]) == (outcome.rejected, outcome.confirmed)


def test_a_delivery_job_waits_in_the_queue_and_comes_a_lead_early(cloud):
    """It is the whole schedule as text, or only the timer of a named one. The delay is rounded down."""
    entries = []
    cloud.sqs.meta.events.register(
        "provide-client-params.sqs.SendMessageBatch", lambda params, **_: entries.extend(params["Entries"])
    )
    topic = replace(schedule(1, NOON_MS + 10_900, target=TOPIC), user="Ünal", terms='{"retry":{"attempts":3}}')
    named = timer(replace(schedule(2, NOON_MS + 5_000), name="bill"), 7)
    assert cloud.delivery == cloud.queues.url_of(topic) == cloud.queues.url_of(named)
    assert [topic, named] == cloud.queues.send(cloud.delivery, [topic, named], NOON_MS).confirmed
    assert [9, 4] == [entry["DelaySeconds"] for entry in entries]
    assert DeliveryJob(topic) == delivery_job.read(entries[0]["MessageBody"])
    assert {"id": named.id, "due": named.due_ms, "name": "bill", "turn": 1} == json.loads(entries[1]["MessageBody"])


@pytest.mark.parametrize(("left_ms", "delay_s"), [(10_000, 10), (10_001, 11), (1, 1), (-1, 0)])
def test_a_retry_has_no_lead(cloud, left_ms, delay_s):
    """Its delay is rounded up. Its exact time does not matter, and waiting for it would hold a thread."""
    entries = []
    cloud.sqs.meta.events.register(
        "provide-client-params.sqs.SendMessageBatch", lambda params, **_: entries.extend(params["Entries"])
    )
    cloud.queues.send_job(DeliveryJob(schedule(1, target=TOPIC), 2, NOON_MS + left_ms), NOON_MS)
    assert [delay_s] == [entry["DelaySeconds"] for entry in entries]


def test_a_delivery_job_with_only_escaped_characters_is_a_batch_of_its_own(cloud):
    """256 KiB of data can double as JSON text. A retry waits no longer than the maximum delay of SQS."""
    heavy = [replace(sized(number, 1), data='"' * 262_144, target=TOPIC) for number in range(3)]
    assert [1, 1, 1] == [len(batch) for batch in cloud.queues.batches(cloud.delivery, heavy)]
    retry = DeliveryJob(heavy[0], attempt=2, retry_ms=NOON_MS + 2_000_000)
    assert [retry] == cloud.queues.send_job(retry, NOON_MS).confirmed
    attributes = cloud.sqs.get_queue_attributes(QueueUrl=cloud.delivery, AttributeNames=["All"])["Attributes"]
    assert "1" == attributes["ApproximateNumberOfMessagesDelayed"]


def test_an_envelope_is_the_body_on_request(cloud):
    """Its full length counts in a batch, and the message waits in the queue like any other."""
    target = f'{{"arn":"{OTHER_ARN}","envelope":true}}'
    wrapped = replace(schedule(1, target=target), name="bill", user="Ünal")
    assert [wrapped] == cloud.queues.send(cloud.output, [wrapped], NOON_MS).confirmed
    (message,) = cloud.received()
    facts = {"id": wrapped.id, "due": 1893456000, "name": "bill", "user": "Ünal", "data": "data 1"}
    assert facts == json.loads(message["Body"])
    assert {"id", "due", "name", "user"} == set(message["MessageAttributes"])

    escaped = [replace(sized(number, 1), data='"' * 262_144, target=target) for number in range(3)]
    assert [1, 1, 1] == [len(batch) for batch in cloud.queues.batches(cloud.output, escaped)]
    assert escaped[:1] == cloud.queues.send(cloud.output, escaped[:1], NOON_MS).confirmed
