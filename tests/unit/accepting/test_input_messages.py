"""Input messages: the function opens every message of the input queue, or says what is wrong with it."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.accepting.from_queue import input_message
from scheduler.accepting.from_queue.input_message import LEVELS_MAX, REQUEUE_ATTRIBUTE
from scheduler.limits import BATCH_SCHEDULES_MAX, NESTING_MAX
from scheduler.model import sqs_records

EVENTS = Path(__file__).parents[3] / "events"

SENT_MS = 1_893_456_000_000
ONE = {"delay": 60, "data": "x"}


def record(body, message_id="from-sqs", again=None, sent_ms=SENT_MS, count=1):
    return {
        "messageId": message_id,
        "body": body,
        "attributes": {"SentTimestamp": str(sent_ms), "ApproximateReceiveCount": str(count)},
        "messageAttributes": {} if again is None else {REQUEUE_ATTRIBUTE: {"dataType": "String", "stringValue": again}},
    }


def envelope(message, **parts):
    return {
        "Type": "Notification",
        "MessageId": "from-sns",
        "TopicArn": "arn:aws:sns:eu-central-1:123456789012:input",
        "Message": message,
        "Timestamp": "2030-01-01T00:00:00.123Z",
        **parts,
    }


def read(body, *positional, **facts):
    return input_message.opened(sqs_records.read(record(body, *positional, **facts)))


def opened(content):
    return read(content if isinstance(content, str) else json.dumps(content))


def samples(name):
    return [input_message.opened(sqs_records.read(each)) for each in json.loads((EVENTS / name).read_text())["Records"]]


def test_a_direct_message_has_the_id_and_time_of_sqs():
    """The sample in events/ shows it. A batch uses its token instead of the id."""
    one, batch = samples("input-queue.json")
    assert [{"delay": 1200, "data": "counted from when the message was sent"}] == one.requests
    assert (one.message_id, 1_893_456_000_000) == (one.token_root, one.sent_ms)
    assert ("t", 2, 1_893_455_990_000) == (batch.token_root, len(batch.requests), batch.sent_ms)
    assert [None, None] == [one.failure, batch.failure]


def test_a_message_of_the_topic_has_the_id_and_time_of_sns():
    """SNS may deliver one message to the queue twice, and each copy then has its own SQS id."""
    topic, webhook = samples("input-topic.json")
    assert ("eccc1539-0867-5c6d-8b53-408f5b91b578", 1_564_229_966_405) == (topic.token_root, topic.sent_ms)
    assert "b3b5a5c0-9a9e-4f5c-8d2e-3a1f0c9be001" == topic.message_id
    assert ["46607451-3e67-49bc-972b-425c150c5456"] == [request["payload"] for request in topic.requests]
    assert ["post"] == [request["method"] for request in webhook.requests]


@pytest.mark.parametrize("wrap", [lambda text: text, lambda text: json.dumps(envelope(text))])
@pytest.mark.parametrize(
    ("content", "requests"),
    [
        (ONE, [ONE]),
        ([ONE, 7, "text"], [ONE, 7, "text"]),
        ({"schedules": [ONE, ONE]}, [ONE, ONE]),
        ({"Type": "Notification", "MessageId": "x"}, [{"Type": "Notification", "MessageId": "x"}]),
        (json.dumps(ONE), [json.dumps(ONE)]),  # JSON in a JSON string is a string, which is no schedule.
        (5, [5]),
        (None, [None]),
    ],
)
def test_an_object_a_list_and_a_batch_are_requests(wrap, content, requests):
    """The requests are checked later, one by one."""
    message = opened(wrap(json.dumps(content)))
    assert (requests, None, content) == (message.requests, message.failure, message.content)


def test_the_token_of_a_batch_precedes_the_id_of_its_message():
    """A batch that is published again is then the same batch."""
    batch = {"schedules": [ONE], "token": "mine"}
    assert ["mine", "mine"] == [opened(batch).token_root, opened(envelope(json.dumps(batch))).token_root]


def test_every_delivery_of_an_input_message_is_the_same():
    """SNS may deliver it to the queue a second time."""
    text = json.dumps(envelope(json.dumps([ONE])))
    first, second = read(text, "a"), read(text, "b")
    assert (first.sent_ms, first.token_root, first.requests) == (second.sent_ms, second.token_root, second.requests)


@pytest.mark.parametrize(
    ("timestamp", "sent_ms"),
    [
        ("2029-12-31T23:59:00.000Z", SENT_MS - 60_000),
        ("2030-01-01T00:00:01.000Z", SENT_MS + 1_000),
        ("2030-01-01T00:00:01.001Z", SENT_MS),
        ("9990-01-01T00:00:00.000Z", SENT_MS),
    ],
)
def test_no_input_message_comes_from_the_future(timestamp, sent_ms):
    """Two clocks of AWS may differ a little. Beyond that, the date of SQS counts, which no sender can write."""
    assert sent_ms == opened(envelope(json.dumps(ONE), Timestamp=timestamp)).sent_ms


def requeue(message, indexes, unnotified=(), **facts):
    """Return the record as SQS delivers it after the function put it back."""
    part = message.remainder(indexes, unnotified)
    return read(part.body, **{"message_id": "another", "sent_ms": SENT_MS + 60_000, **facts}, again=part.again)


def test_the_sample_of_a_partial_message_is_correct():
    """The sample in events/ is what the function would put back."""
    (part,) = samples("input-put-back.json")
    assert ("2e1424d4-f796-459a-8184-9c92662be6da", 1_893_456_000_000, [1]) == (
        part.token_root,
        part.sent_ms,
        part.indexes,
    )


@pytest.mark.parametrize(
    "content",
    [[ONE] * 4, {"schedules": [ONE] * 4, "token": "mine"}, envelope(json.dumps([ONE] * 4))],
    ids=["list", "batch", "topic"],
)
def test_a_partial_message_keeps_everything_but_the_finished_members(content):
    """It keeps the source of keys and tokens, and continues the count of tries."""
    message = read(json.dumps(content), count=3)
    first = requeue(message, [0, 2, 3], count=2)
    second = requeue(first, [2])
    assert [range(4), [0, 2, 3], [2]] == [each.indexes for each in (message, first, second)]
    assert [3, 5, 6] == [each.history.tries for each in (message, first, second)]
    facts = [(each.token_root, each.sent_ms, each.requests) for each in (message, first, second)]
    assert [facts[0]] * 3 == facts


@pytest.mark.parametrize(
    "again",
    [
        "", "x", "[]", "5", "null", "[" * 100_000, "{}",
        '{"id": "", "sent": 5, "tries": 1, "places": [0]}',
        '{"id": "x", "sent": -1, "tries": 1, "places": [0]}',
        '{"id": "x", "sent": true, "tries": 1, "places": [0]}',
        '{"id": "x", "sent": 5, "tries": -1000, "places": [0]}',
        '{"id": "x", "sent": 5, "tries": 1, "places": []}',
        '{"id": "x", "sent": 5, "tries": 1, "places": [1, 0]}',
        '{"id": "x", "sent": 5, "tries": 1, "places": [0, 0]}',
        '{"id": "x", "sent": 5, "tries": 1, "places": "01"}',
        '{"id": "x", "sent": 5, "tries": 1, "places": 0}',
        '{"id": "%s", "sent": 5, "tries": 1, "places": [0]}' % ("x" * 129),
    ],
)  # fmt: skip
def test_a_foreign_attribute_makes_no_partial_message(again):
    """Another sender may use the same word. Its message is read like any other."""
    text = json.dumps([ONE, ONE])
    assert opened(text) == read(text, again=again)


def test_unknown_indexes_are_ignored():
    """No member is skipped because of indexes that the message does not have."""
    forged = '{"id": "x", "sent": 5, "tries": 1, "places": [0, 2]}'
    assert range(2) == read(json.dumps([ONE, ONE]), again=forged).indexes


def test_a_partial_message_never_gets_a_later_time():
    """Anyone may have written its attribute."""
    forged = json.dumps({"id": "x", "sent": SENT_MS + 5_000, "tries": 0, "places": [0]})
    assert SENT_MS == read(json.dumps([ONE, ONE]), again=forged).sent_ms


TOPIC = "arn:aws:sns:eu-central-1:123456789012:failures-of-a-caller"


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from([TOPIC, TOPIC + "2"]), st.text(min_size=1)), max_size=6))
def test_errors_for_a_failure_target_come_back_with_the_message(notes):
    """Any text may be in the errors. These members are no longer to be scheduled."""
    unnotified = sorted({input_message.Unnotified.noted(*note) for note in notes})
    waiting = sorted({0, 1, 2, 3}.difference(each.batch_index for each in unnotified))
    part = requeue(opened([ONE] * 4), [index for index in waiting if index < 3 or not unnotified], unnotified)
    assert unnotified == list(part.unnotified)
    assert [index for index in waiting if index < 3 or not unnotified] == list(part.indexes)


def test_the_previous_version_finds_all_remaining_members():
    """It reads only indexes. During an update it may receive what this version put back."""
    part = opened([ONE] * 4).remainder([1], [input_message.Unnotified(3, TOPIC, "error")])
    assert [1, 3] == json.loads(part.again)["places"]


def test_a_message_that_an_operator_sends_back_has_its_first_id_and_time():
    """The operator need not know how many members it has."""
    again = json.dumps({"id": "first", "sent": SENT_MS - 5, "tries": 0})
    message = read(json.dumps([ONE] * 2), again=again)
    assert ("first", SENT_MS - 5, range(2)) == (message.token_root, message.sent_ms, message.indexes)


@pytest.mark.parametrize(
    "facts", [{"SentTimestamp": None}, {"ApproximateReceiveCount": "x"}, {"SentTimestamp": "9" * 400}]
)
def test_a_record_without_the_attributes_of_sqs_is_refused_as_a_whole(facts):
    """Delays have no starting time without them."""
    whole = record(json.dumps(ONE))
    message = input_message.opened(sqs_records.read({**whole, "attributes": {**whole["attributes"], **facts}}))
    assert message.failure.startswith("the message cannot be read: the record has no SentTimestamp or no Approximate")
    assert ([], json.dumps(ONE)) == (message.requests, message.content)


UNREADABLE = [
    ("", "the message is no JSON: Expecting value at position 0"),
    ("hello", "the message is no JSON"),
    ('{"timestamp": 5', "the message is no JSON: Expecting ',' delimiter at position 15"),
    ("\ufeff{}", "the message is no JSON"),
    ("[1" + "0" * 5000 + "]", "the message holds a number of thousands of digits"),
    ("[" * 100_000, f"the message is nested more than {LEVELS_MAX} levels deep"),
]


@pytest.mark.parametrize(("text", "says"), UNREADABLE, ids=[says for _, says in UNREADABLE])
def test_an_unreadable_message_is_kept_as_text(text, says):
    """The error says why and what is accepted. For an envelope, the text is what the publisher wrote."""
    for message in (opened(text), opened(envelope(text))):
        assert (text, []) == (message.content, message.requests)
        assert message.failure.startswith(says)
        assert 'wanted: an object such as {"timestamp"' in message.failure


REFUSED_WHOLE = [
    ([], "schedules is a list of 0"),
    ({"schedules": [ONE] * (BATCH_SCHEDULES_MAX + 1)}, "schedules is a list of 10001"),
    ({"schedules": "x"}, "schedules is 'x'"),
    ({"schedules": [ONE], "tokne": "t"}, "'tokne' is not a field of a batch"),
    ({"schedules": [ONE], "token": ""}, "token is ''"),
    (envelope("{}", Timestamp="yesterday"), "the envelope's timestamp is 'yesterday'"),
]


@pytest.mark.parametrize(("content", "says"), REFUSED_WHOLE, ids=[says for _, says in REFUSED_WHOLE])
def test_a_message_that_is_refused_as_a_whole_has_no_requests(content, says):
    """A direct caller would get the same error."""
    message = opened(content)
    assert message.failure.startswith(says)
    assert "wanted: " in message.failure
    assert [] == message.requests


def test_data_that_is_slightly_too_deep_affects_no_neighbour():
    """The message is readable, so only this member is refused. Much deeper data refuses the whole message."""

    def batch(levels):
        return f'{{"schedules": [{json.dumps(ONE)}, {{"delay": 5, "data": {"[" * levels}{"]" * levels}}}]}}'

    assert [None, True] == [opened(batch(levels)).failure and True for levels in (NESTING_MAX + 90, LEVELS_MAX)]


def test_an_envelope_in_an_envelope_is_no_schedule():
    """Only one envelope is opened. Its content belongs to the publisher."""
    inner = envelope(json.dumps(ONE))
    assert [inner] == opened(envelope(json.dumps(inner))).requests


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["schedules", "token", "Type", "Message", "x"]), inner, max_size=4)
    ),
)


@given(
    st.dictionaries(st.sampled_from(["id", "sent", "tries", "places"]), json_values).map(json.dumps)
    | st.lists(st.integers(0, 3)).map(
        lambda indexes: json.dumps({"id": "x", "sent": SENT_MS, "tries": 1, "places": indexes})
    )
)
def test_no_attribute_breaks_the_opening(again):
    """Any attribute leaves requests or a failure."""
    message = read(json.dumps([ONE] * 3), again=again)
    assert 1 <= len(message.indexes) <= 3
    assert set(message.indexes) <= {0, 1, 2}


@given(st.text() | json_values.map(json.dumps) | json_values.map(json.dumps).map(envelope).map(json.dumps))
def test_no_body_breaks_the_opening(body):
    """The result is requests or a failure, and never an exception."""
    message = opened(body)
    assert bool(message.requests) == (message.failure is None)
