"""Near schedules go to the queue and far ones to the table. The answer counts only what AWS confirmed."""

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import NOON_MS, OTHER, OTHER_ARN, OUTPUT, Clock, FakeQueues, FakeTable, scheduling_dependencies
from scheduler.accepting.from_queue import input_message
from scheduler.accepting.from_queue.input_message import REQUEUE_ATTRIBUTE
from scheduler.accepting.request import AcceptRules
from scheduler.accepting.scheduling import accept, accept_message
from scheduler.errors import InvalidSchedule, NotConfirmed
from scheduler.model import sqs_records
from scheduler.model.targets import AllowedTargets

NOON_S = NOON_MS // 1000


@pytest.fixture
def table():
    return FakeTable()


@pytest.fixture
def queues():
    return FakeQueues()


@pytest.fixture
def schedule(table, queues):
    """Return one environment of the schedule function, at noon."""
    taking = scheduling_dependencies(table, queues, AcceptRules(AllowedTargets(frozenset({OTHER_ARN}), "eu-central-1")))
    return lambda event, clock=None: accept(event, taking, (clock or Clock()).deadline())


def test_a_near_schedule_goes_to_the_queue_with_its_remaining_time_as_delay(schedule, table, queues):
    """Schedules within the reach of a queue are not written to the table."""
    answer = schedule({"timestamp": NOON_S + 900, "data": "near"})
    assert "queued" == answer["state"]
    assert NOON_S + 900 == answer["timestamp"]
    assert [(OUTPUT, "near", 900)] == queues.sent
    assert {} == table.items


def test_a_far_schedule_goes_to_the_table(schedule, table, queues):
    """A millisecond beyond the reach is far."""
    answer = schedule({"timestamp": NOON_S + 900.001, "data": "far"})
    assert "stored" == answer["state"]
    assert [answer["id"]] == [each.id for each in table.items.values()]
    assert [] == queues.sent


def test_a_past_schedule_is_sent_at_once(schedule, queues):
    """This includes 1970."""
    assert "queued" == schedule({"timestamp": 0, "data": "old"})["state"]
    assert [(OUTPUT, "old", 0)] == queues.sent


def test_the_year_9999_waits_in_the_table(schedule, table):
    """Its key has the usual length."""
    answer = schedule({"timestamp": "9999-12-31T23:59:59.999Z", "data": "last"})
    assert 253402300799.999 == answer["timestamp"]
    assert ["253402300799999"] == [key.sort[:15] for key in table.items]


def test_a_named_target_queue_gets_the_message(schedule, queues):
    """The URL of the target is that of the output queue with the account and name of the ARN."""
    schedule({"delay": 5, "data": "x", "target": OTHER_ARN})
    assert [(OTHER, "x", 5)] == queues.sent


def test_a_refused_request_leaves_nothing_behind(schedule, table, queues):
    """Promise 5: the caller gets an error with the reason, and there is neither item nor message."""
    with pytest.raises(InvalidSchedule, match="delay is -1"):
        schedule({"delay": -1, "data": "x"})
    assert ({}, 0, []) == (table.items, table.partitions, queues.sent)


def test_good_requests_of_a_batch_are_accepted_next_to_bad_ones(schedule, table, queues):
    """Results are in the order of the requests, each with its id or its error."""
    answer = schedule([{"delay": 1, "data": "a"}, 7, {"delay": 1000, "data": "b"}, {"delay": True, "data": "c"}])
    assert (2, 2) == (answer["accepted"], answer["rejected"])
    states = [result.get("state") or result["error"] for result in answer["results"]]
    assert ["queued", "InvalidSchedule", "stored", "InvalidSchedule"] == states
    assert "the schedule is 7" in answer["results"][1]["message"]
    assert (["a"], 1) == (queues.data, len(table.items))


@pytest.mark.parametrize(
    ("event", "says"),
    [
        ([], "schedules is a list of 0"),
        ([{"delay": 1, "data": "x"}] * 10_001, "schedules is a list of 10001"),
        ({"schedules": "x"}, "schedules is 'x'"),
        ({"schedules": None}, "schedules is null"),
        ({"schedules": [{"delay": 1, "data": "x"}], "tokne": "t"}, "'tokne' is not a field of a batch"),
        ({"schedules": [{"timestamp": 1, "data": "x"}], "token": "x" * 129}, "token is "),
    ],
)
def test_an_invalid_batch_is_refused_as_a_whole(schedule, queues, event, says):
    """It is empty, too long, no list, or has an unknown field."""
    with pytest.raises(InvalidSchedule, match=says):
        schedule(event)
    assert [] == queues.sent


def test_10000_schedules_are_one_batch(schedule, table):
    """One call takes no more."""
    answer = schedule([{"delay": 1000, "data": "x"}] * 10_000)
    assert 10_000 == answer["accepted"] == len({result["id"] for result in answer["results"]})
    assert 10_000 == sum(bundle.count for bundle in table.items.values())


def test_far_repeats_with_one_token_are_stored_once(schedule, table):
    """Sent three times, in one batch or one by one, they have the same id and one item."""
    request = {"timestamp": NOON_S + 5000, "data": "x", "token": "t"}
    ids = {result["id"] for result in schedule([request, request])["results"]} | {schedule(request)["id"]}
    assert 1 == len(ids) == len(table.items)


def test_near_repeats_in_a_batch_are_sent_once(schedule, queues):
    """A later repeat may be sent again, with the same id."""
    request = {"timestamp": NOON_S + 5, "data": "x", "token": "t"}
    answer = schedule([request, request])
    assert (2, ["x"]) == (answer["accepted"], queues.data)
    assert answer["results"][0]["id"] == schedule(request)["id"]


def test_a_batch_sent_again_with_its_token_is_stored_once(schedule, table):
    """The index in the batch counts, so two equal members are two schedules and no repeats."""
    batch = {"schedules": [{"timestamp": NOON_S + 5000, "data": "x"}] * 3, "token": "t"}
    first, second = schedule(batch), schedule(batch)
    assert first == second
    assert (3, 1) == (len({result["id"] for result in first["results"]}), len(table.items))


def test_a_delay_in_a_batch_with_a_token_is_refused(schedule):
    """A repeat would be due at another time and so be another schedule."""
    answer = schedule({"schedules": [{"delay": 5, "data": "x"}], "token": "t"})
    assert "delay and token are both given" in answer["results"][0]["message"]


def test_a_send_that_failed_for_a_while_is_retried_with_the_remaining_delay(schedule, queues):
    """The old delay would deliver late."""
    queues.failing = {"x": 6}
    clock = Clock()
    schedule({"timestamp": NOON_S + 100, "data": "x"}, clock)
    late_s = (clock.now_ms - NOON_MS) // 1000
    assert late_s >= 1
    assert [(OUTPUT, "x", 100 - late_s)] == queues.sent


def test_an_unconfirmed_schedule_is_not_accepted(schedule, table):
    """A single request raises NotConfirmed, and the caller may send it again."""
    table.down = True
    with pytest.raises(NotConfirmed, match="did not confirm it in time"):
        schedule({"delay": 5000, "data": "x"})


def test_each_unconfirmed_member_of_a_batch_is_reported(schedule, table, queues):
    """A table that is down does not affect messages to a queue."""
    table.down = True
    answer = schedule([{"delay": 5, "data": "near"}, {"delay": 5000, "data": "far"}])
    assert ["queued", "NotConfirmed"] == [result.get("state") or result["error"] for result in answer["results"]]
    assert ["near"] == queues.data


def test_content_that_a_queue_refuses_is_an_invalid_schedule(schedule, queues):
    """SQS may have a rule that we do not know. The caller learns of it and does not send the request again."""
    queues.refused = {"odd"}
    answer = schedule([{"delay": 5, "data": "odd"}, {"delay": 5, "data": "fine"}])
    assert ["InvalidSchedule", None] == [result.get("error") for result in answer["results"]]


def test_a_missing_target_queue_affects_no_other(schedule, queues):
    """The caller may send the request again, because the queue may come back."""
    queues.closed = {OTHER}
    answer = schedule([{"delay": 5, "data": "x", "target": OTHER_ARN}, {"delay": 5, "data": "y"}])
    assert ["NotConfirmed", None] == [result.get("error") for result in answer["results"]]
    assert ["y"] == queues.data


def test_the_partition_count_is_stored_before_the_first_far_write(table, queues):
    """An environment stores it once."""
    taking = scheduling_dependencies(table, queues)
    accept({"delay": 1, "data": "near"}, taking, Clock().deadline())
    assert 0 == table.partitions
    accept({"delay": 1000, "data": "far"}, taking, Clock().deadline())
    assert 4 == table.partitions
    table.partitions = 0
    accept({"delay": 1000, "data": "far"}, taking, Clock().deadline())
    assert 0 == table.partitions


@pytest.mark.slow
def test_the_answer_to_the_worst_batch_fits_lambdas_six_megabytes(schedule):
    """Each error is truncated to a size counted as JSON."""
    worst = "🎉" * 60
    for field in ("timestamp", "target", "token", "colour" + worst):
        answer = schedule([{"timestamp": 5, "data": "x", field: worst * 10}] * 10_000)
        assert 10_000 == answer["rejected"]
        assert len(json.dumps(answer)) < 6_000_000


def test_nothing_begins_after_the_deadline_and_the_answer_says_so(table, queues):
    """Lambda would otherwise end the function without an answer."""
    clock = Clock()
    answer = accept(
        [{"delay": 5, "data": "near"}, {"delay": 5000, "data": "far"}] * 100,
        scheduling_dependencies(table, queues),
        clock.deadline(0),
    )
    assert {"NotConfirmed"} == {result["error"] for result in answer["results"]}
    assert ({}, []) == (table.items, queues.sent)


def test_an_expired_request_is_refused(schedule, queues):
    """It would never be delivered, alone or in a batch."""
    past = {"timestamp": 1, "data": "x", "expires_after": 10}
    with pytest.raises(InvalidSchedule, match="expires_after is 10, so it is past already and would never be released"):
        schedule(past)
    assert ["InvalidSchedule", None] == [r.get("error") for r in schedule([past, {"delay": 0, "data": "y"}])["results"]]
    assert ["y"] == queues.data


def test_a_near_schedule_that_expires_during_retries_is_not_queued(schedule, queues):
    """It would arrive later than its expires_after."""
    queues.failing = {"x": 5}
    with pytest.raises(NotConfirmed, match="expired"):
        schedule({"delay": 0, "data": "x", "expires_after": 0.1})
    assert [] == queues.sent


def test_a_member_that_keeps_an_earlier_one_of_its_batch_does_not_delay_it(schedule, queues):
    """The timer is that of the remaining member, at its own time. A second timer would come after it."""
    first = {"timestamp": NOON_S + 60, "data": "first", "name": "n"}
    answer = schedule([first, {**first, "data": "second", "if_exists": "keep"}])
    assert ["created", "kept"] == [each["result"] for each in answer["results"]]
    assert [60] == [delay_s for _, _, delay_s in queues.sent]


def test_no_member_with_a_name_is_accepted_if_the_last_has_no_timer(schedule, queues, table):
    """The far schedule that they replaced keeps its timer."""
    before = schedule({"timestamp": NOON_S + 9000, "data": "before", "name": "n"})
    queues.failing[""] = 100
    near = {"timestamp": NOON_S + 60, "data": "near", "name": "n"}
    answer = schedule([near, {**near, "data": "last"}])
    assert ["NotConfirmed", "NotConfirmed"] == [each.get("error") for each in answer["results"]]
    assert [before["id"]] == [each.id for each in table.items.values()]


# Input messages, complete and partial.


def opened(content, again=None):
    attributes = {"SentTimestamp": str(NOON_MS), "ApproximateReceiveCount": "1"}
    record = {"messageId": "m", "body": json.dumps(content), "attributes": attributes}
    record["messageAttributes"] = {REQUEUE_ATTRIBUTE: {"stringValue": again}} if again else {}
    return input_message.opened(sqs_records.read(record))


def take_message(content, table, queues, again=None, refuse_unavailable=False, clock=None):
    taking = scheduling_dependencies(table, queues, AcceptRules(AllowedTargets(frozenset({OTHER_ARN}), "eu-central-1")))
    return accept_message(opened(content, again), refuse_unavailable, taking, (clock or Clock()).deadline())


def member(rng, number):
    """Return a random member: near or far, equal or not, for any queue, with or without options, or invalid."""
    fields = {"delay": rng.choice([5, 6, 890, 895, 905, 1000, 1001, 5000]), "data": f"{number} {rng.choice('abc') * 9}"}
    more = rng.choice([{}, {}, {}, {"target": OTHER_ARN}, {"name": f"n{rng.randrange(3)}"}, {"token": "t"}, {"bad": 1}])
    more |= rng.choice([{}, {}, {"spread": rng.choice([0, 1, 900])}])
    if "token" in more:
        fields["timestamp"] = NOON_S + fields.pop("delay")
    return {**fields, **more}


@given(st.integers(0, 10_000), st.integers(2, 60), st.data())
def test_a_partial_message_gives_each_member_its_first_id(seed, count, data):
    """The remaining members and the time do not matter, so a message never makes a second schedule."""
    rng = random.Random(seed)
    content = [member(rng, number) for number in range(count)]
    indexes = sorted(data.draw(st.sets(st.integers(0, count - 1), min_size=1)))
    whole = take_message(content, FakeTable(), FakeQueues())
    later = Clock(NOON_MS + data.draw(st.integers(0, 1_000_000)))
    part = take_message(content, FakeTable(), FakeQueues(), opened(content).remainder(indexes).again, clock=later)

    def unnamed(answers, at):
        return [
            (index, each.get("id")) for index, each in zip(at, answers, strict=True) if "name" not in content[index]
        ]

    assert [each for each in unnamed(whole, range(count)) if each[0] in indexes] == unnamed(part, indexes)


DELAY_AND_TOKEN = [
    {"delay": 5, "data": "x", "token": "mine"},
    [{"delay": 5, "data": "x", "token": "mine"}],
    {"schedules": [{"delay": 5, "data": "x"}], "token": "mine"},
]


@pytest.mark.parametrize("content", DELAY_AND_TOKEN, ids=["single", "member", "batch"])
def test_a_delay_next_to_a_token_is_refused_in_an_input_message_too(content, table, queues):
    """A caller who sends it again some seconds later would have two schedules."""
    (answer,) = take_message(content, table, queues)
    assert ("InvalidSchedule", []) == (answer["error"], queues.sent)
    assert answer["message"].startswith("delay and token are both given, and a repeat would be another moment")


def test_a_delay_needs_no_token_in_an_input_message(table, queues):
    """The message has its own tokens, but each of its deliveries counts from the same time."""
    assert [None, None] == [each.get("error") for each in take_message([{"delay": 5, "data": "x"}] * 2, table, queues)]


@pytest.mark.parametrize("content", DELAY_AND_TOKEN, ids=["single", "member", "batch"])
def test_a_message_put_back_by_the_previous_version_is_accepted_by_its_rules(content, table, queues):
    """A stack is updated while it waits. A message put back by this version says so, and is refused at every turn."""
    part = json.loads(opened(content).remainder([0]).again)
    assert "error" in take_message(content, table, queues, json.dumps(part))[0]
    del part["rules"], part["zones"]
    older = json.dumps(part, separators=(",", ":"))
    assert "error" not in take_message(content, table, queues, older)[0]
    assert older == opened(content, older).remainder([0]).again.replace('"tries":2', '"tries":1')


@pytest.mark.parametrize("fields", [{"timestamp": NOON_S, "spread": 5}, {"timestamp": "2030-01-31", "zone": "UTC"}])
def test_a_message_put_back_by_a_version_without_zones_has_none(fields, table, queues):
    """That version refused these members, and reported them. The bundles of the others must stay as they were."""
    content = [{**fields, "data": "new"}, {"timestamp": NOON_S, "data": "old"}]
    part = json.loads(opened(content).remainder([0, 1]).again)
    assert [None, None] == [each.get("error") for each in take_message(content, table, queues, json.dumps(part))]
    del part["zones"]
    older = json.dumps(part, separators=(",", ":"))
    answers = take_message(content, table, queues, older)
    assert ["InvalidSchedule", None] == [each.get("error") for each in answers]
    assert older == opened(content, older).remainder([0, 1]).again.replace('"tries":2', '"tries":1')


def test_an_operator_can_send_any_message_back(table, queues):
    """The attribute then has no indexes. Members with a zone or a spread are accepted in every further try."""
    content = [{"timestamp": "2030-01-31", "zone": "UTC", "spread": 5, "data": "x"}, {"delay": 5, "data": "y"}]
    again = json.dumps({"id": "first", "sent": NOON_MS, "tries": 0})
    for _ in range(2):
        again = opened(content, again).remainder([0, 1]).again
        assert [None, None] == [each.get("error") for each in take_message(content, table, queues, again)]


def test_only_the_remaining_members_of_a_partial_message_are_sent_and_stored(table, queues):
    """Near members are sent one by one, although they were packed together. A far bundle waits as a whole."""
    near = [{"delay": 5 + number, "data": f"near {number}"} for number in range(4)]
    far = [{"delay": 5000 + number, "data": f"far {number}"} for number in range(3)]
    content = [*near, *far, {"delay": 9, "data": "named", "name": "n"}]
    take_message(content, table, queues, opened(content).remainder([1, 3]).again)
    assert (["near 1", "near 3"], {}) == (queues.data, table.items)
    take_message(content, table, queues, opened(content).remainder([4, 5, 6]).again)
    assert (["near 1", "near 3"], [3]) == (queues.data, [bundle.count for bundle in table.items.values()])


def test_a_queue_that_stays_closed_refuses_its_messages(table, queues):
    """This holds for target queues. The stack's own queues are retried."""
    queues.closed = {OTHER, OUTPUT}
    content = [{"delay": 5, "data": "x", "target": OTHER_ARN}, {"delay": 5, "data": "y"}, {"delay": 5000, "data": "z"}]
    assert ["NotConfirmed", "NotConfirmed", None] == [
        each.get("error") for each in take_message(content, table, queues)
    ]
    answers = take_message(content, table, queues, refuse_unavailable=True)
    assert ["InvalidSchedule", "NotConfirmed", None] == [each.get("error") for each in answers]
    assert "the queue is missing or denies access: NonExistentQueue" == answers[0]["message"]
