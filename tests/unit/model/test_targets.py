"""Targets: which are accepted, and how their text is stored and read."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import OTHER, OTHER_ARN, OUTPUT
from scheduler.errors import InvalidSchedule
from scheduler.limits import TARGET_BYTES_MAX
from scheduler.model import targets
from scheduler.model.targets import AllowedTargets

PLACE = "eu-central-1:123456789012"
KINDS = {
    OTHER_ARN: "sqs",
    f"arn:aws:sns:{PLACE}:topic": "sns",
    f"arn:aws:lambda:{PLACE}:function:worker": "lambda",
    f"arn:aws:lambda:{PLACE}:function:worker:live": "lambda",
    f"arn:aws:lambda:{PLACE}:function:worker:7": "lambda",
    f"arn:aws:lambda:{PLACE}:function:worker:$LATEST": "lambda",
    f"arn:aws:events:{PLACE}:event-bus/default": "events",
    f"arn:aws:states:{PLACE}:stateMachine:orders": "states",
    f"arn:aws:states:{PLACE}:stateMachine:Bestellungen.für-alle:3": "states",
    f"arn:aws:states:{PLACE}:stateMachine:orders:live": "states",
    "arn:aws-cn:sns:cn-north-1:123456789012:topic": "sns",
    "arn:aws-us-gov:lambda:us-gov-west-1:123456789012:function:worker": "lambda",
}
WEBHOOK = '{"url":"https://example.com/?a=b:c:d","method":"PUT"}'


def checked(value, region="eu-central-1"):
    return targets.checked(value, AllowedTargets(frozenset(KINDS), region))


@pytest.mark.parametrize(("arn", "kind"), KINDS.items(), ids=KINDS)
def test_a_listed_arn_is_kept_unchanged(arn, kind):
    """Plain with its kind, with an envelope in the canonical form, and plain again without one."""
    region = arn.split(":")[3]
    assert (arn, kind, False) == (checked(arn, region), targets.kind(arn), targets.envelope(arn))
    assert arn == checked({"arn": arn}, region) == checked({"envelope": False, "arn": arn}, region)

    enveloped = checked({"envelope": True, "arn": arn}, region)
    assert json.dumps({"arn": arn, "envelope": True}, separators=(",", ":"), ensure_ascii=False) == enveloped
    assert (arn, kind, True) == (targets.arn_of(enveloped), targets.kind(enveloped), targets.envelope(enveloped))
    assert [None, None] == [targets.invalid_reason("x", text) for text in (arn, enveloped)]


def test_a_canonical_target_is_canonical_again():
    """A caller can send a listed schedule as a request."""
    enveloped = checked({"arn": OTHER_ARN, "envelope": True})
    assert enveloped == checked(json.loads(enveloped))


REFUSED = [
    (None, "target is null; wanted: an ARN"),
    (True, "target is true"),
    ([OTHER_ARN], "target is a list of 1"),
    ({}, "target.arn is missing"),
    ({"envelope": True}, "target.arn is missing"),
    ({"arn": None}, "target.arn is null"),
    ({"arn": OTHER_ARN, "envelope": 1}, "target.envelope is 1; wanted: true or false"),
    ({"arn": OTHER_ARN, "envelope": "true"}, "target.envelope is 'true'"),
    ({"arn": OTHER_ARN, "envelope": None}, "target.envelope is null"),
    ({"arn": OTHER_ARN, "headers": {}}, "target has 'headers', which is not a field of it"),
    ({"arn": OTHER_ARN + "x"}, "target.arn is 'arn:aws:sqs:eu-central-1:123456789012:otherx', which is not listed"),
    ({"url": "https://example.com"}, "the stack's WebhookHosts lists no host"),
    ({"url": "https://example.com"}, "set the parameter WebhookHosts to their hosts and deploy the stack again"),
    (
        OTHER_ARN + "x",
        "not listed; wanted: an ARN that the stack's TargetArns lists; to list this one, add it there and dep",
    ),
    (f"arn:aws:s3:{PLACE}:bucket", "wanted: an ARN"),
    (f"arn:aws:sqs:{PLACE}:q.fifo", "a FIFO queue, which takes no delay"),
    (f"arn:aws:sns:{PLACE}:t.fifo", "a FIFO topic, which wants a message group"),
    ({"arn": f"arn:aws:sns:{PLACE}:t.fifo"}, "target.arn is 'arn:aws:sns:eu-central-1:123456789012:t.fifo', a FIFO"),
    (f"arn:aws:sns:{PLACE}:topic:8d8f8c3a-subscription", "wanted: an ARN"),
    (f"arn:aws:lambda:{PLACE}:function:worker:other", "which is not listed"),
    (f"arn:aws:lambda:{PLACE}:layer:worker:1", "wanted: an ARN"),
    (f"arn:aws:lambda:{PLACE}:function:worker:live:7", "wanted: an ARN"),
    (f"arn:aws:events:{PLACE}:rule/default", "wanted: an ARN"),
    (f"arn:aws:states:{PLACE}:execution:orders:1", "wanted: an ARN"),
    (f"arn:aws:states:{PLACE}:stateMachine:orders/label", "wanted: an ARN"),
    ("arn:aws:sns:eu-west-1:123456789012:topic", "not in this stack's region eu-central-1"),
    ("arn:aws:sqs:eu-central-1:١٢٣٤٥٦٧٨٩٠١٢:q", "wanted: an ARN"),
    (OTHER_ARN + " ", "wanted: an ARN"),
    (OTHER_ARN + '","envelope":true}', "wanted: an ARN"),
    (checked({"arn": OTHER_ARN, "envelope": True}), "wanted: an ARN"),
    ("arn:aws:sqs:eu-central-1:123456789012:" + "q" * 100_000, "(100038 characters)"),
]


@pytest.mark.parametrize(("value", "says"), REFUSED, ids=[says[:60] for _, says in REFUSED])
def test_any_other_target_is_refused_with_a_reason(value, says):
    """The error shows the field, the value and what is accepted."""
    with pytest.raises(InvalidSchedule) as refusal:
        checked(value)
    assert says in str(refusal.value)
    assert "wanted: " in str(refusal.value)
    assert ("not listed" in says) == ("not listed" in str(refusal.value))
    assert len(str(refusal.value)) < 600


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (None, "failure_target is null"),
        ({"url": "https://example.com"}, "failure_target is an object with 1 fields"),
        ("https://example.com", "failure_target is 'https://example.com'"),
        (f"arn:aws:lambda:{PLACE}:function:worker", "failure_target is 'arn:aws:lambda"),
        (f"arn:aws:sqs:{PLACE}:q.fifo", "a FIFO queue, which takes no delay"),
        (f"arn:aws:sns:{PLACE}:topic:subscription", "failure_target is 'arn:aws:sns"),
        ("arn:aws:sns:eu-west-1:123456789012:topic", "not in this stack's region eu-central-1"),
        (OTHER_ARN + "x", "which is not listed"),
    ],
)
def test_the_error_for_a_failure_target_mentions_failure_targets_only(value, says):
    """Envelopes and webhooks are for targets."""
    with pytest.raises(InvalidSchedule) as refusal:
        targets.checked_failure_target(value, AllowedTargets(frozenset(KINDS), "eu-central-1"))
    message = str(refusal.value)
    assert message.startswith("failure_target is ")
    assert says in message
    assert ("deploy the stack again" in message) == ("which is not listed" in message)
    assert not [word for word in ("envelope", "webhook", '{"url"', "the output queue") if word in message]


def test_no_arn_comes_near_the_size_limit_of_a_target():
    """The limit is for webhooks with their headers."""
    longest = f"arn:aws-us-gov:sns:us-gov-west-1:123456789012:{'t' * 256}"
    listed = AllowedTargets(frozenset({longest}), "us-gov-west-1")
    assert TARGET_BYTES_MAX > 10 * len(targets.checked({"arn": longest, "envelope": True}, listed))


def test_only_queues_get_messages_without_the_deliver_function():
    """The output queue, and any queue with or without an envelope. The deliver function serves all other targets."""
    queue = checked({"arn": OTHER_ARN, "envelope": True})
    assert [True] * 3 == [targets.goes_straight(target) for target in (None, OTHER_ARN, queue)]
    assert [OUTPUT, OTHER, OTHER] == [targets.queue_url(target, OUTPUT) for target in (None, OTHER_ARN, queue)]
    others = [arn for arn, kind in KINDS.items() if kind != "sqs"]
    assert not [arn for arn in [*others, WEBHOOK] if targets.goes_straight(arn)]
    assert ("webhook", False, "sqs") == (targets.kind(WEBHOOK), targets.envelope(WEBHOOK), targets.kind(None))


@pytest.mark.parametrize(
    ("data", "target", "says"),
    [
        ("", None, "its data is empty"),
        ("", OTHER_ARN, "its data is empty"),
        ("", f"arn:aws:sns:{PLACE}:topic", "its data is empty"),
        ("", WEBHOOK, None),
        ("x", WEBHOOK, None),
        ("x", None, None),
        ("\x00", None, "U+0000 at position 0, a character that SQS refuses"),
        ("x", "", "its target is none"),
        ("", "nowhere", "its target is none"),
        ("x", f"arn:aws:sqs:{PLACE}:q.fifo", "its target is none"),
        ("x", "{", "its target is none"),
        ("x", "{}", "its target is none"),
        ("x", '{"url":7}', "its target is none"),
        ("x", "{" * 200_000, "its target is none"),
        ("x", '{"url":' * 100_000, "its target is none"),
        ("x", '{"arn":"', "its target is none"),
        ("x", '{"arn":"nowhere","envelope":true}', "its target is none"),
        ("x", f'{{"arn":"{OTHER_ARN}","envelope":false}}', "its target is none"),
    ],
)
def test_an_unusable_stored_target_is_described(data, target, says):
    """Anyone may have written texts to the table."""
    found = targets.invalid_reason(data, target)
    assert found is None if says is None else found is not None and found.startswith(says)


@given(st.text(max_size=3), st.text(max_size=60) | st.text(max_size=60).map('{"arn":"'.__add__))
def test_any_stored_target_is_judged_without_raising(data, target):
    """Reading an accepted target raises nothing either."""
    if targets.invalid_reason(data, target) is None:
        assert targets.kind(target) in {"sqs", "sns", "lambda", "events", "states", "webhook"}


@pytest.mark.parametrize(
    "value",
    [
        "https://hooks.example.com/h?key=hunter2",
        "https://me:hunter2@hooks.example.com",
        "https://hooks.example.com#hunter2",
        "hooks.example.com/hunter2",
        "hooks.example.com?hunter2",
    ],
)
def test_a_url_in_place_of_an_arn_is_shown_up_to_its_host(value):
    """The rest may be secret, and errors end up in logs. The error also says how to write a webhook."""
    for check in (targets.checked, targets.checked_failure_target):
        with pytest.raises(InvalidSchedule, match=r"hooks\.example\.com'") as refusal:
            check(value, AllowedTargets())
        assert "hunter2" not in str(refusal.value)
    with pytest.raises(InvalidSchedule) as refusal:
        targets.checked(value, AllowedTargets())
    assert ("://" in value) == ('a webhook is an object, {"url": "https://..."}' in str(refusal.value))


@pytest.mark.parametrize(
    ("target", "name", "family"),
    [
        (None, "", "sqs"),
        (OTHER_ARN, OTHER_ARN, OTHER_ARN.split(":")[2]),
        ('{"arn":"' + OTHER_ARN + '","envelope":true}', OTHER_ARN, OTHER_ARN.split(":")[2]),
        ('{"url":"https://a.b.example.com/x"}', "a.b.example.com", "example.com"),
        ('{"url":"https://example.com:8443/x"}', "example.com:8443", "example.com"),
        ('{"url":"http://localhost:80/"}', "localhost:80", "localhost"),
        ('{"url":"https://93.184.216.34/"}', "93.184.216.34", "93.184.216.34"),
        ('{"url":"https://[2606:4700::1]:444/"}', "[2606:4700::1]:444", "[2606:4700::1]"),
    ],
)
def test_each_target_has_an_endpoint_and_a_family(target, name, family):
    """The endpoint is a host or an ARN. The family is its domain or its service."""
    assert (name, family) == targets.receiver(target)
