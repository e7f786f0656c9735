"""Cancel, move, change and fire, under DynamoDB's own conditions, with crashes and other callers at every call."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from moto.dynamodb.responses import DynamoHandler

from aws_faults import lose_answer, refuse_call
from fakes import NOON_MS, OTHER_ARN, Clock, schedule
from scheduler.errors import InvalidRequest, NotConfirmed, NotFound, OnItsWay
from scheduler.model.name_record import CANCELLED, DELIVERED, EXPIRED, FAILED
from scheduler.placing.naming import timer_of
from whole_stack import FAR_S, NOON_S, Crash, WholeStack

GONE = (NotFound, OnItsWay)
CALLS_MAX = 8
"""More than any change needs, so that a crash hits each of its calls."""


@pytest.fixture
def stack(cloud):
    return WholeStack(cloud)


def alone(stack):
    return stack.take(data="it")["id"]


def member(stack):
    """Return the middle one of three members of a bundle."""
    return stack.bundle()[1]["id"]


def last_member(stack):
    """Return the only remaining member of a bundle of two."""
    first, second = stack.bundle(2)
    stack.ask("cancel", id=first["id"])
    return second["id"]


def fellows(stack):
    """Return the data of its neighbours that are sent."""
    return {alone: [], member: ["member 0", "member 2"], last_member: []}[stack.kind]


@pytest.fixture(params=[alone, member, last_member])
def unnamed(request, stack):
    stack.kind = request.param
    return request.param(stack)


def new_values(operation, timestamp):
    """Return the fields of an operation that gives a schedule this time."""
    return {"move": {"timestamp": timestamp}, "change": {"timestamp": timestamp, "user": "other"}}.get(operation, {})


def own(stack):
    return {alone: "it", member: "member 1", last_member: "member 1"}[stack.kind]


def test_a_cancelled_schedule_is_not_sent(stack, unnamed):
    """It may be single or in a bundle. The other members are sent."""
    assert {"id": unnamed, "state": "cancelled"} == stack.ask("cancel", id=unnamed)
    with pytest.raises(NotFound, match="cancelled, moved or replaced, or never given"):
        stack.ask("cancel", id=unnamed)
    assert fellows(stack) == stack.come_out()


def test_an_unreadable_member_stays_when_another_one_is_cancelled(stack):
    """A feed quarantines it later."""
    answers = stack.bundle(2)
    pages = [stack.cloud.table.page(partition, "0", "9", 50) for partition in "01"]
    (read,) = [bundle for page in pages for bundle in page.bundles]
    stack.cloud.table.put([read.holding(read.members(), ['"junk"'])])
    for answer in answers:
        stack.ask("cancel", id=answer["id"])
    assert [] == stack.come_out()
    assert [] == stack.waiting()
    assert any(item["partition"]["S"] == "quarantine" and "bundle" in item for item in stack.cloud.items())


def test_a_moved_schedule_is_sent_at_its_new_time(stack, unnamed):
    """It has a new id and the same data, and is not sent at the old time."""
    answer = stack.ask("move", id=unnamed, timestamp=FAR_S + 50_000)
    assert ({"id", "timestamp", "state"}, FAR_S + 50_000, "stored") == (
        set(answer),
        answer["timestamp"],
        answer["state"],
    )
    assert own(stack) == stack.ask("get", id=answer["id"])["data"]
    assert fellows(stack) == stack.come_out(FAR_S + 1_000)
    assert [own(stack)] == stack.come_out(FAR_S + 51_000)


def test_a_fired_schedule_is_sent_once_and_now(stack, unnamed):
    """It is due now."""
    answer = stack.ask("fire", id=unnamed)
    assert (NOON_S, "queued") == (answer["timestamp"], answer["state"])
    assert [own(stack)] == stack.come_out(NOON_S)
    assert fellows(stack) == stack.come_out()


def test_a_move_within_reach_goes_to_the_queue(stack, unnamed):
    """Nothing is stored for it."""
    answer = stack.ask("move", id=unnamed, delay=600)
    assert (NOON_S + 600, "queued") == (answer["timestamp"], answer["state"])
    assert 1 == stack.delayed(stack.cloud.output)
    assert len(fellows(stack)) == len(stack.ask("list")["schedules"])


def test_a_change_keeps_everything_else(stack):
    """Target, user, expiry and data stay."""
    first = stack.take(user="me", expires_after=60, data="ü🎉")
    moved = stack.ask("move", id=first["id"], timestamp="2031-01-01")
    (item,) = stack.waiting()
    assert (moved["id"], "me", "60000", "ü🎉") == (
        f"{item['partition']['S']}-{item['sort']['S'].replace('#', '-')}",
        item["user"]["S"],
        item["expires_after"]["N"],
        item["data"]["S"],
    )
    assert "hold" not in item


def test_a_schedule_sixty_seconds_before_reach_cannot_be_changed(stack, unnamed):
    """The time in the key counts. For a bundle, it is that of the latest member."""
    stack.clock.now_ms = FAR_S * 1000 - 960_000 - 1
    assert own(stack) == stack.ask("get", id=unnamed)["data"]
    assert "stored" == stack.ask("get", id=unnamed)["state"]
    stack.clock.now_ms += 1
    for operation in ("cancel", "fire"):
        with pytest.raises(OnItsWay, match="queued, released or was never there"):
            stack.ask(operation, id=unnamed)
    for operation in ("move", "change"):
        with pytest.raises(OnItsWay):
            stack.ask(operation, id=unnamed, delay=5_000)
    assert sorted([own(stack), *fellows(stack)]) == stack.come_out()


def test_an_unknown_id_differs_from_a_schedule_in_a_queue(stack):
    """The time in the id tells them apart."""
    with pytest.raises(NotFound):
        stack.ask("cancel", id=f"0-{FAR_S:012d}000-{'0' * 16}")
    with pytest.raises(OnItsWay):
        stack.ask("cancel", id=f"0-{NOON_S:012d}000-{'0' * 16}")
    (first, *_) = stack.bundle()
    key_id, _ = first["id"].rsplit("-", 1)
    for wrong in (key_id, f"{key_id}-7"):
        with pytest.raises(NotFound):
            stack.ask("cancel", id=wrong)
    with pytest.raises(NotFound):
        stack.ask("cancel", id=f"{stack.take()['id']}-0")


@pytest.mark.slow
@pytest.mark.parametrize("number", range(CALLS_MAX))
@pytest.mark.parametrize("operation", ["cancel", "move", "change", "fire"])
def test_a_crash_loses_nothing_and_the_change_can_be_repeated(stack, unnamed, operation, number):
    """After a crash before any call, the schedule is stored or the change is done. A minute later a repeat works."""
    fields = new_values(operation, FAR_S + 50_000)

    def crash():
        raise Crash

    try:
        with stack.before_call(number, crash):
            stack.ask(operation, id=unnamed, **fields)
    except Crash:
        done = False
        stack.clock.sleep(61)
        try:
            stack.ask(operation, id=unnamed, **fields)
        except GONE:  # The change was done before the crash.
            done = True
        assert not (done and operation == "cancel")
    out = stack.come_out(FAR_S + 60_000)
    expected = [own(stack)] * (operation != "cancel") + fellows(stack)
    assert set(expected) == set(out)
    assert len(out) <= len(expected) + (operation == "fire")  # A second move to the same time makes no third schedule.


@pytest.mark.slow
@pytest.mark.parametrize("other", ["cancel", "move", "change", "fire"])
@pytest.mark.parametrize("operation", ["cancel", "move", "change", "fire"])
def test_one_of_two_concurrent_changes_succeeds(stack, operation, other):
    """The other caller learns that the schedule is gone or to try again. Nothing is lost or sent twice."""
    stack.kind = member
    for number in range(CALLS_MAX):
        stack.begin_anew()
        one_has_its_way(stack, operation, other, number)


def one_has_its_way(stack, operation, other, number):
    unnamed = member(stack)
    won = []

    def ask(what, timestamp):
        try:
            stack.ask(what, id=unnamed, **new_values(what, timestamp))
        except (*GONE, NotConfirmed):
            return
        won.append(what)

    with stack.before_call(number, lambda: ask(other, FAR_S + 30_000)) as calls:
        ask(operation, FAR_S + 40_000)
        begun = calls[0] > number
    assert len(won) == 1 or (not begun and [operation] == won)
    expected = fellows(stack) if won == ["cancel"] else ["member 1", *fellows(stack)]
    assert sorted(expected) == stack.come_out(FAR_S + 60_000)


@pytest.mark.slow
@pytest.mark.parametrize("call", ["UpdateItem", "DeleteItem", "PutItem", "BatchWriteItem"])
@pytest.mark.parametrize("operation", ["cancel", "move", "change", "fire"])
def test_a_write_without_an_answer_counts_once(stack, unnamed, operation, call):
    """Its retry finds the write done and is not refused."""
    lose_answer(stack.cloud.dynamodb, f"dynamodb.{call}")
    stack.ask(operation, id=unnamed, **new_values(operation, FAR_S + 50_000))
    expected = fellows(stack) if operation == "cancel" else [own(stack), *fellows(stack)]
    assert sorted(expected) == stack.come_out(FAR_S + 60_000)


def test_a_concurrent_change_of_a_neighbour_does_no_harm(stack):
    """Two members of one bundle change at once. Both changes succeed, and the third member stays."""
    first, second, _ = stack.bundle()
    with stack.before_call(1, lambda: stack.ask("cancel", id=first["id"])):
        stack.ask("move", id=second["id"], timestamp=FAR_S + 5)
    assert ["member 1", "member 2"] == stack.come_out()


def test_an_unconfirmed_change_releases_the_schedule(stack, unnamed):
    """The queue does not answer. The caller gets an error, and the schedule stays unchanged and unlocked."""
    stack.cloud.sqs.meta.events.register(
        "before-call.sqs.SendMessageBatch", refuse_call("ServiceUnavailable", 503), unique_id="down"
    )
    with pytest.raises(NotConfirmed, match="ServiceUnavailable"):
        stack.ask("fire", id=unnamed)
    stack.cloud.sqs.meta.events.unregister("before-call.sqs.SendMessageBatch", unique_id="down")
    assert not any("hold" in item for item in stack.waiting())
    stack.ask("cancel", id=unnamed)
    assert fellows(stack) == stack.come_out()


def test_a_schedule_for_a_missing_queue_cannot_be_fired(stack):
    """The error says so, and the schedule stays unchanged and unlocked."""
    far = schedule(1, FAR_S * 1000, target=OTHER_ARN)
    stack.cloud.table.put([far])
    for _ in range(2):
        with pytest.raises(InvalidRequest, match="its queue is missing or denies access: NonExistentQueue"):
            stack.ask("fire", id=far.id)
    assert FAR_S + 500 == stack.ask("move", id=far.id, timestamp=FAR_S + 500)["timestamp"]


def test_twenty_concurrent_movers_make_one_move(stack, monkeypatch):
    """The movers are threads, and the conditions are DynamoDB's.

    DynamoDB checks a condition and writes in one step. moto needs a lock for that.
    """
    one_at_a_time, call_action = threading.Lock(), DynamoHandler.call_action

    def in_one_step(handler):
        with one_at_a_time:
            return call_action(handler)

    monkeypatch.setattr(DynamoHandler, "call_action", in_one_step)
    unnamed = alone(stack)

    def one(number):
        try:
            return WholeStack(stack.cloud, Clock()).ask("move", id=unnamed, timestamp=FAR_S + 100 + number)
        except (*GONE, NotConfirmed):
            return None

    with ThreadPoolExecutor(4) as pool:
        moved = [each for each in pool.map(one, range(20)) if each]
    assert [moved[0]["id"]] == [each["id"] for each in stack.ask("list")["schedules"]]
    assert 1 == len(moved)


def test_a_move_of_an_expired_schedule_is_refused(stack):
    """The feed would drop it at once."""
    far = stack.take(expires_after=10)["id"]
    named = stack.take(expires_after=10, name="bill")
    for which in ({"id": far}, {"name": "bill"}):
        with pytest.raises(InvalidRequest, match="expires_after"):
            stack.ask("move", **which, timestamp=NOON_S - 11)
    assert ["stored", "stored"] == [stack.ask("get", id=each)["state"] for each in (far, named["id"])]


# By name.


@pytest.mark.parametrize("timestamp", [FAR_S, NOON_S + 5])
def test_a_name_can_be_cancelled_at_any_time_and_again(stack, timestamp):
    """Each answer is the same, and nothing is sent. A far schedule leaves no timer."""
    taken = stack.take(timestamp, name="bill")
    for _ in range(2):
        assert {"id": taken["id"], "state": "cancelled"} == stack.ask("cancel", name="bill")
    assert [] == stack.waiting()
    assert [] == stack.come_out()
    assert "cancelled" == stack.ask("get", name="bill")["state"]


@pytest.mark.parametrize("before_s", [FAR_S, NOON_S + 5])
@pytest.mark.parametrize("after_s", [FAR_S + 5_000, FAR_S - 500, NOON_S + 3])
def test_a_name_can_be_moved(stack, before_s, after_s):
    """It is sent once at the new time, near or far, earlier or later, and has a new id."""
    taken = stack.take(before_s, "data", name="bill", user="me")
    moved = stack.ask("move", name="bill", timestamp=after_s)
    assert ("replaced", after_s) == (moved["result"], moved["timestamp"])
    assert moved["id"] != taken["id"]
    found = stack.ask("get", name="bill")
    assert (moved["id"], after_s, "data", 0) == (found["id"], found["timestamp"], found["data"], found["attempts"])
    assert (after_s > NOON_S + 900) == len(stack.waiting())
    with pytest.raises((NotFound, OnItsWay)):
        stack.ask("cancel", id=taken["id"])
    if after_s > NOON_S + 900:
        assert ["data"] == stack.come_out(FAR_S + 60_000)
        assert ["data"] == stack.come_out(FAR_S + 70_000)


def test_a_name_can_be_fired_once(stack):
    """It is sent now and not a second time."""
    stack.take(name="bill")
    assert ("queued", NOON_S) == tuple(stack.ask("fire", name="bill")[fact] for fact in ("state", "timestamp"))
    assert ["data"] == stack.come_out(NOON_S + 1)
    assert "delivered" == stack.ask("get", name="bill")["state"]
    assert ["data"] == stack.come_out()


def test_the_id_of_a_name_stands_for_the_name(stack):
    """It does while its timer is stored and current. For a replaced id, the error names the current one."""
    taken = stack.take(name="bill")
    assert "bill" == stack.ask("get", id=taken["id"])["name"]
    moved = stack.ask("move", id=taken["id"], timestamp=FAR_S + 5)
    stack.ask("cancel", id=moved["id"])
    timer_left = stack.take(name="note")
    record = stack.cloud.records.get("note")
    stack.take(name="note", timestamp=FAR_S + 7)
    stack.cloud.table.put([timer_of(record)])  # The function crashed before removing it.
    with pytest.raises(NotFound, match=f"{timer_left['id']} was replaced under its name 'note' by"):
        stack.ask("cancel", id=timer_left["id"])
    assert ["data"] == stack.come_out(FAR_S + 60_000)


@pytest.mark.parametrize(
    ("state", "refusal"), [(DELIVERED, OnItsWay), (FAILED, NotFound), (EXPIRED, NotFound), (CANCELLED, NotFound)]
)
@pytest.mark.parametrize("operation", ["cancel", "move", "change", "fire"])
def test_a_finished_schedule_cannot_be_changed(stack, state, refusal, operation):
    """It is too late for a delivered schedule, and nothing is left of another."""
    taken = stack.take(name="bill")
    record = stack.cloud.records.get("bill")
    if state == CANCELLED:
        stack.ask("cancel", name="bill")
        if operation == "cancel":
            return
    else:
        assert stack.cloud.records.close(record, state, NOON_MS, 3, "too bad")
    fields = {"delay": 5} if operation in ("move", "change") else {}
    with pytest.raises(refusal, match=f"{taken['id']}, the last under the name 'bill', is {state} since {NOON_S}"):
        stack.ask(operation, name="bill", **fields)
    assert state == stack.ask("get", name="bill")["state"]


@pytest.mark.slow
@pytest.mark.parametrize("number", range(CALLS_MAX))
@pytest.mark.parametrize("operation", ["move", "change", "fire"])
def test_a_crash_during_a_change_of_a_name_does_no_harm(stack, operation, number):
    """With or without the new record, the schedule is sent once, at the latest when the old timer wakes."""
    stack.take(name="bill")

    def crash():
        raise Crash

    try:
        with stack.before_call(number, crash):
            stack.ask(operation, name="bill", **new_values(operation, FAR_S - 5_000))
    except Crash:
        pass
    out = stack.come_out(FAR_S + 60_000)
    assert ["data"] == out or (
        [] == out and 1 == stack.delayed(stack.cloud.delivery)
    )  # A second timer follows the old one.


@pytest.mark.slow
@pytest.mark.parametrize("other", ["cancel", "move", "change", "fire"])
@pytest.mark.parametrize("operation", ["cancel", "move", "change", "fire"])
def test_two_concurrent_changes_of_a_name(stack, operation, other):
    """Both succeed, except after a cancel. The current schedule is sent once, and a cancelled one never."""
    for number in range(CALLS_MAX):
        stack.begin_anew()
        what_stands_comes_out(stack, operation, other, number)


def what_stands_comes_out(stack, operation, other, number):
    name, refused = f"bill/{number}", []
    stack.take(name=name)

    def ask(what, timestamp):
        try:
            stack.ask(what, name=name, **new_values(what, timestamp))
        except GONE:
            refused.append(what)

    with stack.before_call(number, lambda: ask(other, FAR_S + 3)) as calls:
        ask(operation, FAR_S + 4)
    done = {operation, other} if calls[0] > number else {operation}
    state = stack.ask("get", name=name)["state"]
    assert (state == "cancelled") == ("cancel" in done)
    expected = [] if state == "cancelled" else ["data"]
    assert expected == stack.come_out(FAR_S + 60_000)


@pytest.mark.parametrize("call", ["UpdateItem", "PutItem", "DeleteItem", "BatchWriteItem"])
@pytest.mark.parametrize("operation", ["cancel", "move", "change"])
def test_a_write_of_a_name_without_an_answer_counts_once(stack, operation, call):
    """Its retry finds the write done."""
    stack.take(name="bill")
    lose_answer(stack.cloud.dynamodb, f"dynamodb.{call}")
    stack.ask(operation, name="bill", **new_values(operation, FAR_S + 5))
    assert ([] if operation == "cancel" else ["data"]) == stack.come_out(FAR_S + 60_000)
