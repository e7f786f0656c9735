"""A schedule that its target would refuse for its size is refused when it arrives."""

import pytest

from fakes import NOON_MS, OTHER_ARN
from scheduler.accepting import payload_size
from scheduler.errors import InvalidSchedule
from scheduler.limits import DATA_BYTES_MAX, SQS_BATCH_BYTES_MAX, USER_CHARACTERS_MAX
from scheduler.model.payloads import detail, document, enveloped
from scheduler.model.schedule import Key, Request, Schedule

PLACE = "eu-central-1:123456789012"
TOPIC = f"arn:aws:sns:{PLACE}:topic"
MACHINE = f"arn:aws:states:{PLACE}:stateMachine:orders"
OTHERS = [f"arn:aws:lambda:{PLACE}:function:worker", f"arn:aws:events:{PLACE}:event-bus/default", OTHER_ARN, None]
JSON = f'["{"x" * (DATA_BYTES_MAX - 4)}"]'


def request(data, target, **fields):
    return Request(NOON_MS, data, target, **fields)


@pytest.mark.parametrize(
    ("data", "target", "says"),
    [
        ("x" * DATA_BYTES_MAX, TOPIC, "data comes to 262216 bytes as a message of an SNS topic with its attributes"),
        ("x" * DATA_BYTES_MAX, MACHINE, "data comes to 262146 bytes as the input of a state machine"),
        ('"' * (DATA_BYTES_MAX // 2), MACHINE, "data comes to 262146 bytes"),
        (JSON, f'{{"arn":"{MACHINE}","envelope":true}}', "bytes as the input of a state machine"),
        ("ü" * (DATA_BYTES_MAX // 2), TOPIC, "wanted: at most 262144 bytes"),
    ],
)
def test_a_schedule_that_the_target_would_refuse_is_refused(data, target, says):
    """The size is the size on the wire: attributes, quotes and envelope count."""
    with pytest.raises(InvalidSchedule, match=says):
        payload_size.check(request(data, target))


@pytest.mark.parametrize(
    ("data", "target"),
    [(JSON, MACHINE), ("x" * (DATA_BYTES_MAX - 72), TOPIC), *[("x" * DATA_BYTES_MAX, other) for other in OTHERS]],
)
def test_a_schedule_that_just_fits_is_accepted(data, target):
    """JSON text goes to a state machine unchanged. The other targets take a mebibyte."""
    payload_size.check(request(data, target))


def test_name_and_user_count_for_a_topic():
    """They are attributes of the message."""
    data = "x" * (DATA_BYTES_MAX - 72)
    for fields in ({"user": "u"}, {"name": "n"}):
        with pytest.raises(InvalidSchedule):
            payload_size.check(request(data, TOPIC, **fields))


def test_the_largest_schedule_fits_a_mebibyte():
    """Every character is escaped, in an envelope, with the longest name and user."""
    largest = Schedule(
        Key("255", f"{'9' * 15}#{'f' * 16}"),
        NOON_MS,
        '"' * DATA_BYTES_MAX,
        user='"' * USER_CHARACTERS_MAX,
        name="n" * 128,
    )
    for text in (enveloped(largest), detail(largest), document(largest)):
        assert SQS_BATCH_BYTES_MAX / 2 < len(text.encode()) + 4_096 < SQS_BATCH_BYTES_MAX * 0.6
