"""A caller's input becomes a checked request."""

import functools
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import NOON_MS, OTHER_ARN
from scheduler.accepting import request
from scheduler.accepting.request import AcceptRules
from scheduler.errors import InvalidSchedule
from scheduler.limits import DATA_BYTES_MAX, NESTING_MAX
from scheduler.model.targets import AllowedTargets
from scheduler.text import fault
from scheduler.webhooks import webhook as webhooks
from scheduler.webhooks.allowed_hosts import Hosts

RULES = AcceptRules(AllowedTargets(frozenset({OTHER_ARN, "arn:aws:sqs:eu-west-1:123456789012:far"}), "eu-central-1"))


def parse(raw, rules=RULES):
    return request.parse(raw, NOON_MS, rules)


def good(**fields):
    return {"timestamp": 1893456000, "data": "x", **fields}


def nested(levels):
    value = 1
    for _ in range(levels):
        value = [value]
    return value


def test_two_fields_are_enough():
    """{"timestamp", "data"} is the minimal request."""
    parsed = parse({"timestamp": 1564378340, "data": "some payload"})
    assert (1_564_378_340_000, "some payload", None, None) == (parsed.due_ms, parsed.data, parsed.target, parsed.user)


@pytest.mark.parametrize(
    ("data", "sent"),
    [
        ("some payload", "some payload"),
        ("Zeile\nnächste\tZeile 🎉\r\n", "Zeile\nnächste\tZeile 🎉\r\n"),
        ({"a": [1, 2.5, None, True], "ü": "🎉"}, '{"a":[1,2.5,null,true],"ü":"🎉"}'),
        ([], "[]"),
        ({}, "{}"),
        (0, "0"),
        (False, "false"),
        ("x" * DATA_BYTES_MAX, "x" * DATA_BYTES_MAX),
        ("ü" * (DATA_BYTES_MAX // 2), "ü" * (DATA_BYTES_MAX // 2)),
        ({"control": "\x00"}, '{"control":"\\u0000"}'),  # JSON escapes it into text that SQS accepts.
    ],
)
def test_data_is_the_string_itself_or_compact_json(data, sent):
    """A string is sent unchanged, and any other value as its JSON text."""
    assert sent == parse(good(data=data)).data


REFUSED = [
    ("text", "the schedule is 'text'"),
    (5, "the schedule is 5"),
    (None, "the schedule is null"),
    ([], "the schedule is a list of 0"),
    ({}, "timestamp is missing"),
    ({"data": "x"}, "timestamp is missing"),
    (good(delay=5), "timestamp and delay are both given"),
    (good(timestmap=5), "'timestmap' is not a field; did you mean timestamp?"),
    (good(colour="red"), "'colour' is not a field; accepted are timestamp, delay, zone, spread, data"),
    (good(name=""), "name is ''; wanted: 1 to 128 of A-Z a-z 0-9 . _ : / -"),
    (good(name="a b"), "name is 'a b'"),
    (good(name="n" * 129), "name is 'nnn"),
    (good(name=7), "name is 7"),
    (good(name="3-001893456000000-0123456789abcdef"), "not of the form of an id"),
    (good(name="3-001893456000000-0123456789abcdef-12"), "not of the form of an id"),
    (good(name="me", if_exists="perhaps"), "if_exists is 'perhaps'; wanted: one of replace, keep, fail"),
    (good(name="me", if_exists=None), "if_exists is null"),
    (good(if_exists="keep"), "if_exists is given without a name"),
    (good(retry={}), 'retry is an object with 0 fields; wanted: {"attempts": 1 to 20, "max_age_s": 1 to 604800}'),
    (good(retry=3), "retry is 3"),
    (good(retry={"attempts": 0}), "retry.attempts is 0"),
    (good(retry={"attempts": 21}), "retry.attempts is 21"),
    (good(retry={"attempts": True}), "retry.attempts is true"),
    (good(retry={"attempts": 2.5}), "retry.attempts is 2.5"),
    (good(retry={"max_age_s": 604_801}), "retry.max_age_s is 604801"),
    (good(retry={"tries": 3}), "retry has 'tries', which is not a field of it"),
    (good(failure_target="me"), "failure_target is 'me'; wanted: the ARN of a standard SQS queue or SNS topic"),
    (good(failure_target=None), "failure_target is null"),
    (good(failure_target="arn:aws:sqs:eu-central-1:123456789012:unlisted"), "which is not listed"),
    (good(failure_target="arn:aws:lambda:eu-central-1:123456789012:function:f"), "wanted: the ARN of a standard SQS"),
    ({"timestamp": 5, "payload": "x"}, "payload and timestamp are fields of two different shapes"),
    ({"timestamp": 1893456000}, "data is missing"),
    (good(operation="get", name="n"), "'operation' is not a field: an operation goes to the manage function"),
    (
        good(cron="0 9 * * *"),
        "'cron' is not a field: Punctual schedules single moments: schedule the next one each time",
    ),
    (good(rate="5 minutes"), "or let EventBridge Scheduler invoke the schedule function"),
    (good(name="n", repeat={"every": 60}), "'repeat' is not a field: it is reserved for a later version"),
    (good(timestamp="rate(5 minutes)"), "no date that exists; Punctual schedules single moments"),
    (good(data=None), "data is null"),
    (good(data=""), "data is a string of 0 bytes"),
    (good(data="x" * (DATA_BYTES_MAX + 1)), "data is a string of 262145 bytes"),
    (good(data="ü" * (DATA_BYTES_MAX // 2 + 1)), "data is a string of 262146 bytes"),
    (good(data=["x" * DATA_BYTES_MAX]), "data is a string of 262148 bytes"),
    (good(data="a\x00b"), "data holds U+0000 at position 1, a character that SQS refuses"),
    (good(data="\x1b"), "data holds U+001B"),
    (good(data="\ufffe"), "data holds U+FFFE"),
    (good(data="\ud800"), "data holds U+D800 at position 0, a lone surrogate"),
    (good(data={"deep": "\udfff"}), "data holds U+DFFF"),
    (good(data=[math.nan]), "data holds a number that JSON has no way to write"),
    (good(data=[10**5000]), "data holds a number that JSON has no way to write"),
    (good(data=nested(NESTING_MAX + 1)), f"data is nested more than {NESTING_MAX} levels deep"),
    (good(data=nested(100_000)), f"data is nested more than {NESTING_MAX} levels deep"),
    (good(user=""), "user is ''"),
    (good(user="x" * 257), "… (257 characters); wanted: a string of 1 to 256 characters"),
    (good(user=7), "user is 7"),
    (good(user="a\x07"), "user holds U+0007"),
    (good(token=""), "token is ''"),
    (good(token="x" * 129), "… (129 characters); wanted: a string of 1 to 128 characters"),
    (good(token=None), "token is null"),
    ({"delay": 5, "data": "x", "token": "t"}, "delay and token are both given"),
    (good(expires_after=-1), "expires_after is -1"),
    (good(expires_after=True), "expires_after is true"),
    (good(expires_after="1"), "expires_after is '1'"),
    (good(target="nowhere"), "target is 'nowhere'; wanted: an ARN that the stack's TargetArns lists"),
    (good(target=None), "target is null"),
    (good(target={"url": "https://example.com"}), "target is a webhook, and the stack's WebhookHosts lists no host"),
    (good(target="arn:aws:sns:eu-central-1:123456789012:topic"), "which is not listed"),
    (good(target="arn:aws:sqs:eu-central-1:123456789012:q.fifo"), "a FIFO queue, which takes no delay"),
    (good(target="arn:aws:sqs:eu-central-1:123456789012:unknown"), "which is not listed"),
    (good(target="arn:aws:sqs:eu-west-1:123456789012:far"), "not in this stack's region eu-central-1"),
    (good(target=OTHER_ARN + "\n"), "wanted: an ARN"),
]


@pytest.mark.parametrize(("raw", "says"), REFUSED, ids=[says[:50] for _, says in REFUSED])
def test_an_invalid_request_is_refused_with_a_reason(raw, says):
    """Every error names the field, shows the truncated value, and says what is accepted."""
    with pytest.raises(InvalidSchedule) as refusal:
        parse(raw)
    message = str(refusal.value)
    assert says in message
    assert "wanted: " in message or "accepted are " in message
    assert len(message) < 400


@pytest.mark.parametrize(
    ("data", "state"), [({}, "missing"), ({"data": None}, "null"), ({"data": ""}, "a string of 0")]
)
def test_the_error_for_missing_data_mentions_webhooks_if_the_stack_has_any(data, state):
    """In a stack without webhooks, data is always required."""
    raw = {"timestamp": 1893456000, **data}
    with_webhooks = AcceptRules(AllowedTargets(check_webhook=lambda _: '{"url":"https://a.example/"}'))
    for rules in (RULES, with_webhooks):
        with pytest.raises(InvalidSchedule, match=f"data is {state}") as refusal:
            parse(raw, rules)
        assert (rules is with_webhooks) == ("; only a webhook may leave it out" in str(refusal.value))


WEBHOOKS = AcceptRules(
    AllowedTargets(check_webhook=functools.partial(webhooks.checked, hosts=Hosts.read("a.example", False)))
)
SKIPPED = {"url": "https://a.example/", "headers": {"Accept": "*/*", "User-Agent": "@@@SKIP_HEADER@@@"}}


def test_a_webhook_may_omit_data_but_not_send_null():
    """Omitted data means no body. A null is more likely a mistake of the caller."""
    webhook = {"timestamp": 5, "target": {"url": "https://a.example/"}}
    assert "" == parse(webhook, WEBHOOKS).data
    with pytest.raises(InvalidSchedule, match=r"data is null; .*; only a webhook may leave it out"):
        parse({**webhook, "data": None}, WEBHOOKS)


@pytest.mark.parametrize("method", ["FETCH", "fetch", "POTS"])
def test_an_unknown_http_method_is_refused(method):
    """The older shape accepts it, because that system did. The previous version accepted it from its queue as well."""
    target = {"url": "https://a.example/", "method": method}
    with pytest.raises(InvalidSchedule, match=rf"^target\.method is '{method}'; wanted: one of GET, HEAD, POST"):
        parse(good(target=target), WEBHOOKS)
    assert method.upper() in (parse({"date": 5, **target}, WEBHOOKS).target or "")
    assert method.upper() in (request.parse(good(target=target), NOON_MS, WEBHOOKS, by_older_rules=True).target or "")


@pytest.mark.parametrize("method", ["get", "HEAD", "Options", "PURGE", "PROPFIND"])
def test_data_is_accepted_with_every_method(method):
    """Some receivers read the body of GET and HEAD requests."""
    assert "x" == parse(good(target={"url": "https://a.example/", "method": method}), WEBHOOKS).data


def test_a_header_that_is_never_sent_is_refused():
    """urllib3 treats this value as a command and fails every attempt. The older shape has the same problem."""
    with pytest.raises(
        InvalidSchedule, match=r"^target\.headers\['User-Agent'\] is '@@@SKIP_HEADER@@@', which is never"
    ):
        parse(good(target=SKIPPED), WEBHOOKS)
    with pytest.raises(InvalidSchedule, match=r"^headers\['User-Agent'\] is '@@@SKIP_HEADER@@@', which is never sent"):
        parse({"date": 5, **SKIPPED}, WEBHOOKS)
    assert "SKIP" in (request.parse(good(target=SKIPPED), NOON_MS, WEBHOOKS, by_older_rules=True).target or "")


@pytest.mark.parametrize("target", [None, OTHER_ARN])
def test_a_queue_may_have_a_retry(target):
    """It has little or no effect, but callers send it with every schedule."""
    raw = good(retry={"attempts": 3}, **({} if target is None else {"target": target}))
    assert '{"retry":{"attempts":3}}' == parse(raw).terms


def test_an_error_never_quotes_the_payload():
    """Errors end up in logs. They show the size of the data or a single character, but not the content."""
    with pytest.raises(InvalidSchedule) as refusal:
        parse(good(data="card 4111 1111 1111 1111\x00"))
    assert "4111" not in str(refusal.value)


def test_a_listed_queue_is_accepted_as_target():
    """The exact ARN, in the region of the stack."""
    assert OTHER_ARN == parse(good(target=OTHER_ARN)).target


def test_user_is_required_if_the_stack_says_so():
    """RequireUser makes a missing user an error and changes nothing else."""
    required = AcceptRules(require_user=True)
    with pytest.raises(InvalidSchedule, match="user is missing, and this stack requires it"):
        parse(good(), required)
    assert "me" == parse(good(user="me"), required).user


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=10,
)
fields = st.sampled_from(
    ["timestamp", "delay", "data", "target", "user", "token", "expires_after", "name", "date", "payload", "url", "junk"]
)


@given(st.dictionaries(fields, json_values) | json_values)
def test_hostile_input_is_accepted_or_refused(raw):
    """Any JSON becomes a request that SQS accepts, or raises InvalidSchedule. There is no other exception."""
    try:
        parsed = parse(raw)
    except InvalidSchedule:
        return
    assert fault(parsed.data) is None
    assert 1 <= len(parsed.data.encode()) <= DATA_BYTES_MAX


@given(st.text(st.characters(), min_size=1, max_size=50))
def test_text_is_accepted_exactly_where_xml_allows_it(text):
    """The rule of SQS: #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF."""
    codes = [ord(character) for character in text]
    allowed = [c in (9, 10, 13) or 0x20 <= c <= 0xD7FF or 0xE000 <= c <= 0xFFFD or c >= 0x10000 for c in codes]
    assert all(allowed) == (fault(text) is None)


@given(json_values.filter(lambda value: value is not None and not isinstance(value, str)))
def test_json_data_means_the_same_to_the_receiver(value):
    """Any JSON value that the receiver parses from the body equals the value that the caller sent."""
    try:
        text = parse(good(data=value)).data
    except InvalidSchedule:
        return
    assert value == json.loads(text)
