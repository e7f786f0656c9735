"""The queues by SQS's rules: what a message may be, what a batch may hold, and how each kind of no is read."""

import gc
import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from botocore.exceptions import ReadTimeoutError

from bending import bend_batch, refuse_call
from fakes import NOON_MS, OTHER_ARN, Clock, schedule
from scheduler.execution.deadline import retry_batch
from scheduler.model import delivery_job, failure_report
from scheduler.model.delivery_job import DeliveryJob
from scheduler.model.schedule import Key, Schedule, sort_from, timer
from scheduler.wiring import runtime

TOPIC = "arn:aws:sns:eu-central-1:123456789012:topic"


def sized(number, data_bytes):
    return Schedule(Key("0", f"{sort_from(NOON_MS)}#{number:016x}"), NOON_MS, "x" * data_bytes)


def test_body_is_the_data_and_attributes_say_what_it_is(cloud):
    """id and due, three decimals, and user where given; Unicode and newlines untouched."""
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
    """The delay that is left, and none for what is overdue."""
    delays = []
    cloud.sqs.meta.events.register(
        "provide-client-params.sqs.SendMessageBatch",
        lambda params, **_: delays.extend(entry["DelaySeconds"] for entry in params["Entries"]),
    )
    cloud.queues.send(cloud.output, [schedule(1, NOON_MS + 899_001), schedule(2, NOON_MS - 1)], NOON_MS)
    assert [900, 0] == delays
    assert ["data 2"] == [message["Body"] for message in cloud.received()]


def test_a_delay_beyond_the_limit_is_refused_for_its_content(cloud):
    """The limit is SQS's; moto keeps it."""
    outcome = cloud.queues.send(cloud.output, [schedule(1, NOON_MS + 900_001), schedule(2)], NOON_MS)
    assert (["data 2"], ["data 1"]) == ([s.data for s in outcome.confirmed], [s.data for s, _ in outcome.rejected])


def test_a_batch_refused_for_one_bad_message_is_sent_again_one_by_one(cloud):
    """Should a character that SQS refuses get so far, by another's hand: its neighbours go through.

    moto takes such characters; SQS does not, and answers for the whole batch:
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
    """A page may hold ten of 256 KiB; three of them fit a call."""
    assert [10, 10, 5] == [
        len(batch) for batch in cloud.queues.batches(cloud.output, [sized(n, 100) for n in range(25)])
    ]
    large = [sized(number, 262_144) for number in range(10)]
    batches = list(cloud.queues.batches(cloud.output, large))
    assert [3, 3, 3, 1] == [len(batch) for batch in batches]
    for batch in batches:
        assert batch == cloud.queues.send(cloud.output, batch, NOON_MS).confirmed
    assert {262_144} == {len(message["Body"]) for message in cloud.received()}


def test_what_stands_under_failed_is_not_done(cloud):
    """Ours to try again where it is SQS's fault, refused where it is the message, closed where it is the queue."""
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


def test_a_batch_that_is_sent_one_by_one_stops_at_the_first_that_is_not_confirmed(cloud):
    """Ten calls that time out would take longer than the time that a feed keeps back."""
    calls = []

    def refuse_then_break(params, **_):
        calls.append(1)
        return refuse_call("UnsupportedOperation", 400)() if len(calls) == 1 else refuse_call("InternalFailure", 500)()

    cloud.sqs.meta.events.register("before-call.sqs.SendMessageBatch", refuse_then_break)
    many = [schedule(number) for number in range(10)]
    assert (many, 2) == (cloud.queues.send(cloud.output, many, NOON_MS).unconfirmed, len(calls))


def test_a_schedule_is_handed_over_to_the_deliver_function_whatever_its_target_is(cloud):
    """As an errand, in the delivery queue. One call sends ten, and the rest is untried."""
    many = [schedule(number) for number in range(12)]
    outcome = cloud.queues.hand_over(many, NOON_MS)
    assert (many[:10], many[10:]) == (outcome.confirmed, outcome.not_attempted)
    bodies = [message["Body"] for message in cloud.received(cloud.delivery)]
    assert {each.id for each in many[:10]} == {delivery_job.read(body).id for body in bodies}


def test_what_is_in_neither_list_is_left(cloud):
    """Only what SQS confirmed is done."""
    cloud.sqs.meta.events.register("after-call.sqs.SendMessageBatch", lambda parsed, **_: parsed.pop("Successful"))
    assert [schedule(1)] == cloud.queues.send(cloud.output, [schedule(1)], NOON_MS).unconfirmed


def test_a_queue_that_is_gone_is_closed(cloud):
    """And says so by its name in either protocol of SQS."""
    outcome = cloud.queues.send(cloud.output + "-gone", [schedule(1)], NOON_MS)
    assert [(schedule(1), "NonExistentQueue")] == outcome.unavailable


@pytest.mark.parametrize("code", ["AccessDenied", "AccessDeniedException", "KmsDisabled", "KMS.AccessDeniedException"])
def test_a_queue_that_is_not_ours_to_send_to_is_closed(cloud, code):
    """By its policy or its key."""
    cloud.sqs.meta.events.register("before-call.sqs.SendMessageBatch", refuse_call(code, 403))
    assert [(schedule(1), code)] == cloud.queues.send(cloud.output, [schedule(1)], NOON_MS).unavailable


@pytest.mark.parametrize(
    ("code", "status"), [("RequestThrottled", 403), ("ServiceUnavailable", 503), ("KmsThrottled", 400)]
)
def test_what_passes_leaves_everything(cloud, code, status):
    """To be tried again with a new delay."""
    cloud.sqs.meta.events.register("before-call.sqs.SendMessageBatch", refuse_call(code, status))
    outcome = cloud.queues.send(cloud.output, [schedule(1)], NOON_MS)
    assert ([schedule(1)], code) == (outcome.unconfirmed, outcome.last_error)


def test_a_call_without_an_answer_leaves_everything_and_is_not_sent_again_by_boto3(cloud):
    """A resend of its own would carry a stale delay; trying again is ours."""
    calls = []

    def time_out(**_):
        calls.append(1)
        raise ReadTimeoutError(endpoint_url="sqs")

    cloud.sqs.meta.events.register("before-send.sqs.SendMessageBatch", time_out)
    outcome = cloud.queues.send(cloud.output, [schedule(1)], NOON_MS)
    assert (1, "ReadTimeoutError") == (len(calls), outcome.last_error)


def test_reports_go_to_the_failure_queue_whole(cloud):
    """Even for the largest payload that escaping makes twice as long."""
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


@pytest.mark.parametrize("service", ["dynamodb", "sqs", "lambda"])
def test_clients_wait_five_seconds_and_never_try_again_by_themselves(cloud, service):
    """So that a try is one call, and ends while there is time to act on it."""
    config = runtime.outside().client(service, 3).meta.config
    assert (1, 4, 1, 3) == (
        config.connect_timeout,
        config.read_timeout,
        config.retries["total_max_attempts"],
        config.max_pool_connections,
    )
    assert "AWS_MAX_ATTEMPTS" not in os.environ


def test_clients_that_many_threads_ask_for_at_once_are_whole(cloud):
    """Those of a target's service are made at first use, by whoever of a crew comes first."""
    make, services = runtime.outside().client, ["sns", "lambda", "events", "stepfunctions"] * 3
    with ThreadPoolExecutor(len(services)) as pool:
        made = list(pool.map(lambda service: make(service, 1), services))
    assert [] == made[0].list_topics()["Topics"]
    assert ["sns", "lambda", "events", "states"] * 3 == [client.meta.service_model.endpoint_prefix for client in made]
    assert gc.isenabled()


def test_a_batch_with_a_parameter_missing_is_sent_again_one_by_one(cloud):
    """SQS says so of an empty body, for the whole batch; the neighbours are not to wait for it."""
    bad = Schedule(schedule(1).key, NOON_MS, "bad")

    def refuse(params, **_):
        if any(entry["MessageBody"] == "bad" for entry in params["Entries"]):
            refuse_call("MissingParameter")()

    cloud.sqs.meta.events.register("provide-client-params.sqs.SendMessageBatch", refuse)
    outcome = cloud.queues.send(cloud.output, [bad, schedule(2)], NOON_MS)
    assert ([(bad, "MissingParameter")], [schedule(2)]) == (outcome.rejected, outcome.confirmed)


def test_what_is_to_be_delivered_waits_as_an_errand_and_comes_a_lead_early(cloud):
    """The whole schedule in one text, or of a named one no more than wakes it; the delay is rounded down."""
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
def test_what_is_tried_again_is_not_waited_for(cloud, left_ms, delay_s):
    """Its delay is rounded up, without a lead: nobody awaits it to the moment, and a wait would hold a thread."""
    entries = []
    cloud.sqs.meta.events.register(
        "provide-client-params.sqs.SendMessageBatch", lambda params, **_: entries.extend(params["Entries"])
    )
    cloud.queues.send_errand(DeliveryJob(schedule(1, target=TOPIC), 2, NOON_MS + left_ms), NOON_MS)
    assert [delay_s] == [entry["DelaySeconds"] for entry in entries]


def test_an_errand_with_every_sign_escaped_is_a_batch_of_its_own(cloud):
    """As JSON text 256 KiB may become twice that; and a retry waits no longer than SQS lets it."""
    heavy = [replace(sized(number, 1), data='"' * 262_144, target=TOPIC) for number in range(3)]
    assert [1, 1, 1] == [len(batch) for batch in cloud.queues.batches(cloud.delivery, heavy)]
    retry = DeliveryJob(heavy[0], attempt=2, retry_ms=NOON_MS + 2_000_000)
    assert [retry] == cloud.queues.send_errand(retry, NOON_MS).confirmed
    attributes = cloud.sqs.get_queue_attributes(QueueUrl=cloud.delivery, AttributeNames=["All"])["Attributes"]
    assert "1" == attributes["ApproximateNumberOfMessagesDelayed"]


def test_an_envelope_is_the_body_where_the_target_wants_one(cloud):
    """It counts in a batch with all its length, and the message waits in the queue like any other."""
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
