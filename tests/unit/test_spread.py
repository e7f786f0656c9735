"""A spread: the schedule is due at a random moment between its time and that many seconds later."""

import json
from bisect import bisect
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import NOON_MS, Clock, FakeQueues, FakeTable, scheduling_dependencies
from scheduler.accepting import request, scheduling
from scheduler.accepting.from_queue import input_message
from scheduler.accepting.request import AcceptRules
from scheduler.errors import InvalidSchedule
from scheduler.limits import DUE_MS_MAX
from scheduler.model import sqs_records
from scheduler.model.schedule import repeatable_offset_ms
from scheduler.model.targets import AllowedTargets

TOPIC_ARN = "arn:aws:sns:eu-central-1:123456789012:topic"
NOON_S = NOON_MS // 1000
FAR_S = NOON_S + 100_000
BATCHES = [False, True]


def environment(partition_count=4):
    """Return a new execution environment with a table and queues of its own, and randomness of its own."""
    found = scheduling_dependencies(FakeTable(), FakeQueues(), AcceptRules(), partition_count)
    environment.seed = getattr(environment, "seed", 0) + 1
    found.key_generator.randomness.seed(environment.seed)
    return found


def accept(event, where=None, clock=None):
    return scheduling.accept(event, where or environment(), (clock or Clock()).deadline())


def spread(seconds=3600, timestamp=FAR_S, **fields):
    return {"timestamp": timestamp, "spread": seconds, "data": "x", **fields}


def test_a_schedule_with_a_spread_is_due_at_a_random_moment_in_it():
    """Both ends belong to it. The answer has the resulting time, which has whole milliseconds."""
    dues_ms = [round(accept(spread(0.003))["timestamp"] * 1000) for _ in range(100)]
    assert {FAR_S * 1000 + offset for offset in range(4)} == set(dues_ms)


def test_the_moments_of_a_batch_are_spread_evenly():
    """Each half and each tenth of the hour gets its share."""
    results = accept([spread() for _ in range(2_000)])["results"]
    offsets = [each["timestamp"] - FAR_S for each in results]
    assert 0 <= min(offsets) < 36
    assert 3564 < max(offsets) <= 3600
    assert all(140 < sum(tenth * 360 <= each < (tenth + 1) * 360 for each in offsets) < 260 for tenth in range(10))


def test_a_spread_of_nothing_is_the_time_itself():
    """This also holds under a token."""
    assert [FAR_S, FAR_S] == [accept(spread(0, **more))["timestamp"] for more in ({}, {"token": "t"})]


def test_the_result_decides_between_queue_and_table():
    """A time within reach with a spread beyond it may be far. Nothing goes to the queue early, or to the table late."""
    where = environment()
    answers = accept([spread(86_400, NOON_S, data=f"{number}") for number in range(500)], where)["results"]
    for answer in answers:
        assert (answer["timestamp"] <= NOON_S + 900) == (answer["state"] == "queued")
    assert {"queued", "stored"} == {answer["state"] for answer in answers}
    assert sum(answer["state"] == "queued" for answer in answers) == len(where.queues.sent)


def test_the_delay_of_a_schedule_may_have_a_spread():
    """It counts from the end of the delay."""
    assert NOON_S + 5 <= accept({"delay": 5, "spread": 5, "data": "x"})["timestamp"] <= NOON_S + 10


def test_a_local_time_may_have_a_spread():
    """The zone comes first."""
    due_s = accept({"timestamp": "2030-03-01T09:00", "zone": "Asia/Tokyo", "spread": 60, "data": "x"})["timestamp"]
    assert 1_898_553_600 <= due_s <= 1_898_553_660


def test_an_expiry_counts_from_the_result():
    """A schedule whose spread has not ended is not expired, although its time is long past."""
    with pytest.raises(InvalidSchedule, match="expires_after is 10"):
        accept(spread(0, NOON_S - 11, expires_after=10))
    where = environment()
    where.key_generator.randomness.seed(1)
    assert NOON_S - 10 < accept(spread(86_400, NOON_S - 11, expires_after=10), where)["timestamp"]


@pytest.mark.parametrize("wrong", [-1, 86_400.001, 86_401, 10**400, "5", None, True, [], float("nan"), float("inf")])
def test_a_wrong_spread_is_refused(wrong):
    """The error says what is accepted."""
    with pytest.raises(InvalidSchedule, match=r"^spread is .*; wanted: a number of seconds from 0 to 86400"):
        accept(spread(wrong))


def test_a_spread_ends_within_the_year_9999():
    """A schedule has no time after that."""
    with pytest.raises(InvalidSchedule, match=r"^spread is 2, which ends past the year 9999; wanted: a shorter one"):
        accept(spread(2, DUE_MS_MAX // 1000 - 1))
    assert DUE_MS_MAX // 1000 - 1 <= accept(spread(1, DUE_MS_MAX // 1000 - 1))["timestamp"]


def test_a_spread_alone_is_no_time():
    """It needs a timestamp or a delay."""
    with pytest.raises(InvalidSchedule, match="timestamp is missing"):
        accept({"spread": 5, "data": "x"})


def test_data_that_just_fits_its_target_fits_at_every_moment():
    """The due time is an attribute of a message of a topic. Its length must not depend on the moment."""
    rules = AcceptRules(AllowedTargets(frozenset({TOPIC_ARN}), "eu-central-1"))
    target = {"arn": TOPIC_ARN, "envelope": True}

    def fits(size, **fields):
        try:
            request.parse({"timestamp": FAR_S, "data": "x" * size, "target": target, **fields}, NOON_MS, rules)
        except InvalidSchedule:
            return False
        return True

    sizes = range(261_500, 262_145)
    most = bisect(sizes, False, key=lambda size: not fits(size))
    most_with_spread = bisect(sizes, False, key=lambda size: not fits(size, spread=5))
    in_envelope, in_attribute = (len("253402300799.999") - len(due) for due in (f"{FAR_S}", f"{FAR_S}.000"))
    assert in_envelope + in_attribute == most - most_with_spread


@pytest.mark.parametrize("in_batch", BATCHES)
def test_a_repeat_under_a_token_has_the_same_moment_and_id(in_batch):
    """The environment does not matter, nor the time, nor the place in a batch."""
    asked = spread(token="mine")
    first = accept(asked)
    later = Clock(NOON_MS + 50_000_000)
    other = accept([spread(), asked], clock=later)["results"][1] if in_batch else accept(asked, clock=later)
    assert (first["id"], first["timestamp"]) == (other["id"], other["timestamp"])
    assert first["timestamp"] != accept(spread(token="yours"))["timestamp"]


def test_a_batch_sent_again_with_its_token_is_the_same():
    """Members have moments of their own, and all go into the same bundles again."""
    batch = {"schedules": [spread(120, data=f"{number}") for number in range(50)], "token": "t"}
    first, second = accept(batch)["results"], accept(batch, clock=Clock(NOON_MS + 1_000_000))["results"]
    assert [(each["id"], each["timestamp"]) for each in first] == [(each["id"], each["timestamp"]) for each in second]
    assert 40 < len({each["timestamp"] for each in first})
    assert any(each["id"].count("-") == 3 for each in first)
    others = accept({**batch, "token": "u"})["results"]
    assert [each["timestamp"] for each in first] != [each["timestamp"] for each in others]


def test_without_a_token_each_request_has_another_moment():
    """A repeat is another schedule anyway."""
    assert 1 < len({accept(spread())["timestamp"] for _ in range(5)})


def test_a_named_schedule_has_a_spread_too():
    """Its record and its timer have the drawn time."""
    where = environment()
    answer = accept(spread(name="bill"), where)
    (timer,) = where.table.items.values()
    assert answer["timestamp"] * 1000 == timer.due_ms == where.records().current["bill"].schedule.due_ms
    again = accept(spread(name="bill", token="t"), where)
    assert ("kept", again["id"]) == tuple(
        accept(spread(name="bill", token="t"), where)[key] for key in ("result", "id")
    )


def message(content, receives=1, message_id="m", body=None):
    attributes = {"SentTimestamp": str(NOON_MS), "ApproximateReceiveCount": str(receives)}
    record = {"messageId": message_id, "body": body or json.dumps(content), "attributes": attributes}
    return input_message.opened(sqs_records.read({**record, "messageAttributes": {}}))


def take(opened, clock):
    return scheduling.accept_message(opened, False, environment(), clock.deadline())


def enveloped(content):
    """Return the message of a topic. SNS may deliver two of them, with two ids of SQS."""
    whole = {"Type": "Notification", "MessageId": "sns", "TopicArn": "t", "Message": json.dumps(content)}
    return json.dumps({**whole, "Timestamp": "2030-01-01T00:00:00.000Z"})


@given(st.lists(st.sampled_from([0, 1, 60, 86_400]), min_size=1, max_size=30), st.booleans(), st.booleans())
def test_a_message_that_comes_again_draws_the_same_moments(spreads, by_topic, alone):
    """The moments depend on the message and the index, and on the first message if it came through the topic."""
    content = [{"delay": 800, "spread": seconds, "data": f"{number}"} for number, seconds in enumerate(spreads)]
    content = content[0] if alone else content
    body = enveloped(content) if by_topic else None
    first = take(message(content, body=body), Clock())
    second = take(message(content, 2, "n" if by_topic else "m", body), Clock(NOON_MS + 700_000))
    assert [(each["id"], each["timestamp"]) for each in first] == [(each["id"], each["timestamp"]) for each in second]


def test_the_drawn_moment_depends_on_the_token_alone():
    """These values must never change, or a repeat across an update of the stack would be another schedule."""
    assert [69_275, 2_693_539] == [
        repeatable_offset_ms(3_600_000, identity) for identity in (["own", "t"], ["batch", 7, "t"])
    ]
    generator = environment().key_generator
    asked = request.parse(spread(token="t"), NOON_MS, AcceptRules())
    assert FAR_S * 1000 + 69_275 == generator.drawn(asked, 3, "batch").due_ms
    assert FAR_S * 1000 + 2_693_539 == generator.drawn(replace(asked, token=None), 7, "t").due_ms
