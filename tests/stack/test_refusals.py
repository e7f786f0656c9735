"""Invalid input to the deployed function gives a helpful error and writes nothing. Its neighbours are accepted."""

import time

import pytest

from punctual.local.deployment import FunctionFailed

pytestmark = pytest.mark.slow

FAR_S = 4_070_908_800
DATA_BYTES_MAX = 262_144


def far(**fields):
    return {"timestamp": FAR_S, "data": "x", **fields}


def nested(levels):
    value = "x"
    for _ in range(levels):
        value = {"in": value}
    return value


# Unit tests cover input that the wire or Python's JSON cannot carry. Python's JSON accepts NaN and Infinity.
REFUSED = [
    ({}, "timestamp is missing"),
    ({"timestamp": FAR_S}, "data is missing"),
    (far(delay=5), "timestamp and delay are both given"),
    ({"timestmap": FAR_S, "data": "x"}, "'timestmap' is not a field; did you mean timestamp?"),
    (far(timestamp=True), "timestamp is true"),
    (far(timestamp=float("nan")), "timestamp is nan"),
    (far(timestamp=float("inf")), "timestamp is inf"),
    (far(timestamp=-1), "before 1970"),
    (far(timestamp=253402300800), "past the year 9999"),
    (far(timestamp=FAR_S * 1000), "it looks like milliseconds"),
    (far(timestamp="soon"), "'soon', no date that exists"),
    (far(timestamp="2031-02-29"), "'2031-02-29', no date that exists"),
    (far(data=""), "data is a string of 0 bytes"),
    (far(data=None), "data is null"),
    (far(data="x" * (DATA_BYTES_MAX + 1)), "data is a string of 262145 bytes"),
    (far(data="\x00"), "data holds U+0000"),
    (far(data="\ud800"), "data holds U+D800 at position 0, a lone surrogate"),
    (far(data="\ufffe"), "data holds U+FFFE"),
    (far(data=nested(101)), "data is nested more than 100 levels deep"),
    (far(target="arn:aws:sqs:us-east-1:000000000000:unlisted"), "which is not listed"),
    (far(target="target"), "target is 'target'; wanted: an ARN that"),
    (far(target="arn:aws:sqs:eu-west-1:000000000000:target"), "not in this stack's region us-east-1"),
    (far(target="arn:aws:sqs:us-east-1:000000000000:target.fifo"), "a FIFO queue, which takes no delay"),
    (far(target={"url": "https://example.com"}), "target is a webhook, and the stack's WebhookHosts lists no host"),
    (far(token="x" * 129), "token is "),
    ({"delay": 1, "data": "x", "token": "x"}, "delay and token are both given"),
    (far(name="mine and yours"), "name is 'mine and yours'; wanted: 1 to 128 of"),
    (far(if_exists="keep"), "if_exists is given without a name"),
    (far(retry={"attempts": 0}), "retry.attempts is 0"),
    (far(failure_target="me"), "failure_target is 'me'"),
    ("text", "the schedule is 'text'"),
    (5, "the schedule is 5"),
    (None, "the schedule is null"),
    ([], "the schedule is a list of 0"),
]


def test_good_members_of_a_batch_are_accepted_next_to_bad_ones(stack, table, output_queue):
    """Each error names the field, shows the truncated value, and says what is accepted."""
    now_s = time.time()
    good = [{"timestamp": now_s, "data": "near"}, {"timestamp": FAR_S, "data": "far"}]
    answer = stack.invoke("ScheduleFunction", [good[0], *(raw for raw, _ in REFUSED), good[1]])
    assert (2, len(REFUSED)) == (answer["accepted"], answer["rejected"])
    for (raw, says), result in zip(REFUSED, answer["results"][1:-1], strict=True):
        assert "InvalidSchedule" == result["error"]
        assert says in result["message"], raw
        assert len(result["message"]) < 400
    assert ["near"] == [message.body for message in output_queue.receive()]
    assert ["far"] == [item["data"]["S"] for item in table.items()]


@pytest.mark.parametrize(
    ("event", "says"),
    [
        ("text", "the schedule is 'text'; wanted: an object such as"),
        (7, "the schedule is 7"),
        (None, "the schedule is null"),
        (True, "the schedule is true"),
        ([], "schedules is a list of 0; wanted: a list of 1 to 10000"),
        ([5] * 10_001, "schedules is a list of 10001"),
        ({"schedules": {}}, "schedules is an object with 0 fields"),
        ({"timestmap": FAR_S, "data": "x"}, "'timestmap' is not a field; did you mean timestamp?"),
        (far(data=""), "data is a string of 0 bytes"),
    ],
)
def test_an_invalid_single_request_raises_and_leaves_nothing_behind(stack, table, output_queue, event, says):
    """The caller sees FunctionError with the documented type and the message."""
    with pytest.raises(FunctionFailed) as failure:
        stack.invoke("ScheduleFunction", event)
    assert "InvalidSchedule" == failure.value.error_type
    assert says in failure.value.error_message
    assert ([], 0) == (table.items(), output_queue.count())


def test_no_log_line_holds_a_payload(stack):
    """This covers accepted and refused requests."""
    stack.invoke("ScheduleFunction", [{"delay": 1, "data": "card of Zoe"}, {"delay": 1, "data": "card of Zoe\x00"}])
    with pytest.raises(FunctionFailed):
        stack.invoke("ScheduleFunction", {"delay": 1, "data": "card of Zoe\x00"})
    assert "Zoe" not in stack.emulator.log_path.read_text()
