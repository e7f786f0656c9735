"""The two older shapes: the messages that their users publish today are accepted unchanged."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import NOON_MS, OTHER_ARN
from scheduler.accepting import older_shapes, request
from scheduler.errors import InvalidSchedule
from scheduler.model.targets import AllowedTargets

RULES = request.AcceptRules(AllowedTargets(frozenset({OTHER_ARN}), "eu-central-1"))


def parse(raw):
    return request.parse(raw, NOON_MS, RULES)


# bahrmichael/aws-scheduler, README.md, "Input": the event of the Python example, as json.dumps writes it.
TOPIC_MESSAGE = (
    '{"date": "2019-07-27T12:20:24.919071", '
    '"target": "arn:aws:sns:us-east-1:256608350746:scheduler-output-prod", '
    '"user": "Twitter @michabahr", '
    '"payload": "46607451-3e67-49bc-972b-425c150c5456"}'
)

# agusmdev/aws-serverless-scheduler, README.md, "Input": the event of the Python example with its placeholders, and with
# a date that datetime.utcnow().isoformat() wrote.
WEBHOOK_MESSAGE = (
    '{"date": "2019-07-27T12:30:24.919071", '
    '"url": "https://api.telegram.org/bot<YOUR_TELEGRAM_BOT_TOKEN>/sendMessage'
    '?chat_id=<YOUR_TELEGRAM_CHAT_ID>&text=Your first scheduled message!", '
    '"method": "post"}'
)


def test_the_example_for_a_topic_is_read_exactly():
    """Its payload is sent byte for byte. Its date has no offset and is UTC."""
    assert {
        "timestamp": "2019-07-27T12:20:24.919071",
        "target": "arn:aws:sns:us-east-1:256608350746:scheduler-output-prod",
        "user": "Twitter @michabahr",
        "data": "46607451-3e67-49bc-972b-425c150c5456",
    } == older_shapes.to_current(json.loads(TOPIC_MESSAGE))


def test_the_example_for_a_webhook_is_read_exactly():
    """The request equals the request of that system.

    The method is in capitals, and characters that a URL cannot hold are quoted. The body is an empty object if there is
    no payload.

    agusmdev/aws-serverless-scheduler, scheduler/emitter.py: `payload: dict = {}`, sent by requests as `json=`.
    """
    assert {
        "timestamp": "2019-07-27T12:30:24.919071",
        "target": {
            "url": "https://api.telegram.org/bot%3CYOUR_TELEGRAM_BOT_TOKEN%3E/sendMessage"
            "?chat_id=%3CYOUR_TELEGRAM_CHAT_ID%3E&text=Your%20first%20scheduled%20message!",
            "method": "POST",
        },
        "data": {},
    } == older_shapes.to_current(json.loads(WEBHOOK_MESSAGE))


def test_a_failure_topic_is_a_failure_target():
    """bahrmichael/aws-scheduler, README.md: the fifth field, which is optional."""
    raw = {"date": "2030-01-31", "payload": "x", "target": OTHER_ARN, "user": "me", "failure_topic": OTHER_ARN}
    assert {
        "timestamp": "2030-01-31",
        "data": "x",
        "target": OTHER_ARN,
        "user": "me",
        "failure_target": OTHER_ARN,
    } == older_shapes.to_current(raw)


@pytest.mark.parametrize("nothing", [None, ""])
def test_empty_optional_fields_count_as_omitted(nothing):
    """That system never read them (bahrmichael/aws-scheduler, consumer.py), so callers may always send them."""
    raw = {"date": "2030-01-31", "payload": "x", "user": nothing, "failure_topic": nothing}
    assert {"timestamp": "2030-01-31", "data": "x"} == older_shapes.to_current(raw)


def test_every_field_of_a_webhook_goes_into_its_target():
    """The payload, object or string, becomes the data."""
    raw = {
        "date": "2030-01-31T08:00:00+01:00",
        "url": "https://example.com/hook",
        "method": "PATCH",
        "payload": {"order": 42},
        "headers": {"X-Token": "t"},
        "cookies": {"session": "s"},
    }
    to_current = older_shapes.to_current(raw)
    assert {"timestamp": raw["date"], "data": {"order": 42}} == {
        field: to_current[field] for field in to_current if field != "target"
    }
    assert {field: raw[field] for field in ("url", "method", "headers", "cookies")} == to_current["target"]


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("https://example.com/a b?c=d e#f", "https://example.com/a%20b?c=d%20e#f"),
        ("https://example.com?q=grüße 🎉", "https://example.com?q=gr%C3%BC%C3%9Fe%20%F0%9F%8E%89"),
        ("https://example.com/%20?q=a+b%2B&x=~!'()*[]", "https://example.com/%20?q=a+b%2B&x=~!'()*[]"),
        ("https://bücher.example /ü", "https://bücher.example /%C3%BC"),
        ("https://example.com", "https://example.com"),
        ("https://example.com/\r\nX: y", "https://example.com/\r\nX:%20y"),
        ("nonsense with spaces", "nonsense with spaces"),
    ],
)
def test_only_unambiguous_characters_are_quoted_in_a_url(url, sent):
    """The host, control characters and quoted characters stay for the check of the target."""
    to_current = older_shapes.to_current({"date": "2030-01-31", "url": url, "method": "post"})
    assert {"url": sent, "method": "POST"} == to_current["target"]


@pytest.mark.parametrize("method", ["get", "HEAD"])
def test_get_and_head_have_no_body_without_a_payload(method):
    """Many servers refuse even an empty object there. With a payload, the caller wants a body."""
    raw = {"date": "2030-01-31", "url": "https://example.com", "method": method}
    assert "data" not in older_shapes.to_current(raw)
    assert {"a": 1} == older_shapes.to_current({**raw, "payload": {"a": 1}})["data"]


def test_unchecked_fields_pass_unchanged():
    """A method that is no string, or an unknown field, is an error of a later check."""
    to_current = older_shapes.to_current({"date": True, "url": 7, "method": None, "colour": "red"})
    assert {"timestamp": True, "target": {"url": 7, "method": None}, "data": {}, "colour": "red"} == to_current


def test_an_older_shape_may_have_a_token():
    """A field that only the present shape has needs no translation."""
    added = {"token": "t", "expires_after": 5, "name": "n", "if_exists": "keep", "retry": {"attempts": 2}}
    assert added.items() <= older_shapes.to_current({"date": "2030-01-31", "payload": "x", **added}).items()


MIXED = [
    ({"date": "2030-01-31", "timestamp": 5, "data": "x"}, "date and timestamp are fields of two different shapes"),
    ({"date": "2030-01-31", "delay": 5}, "date and delay are fields"),
    ({"timestamp": 5, "payload": "x"}, "payload and timestamp are fields"),
    ({"date": "2030-01-31", "payload": "x", "data": "x"}, "date and data are fields"),
    ({"timestamp": 5, "data": "x", "url": "https://example.com"}, "url and timestamp are fields"),
    ({"date": "2030-01-31", "url": "https://example.com", "target": OTHER_ARN}, "url and target are fields"),
    ({"date": "2030-01-31", "headers": {}, "target": OTHER_ARN}, "headers and target are fields"),
    ({"date": "2030-01-31", "url": "u", "failure_topic": OTHER_ARN}, "url and failure_topic are fields"),
    ({"date": "2030-01-31", "payload": "x", "failure_target": OTHER_ARN}, "date and failure_target are fields"),
    ({"date": "2030-01-31", "method": "post", "payload": "x"}, "method is given without url"),
    ({"payload": "x", "target": OTHER_ARN}, "date is missing beside payload"),
    ({"url": "https://example.com", "method": "post"}, "date is missing beside url"),
]


@pytest.mark.parametrize(("raw", "says"), MIXED, ids=[says for _, says in MIXED])
def test_a_mixture_of_shapes_is_refused_by_the_names_of_its_fields(raw, says):
    """The code does not guess which of two times or two targets counts."""
    with pytest.raises(InvalidSchedule, match=says) as refusal:
        parse(raw)
    assert "wanted: " in str(refusal.value)
    assert len(str(refusal.value)) < 400


def test_an_older_shape_is_accepted_like_the_present_one():
    """It becomes the same request, and with the same token the same schedule."""
    older = {"date": "2030-01-31T08:00:00", "payload": {"a": 1}, "target": OTHER_ARN, "user": "me", "token": "t"}
    present = {"timestamp": older["date"], "data": {"a": 1}, "target": OTHER_ARN, "user": "me", "token": "t"}
    assert parse(present) == parse(older)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"date": "31.1.2030"}, "date is '31.1.2030', no date that exists"),
        ({"date": None}, "date is null; wanted: seconds since 1970"),
        ({"date": "1969-12-31"}, "date is '1969-12-31', before 1970"),
        ({"payload": ""}, "payload is a string of 0 bytes"),
        ({"payload": None}, "payload is null"),
        ({"payload": "\x00"}, "payload holds U"),
        ({"target": "nowhere"}, "target is 'nowhere'"),
        ({"user": 7}, "user is 7"),
        ({"colour": "red"}, "'colour' is not a field"),
    ],
)
def test_errors_name_the_field_as_the_caller_wrote_it(fields, says):
    """A caller who sent a date does not read about a timestamp."""
    with pytest.raises(InvalidSchedule) as refusal:
        parse({"date": "2030-01-31", "payload": "x", **fields})
    assert str(refusal.value).startswith(says)


def test_a_missing_payload_is_called_payload():
    """The error uses the word of the older shape."""
    with pytest.raises(InvalidSchedule, match=r"^payload is missing"):
        parse({"date": "2030-01-31", "target": OTHER_ARN})


def test_an_error_in_a_webhook_names_the_field_of_the_older_shape():
    """Our `target.url` is a top-level field in that message."""
    refusal = older_shapes.with_older_field_names(
        InvalidSchedule("target.url is 7; wanted: a URL"), {"date": "2030-01-31", "url": 7}
    )
    assert "url is 7; wanted: a URL" == str(refusal)


def test_errors_of_the_present_shape_stay_unchanged():
    """`data` is called data."""
    refusal = InvalidSchedule("data is missing")
    assert refusal is older_shapes.with_older_field_names(refusal, {"timestamp": 5})


names = {*older_shapes.OLDER_FIELDS, "timestamp", "delay", "data", "target", "user", "token", "junk"}
words = st.sampled_from(sorted(names))
values = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dictionaries(st.text(), st.text())


@given(st.dictionaries(words, values))
def test_any_mixture_is_translated_completely_or_refused(raw):
    """The present shape stays the same object, and nothing is changed in place."""
    before = json.dumps(raw)
    try:
        to_current = older_shapes.to_current(raw)
    except InvalidSchedule:
        return
    assert older_shapes.OLDER_FIELDS.isdisjoint(to_current)
    assert before == json.dumps(raw)
    assert (to_current is raw) == older_shapes.OLDER_FIELDS.isdisjoint(raw)
