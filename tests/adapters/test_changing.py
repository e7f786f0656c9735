"""Cancel, move and fire, by DynamoDB's own conditions, with crashes and other callers at every call."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from bending import lose_answer, refuse_call
from fakes import NOON_MS, OTHER_ARN, Clock, schedule
from house import FAR_S, NOON_S, Crash, House
from scheduler.errors import InvalidRequest, NotConfirmed, NotFound, OnItsWay
from scheduler.model.name_record import CANCELLED, DELIVERED, EXPIRED, FAILED

GONE = (NotFound, OnItsWay)
CALLS_MAX = 8
"""More than any change takes, so that every call of it has its turn."""


@pytest.fixture
def house(cloud):
    return House(cloud)


def alone(house):
    return house.take(data="it")["id"]


def member(house):
    """The middle one of three in a bundle."""
    return house.bundle()[1]["id"]


def last_member(house):
    """Of a bundle of two the one that is left."""
    first, second = house.bundle(2)
    house.ask("cancel", id=first["id"])
    return second["id"]


def fellows(house):
    """What comes out beside it."""
    return {alone: [], member: ["member 0", "member 2"], last_member: []}[house.kind]


@pytest.fixture(params=[alone, member, last_member])
def unnamed(request, house):
    house.kind = request.param
    return request.param(house)


def own(house):
    return {alone: "it", member: "member 1", last_member: "member 1"}[house.kind]


def test_what_is_cancelled_does_not_come_out(house, unnamed):
    """By itself or in a bundle, whose other members do."""
    assert {"id": unnamed, "state": "cancelled"} == house.ask("cancel", id=unnamed)
    with pytest.raises(NotFound, match="cancelled, moved or replaced, or never given"):
        house.ask("cancel", id=unnamed)
    assert fellows(house) == house.come_out()


def test_a_member_that_is_none_stays_when_another_goes(house):
    """Until a feed puts it aside."""
    answers = house.bundle(2)
    pages = [house.cloud.table.page(partition, "0", "9", 50) for partition in "01"]
    (read,) = [bundle for page in pages for bundle in page.bundles]
    house.cloud.table.put([read.holding(read.members(), ['"junk"'])])
    for answer in answers:
        house.ask("cancel", id=answer["id"])
    assert [] == house.come_out()
    assert [] == house.waiting()
    assert any(item["partition"]["S"] == "quarantine" and "bundle" in item for item in house.cloud.items())


def test_what_is_moved_comes_out_at_its_new_moment(house, unnamed):
    """Under a new id, with its data; not at the old one."""
    answer = house.ask("move", id=unnamed, timestamp=FAR_S + 50_000)
    assert ({"id", "timestamp", "state"}, FAR_S + 50_000, "stored") == (
        set(answer),
        answer["timestamp"],
        answer["state"],
    )
    assert own(house) == house.ask("get", id=answer["id"])["data"]
    assert fellows(house) == house.come_out(FAR_S + 1_000)
    assert [own(house)] == house.come_out(FAR_S + 51_000)


def test_what_is_fired_comes_out_now_and_not_again(house, unnamed):
    """Due now."""
    answer = house.ask("fire", id=unnamed)
    assert (NOON_S, "queued") == (answer["timestamp"], answer["state"])
    assert [own(house)] == house.come_out(NOON_S)
    assert fellows(house) == house.come_out()


def test_a_move_to_soon_goes_to_the_queue(house, unnamed):
    """Within reach there is nothing to be stored."""
    answer = house.ask("move", id=unnamed, delay=600)
    assert (NOON_S + 600, "queued") == (answer["timestamp"], answer["state"])
    assert 1 == house.delayed(house.cloud.output)
    assert len(fellows(house)) == len(house.ask("list")["schedules"])


def test_everything_else_is_kept(house):
    """Target, user, expiry and data go with it."""
    first = house.take(user="me", expires_after=60, data="ü🎉")
    moved = house.ask("move", id=first["id"], timestamp="2031-01-01")
    (item,) = house.waiting()
    assert (moved["id"], "me", "60000", "ü🎉") == (
        f"{item['partition']['S']}-{item['sort']['S'].replace('#', '-')}",
        item["user"]["S"],
        item["expires_after"]["N"],
        item["data"]["S"],
    )
    assert "hold" not in item


def test_sixty_seconds_before_reach_it_is_let_alone(house, unnamed):
    """By the key: of a bundle that is its latest."""
    house.clock.now_ms = FAR_S * 1000 - 960_000 - 1
    assert own(house) == house.ask("get", id=unnamed)["data"]
    assert "stored" == house.ask("get", id=unnamed)["state"]
    house.clock.now_ms += 1
    for operation in ("cancel", "fire"):
        with pytest.raises(OnItsWay, match="queued, released or was never there"):
            house.ask(operation, id=unnamed)
    with pytest.raises(OnItsWay):
        house.ask("move", id=unnamed, delay=5_000)
    assert sorted([own(house), *fellows(house)]) == house.come_out()


def test_an_unknown_id_is_told_from_one_that_is_on_its_way(house):
    """By its moment."""
    with pytest.raises(NotFound):
        house.ask("cancel", id=f"0-{FAR_S:012d}000-{'0' * 16}")
    with pytest.raises(OnItsWay):
        house.ask("cancel", id=f"0-{NOON_S:012d}000-{'0' * 16}")
    (first, *_) = house.bundle()
    key_id, _ = first["id"].rsplit("-", 1)
    for wrong in (key_id, f"{key_id}-7"):
        with pytest.raises(NotFound):
            house.ask("cancel", id=wrong)
    with pytest.raises(NotFound):
        house.ask("cancel", id=f"{house.take()['id']}-0")


@pytest.mark.parametrize("number", range(CALLS_MAX))
@pytest.mark.parametrize("operation", ["cancel", "move", "fire"])
def test_a_crash_loses_nothing_and_the_rest_can_be_done(house, unnamed, operation, number):
    """Before any call: the schedule still is somewhere, or the change is done; a minute later it can be made again."""
    fields = {"timestamp": FAR_S + 50_000} if operation == "move" else {}

    def crash():
        raise Crash

    try:
        with house.before_call(number, crash):
            house.ask(operation, id=unnamed, **fields)
    except Crash:
        done = False
        house.clock.sleep(61)
        try:
            house.ask(operation, id=unnamed, **fields)
        except GONE:  # It was done before the crash.
            done = True
        assert not (done and operation == "cancel")
    out = house.come_out(FAR_S + 60_000)
    expected = [own(house)] * (operation != "cancel") + fellows(house)
    assert set(expected) == set(out)
    assert len(out) <= len(expected) + (operation == "fire")  # A move repeated to the same moment makes no third.


@pytest.mark.parametrize("other", ["cancel", "move", "fire"])
@pytest.mark.parametrize("operation", ["cancel", "move", "fire"])
def test_of_two_at_once_one_has_its_way(house, operation, other):
    """The other one is told that it is gone, or that it is to try again; nothing is lost or comes out twice."""
    house.kind = member
    for number in range(CALLS_MAX):
        house.begin_anew()
        one_has_its_way(house, operation, other, number)


def one_has_its_way(house, operation, other, number):
    unnamed = member(house)
    won = []

    def ask(what, timestamp):
        try:
            house.ask(what, id=unnamed, **({"timestamp": timestamp} if what == "move" else {}))
        except (*GONE, NotConfirmed):
            return
        won.append(what)

    with house.before_call(number, lambda: ask(other, FAR_S + 30_000)) as calls:
        ask(operation, FAR_S + 40_000)
        begun = calls[0] > number
    assert len(won) == 1 or (not begun and [operation] == won)
    expected = fellows(house) if won == ["cancel"] else ["member 1", *fellows(house)]
    assert sorted(expected) == house.come_out(FAR_S + 60_000)


@pytest.mark.parametrize("call", ["UpdateItem", "DeleteItem", "PutItem", "BatchWriteItem"])
@pytest.mark.parametrize("operation", ["cancel", "move", "fire"])
def test_a_write_without_an_answer_is_taken_for_what_it_was(house, unnamed, operation, call):
    """Tried again it finds itself done, and that is no refusal."""
    lose_answer(house.cloud.dynamodb, f"dynamodb.{call}")
    house.ask(operation, id=unnamed, **({"timestamp": FAR_S + 50_000} if operation == "move" else {}))
    expected = fellows(house) if operation == "cancel" else [own(house), *fellows(house)]
    assert sorted(expected) == house.come_out(FAR_S + 60_000)


def test_a_fellow_that_changes_meanwhile_is_no_hindrance(house):
    """Of one bundle two members are changed at once: both are, and the third stays."""
    first, second, _ = house.bundle()
    with house.before_call(1, lambda: house.ask("cancel", id=first["id"])):
        house.ask("move", id=second["id"], timestamp=FAR_S + 5)
    assert ["member 1", "member 2"] == house.come_out()


def test_where_nothing_is_confirmed_it_is_let_go(house, unnamed):
    """The queue does not answer: the caller is told, it is where it was, and free."""
    house.cloud.sqs.meta.events.register(
        "before-call.sqs.SendMessageBatch", refuse_call("ServiceUnavailable", 503), unique_id="down"
    )
    with pytest.raises(NotConfirmed, match="ServiceUnavailable"):
        house.ask("fire", id=unnamed)
    house.cloud.sqs.meta.events.unregister("before-call.sqs.SendMessageBatch", unique_id="down")
    assert not any("hold" in item for item in house.waiting())
    house.ask("cancel", id=unnamed)
    assert fellows(house) == house.come_out()


def test_what_goes_to_a_queue_that_is_gone_cannot_be_fired(house):
    """It is said so, and it stays where it was, held by nobody."""
    far = schedule(1, FAR_S * 1000, target=OTHER_ARN)
    house.cloud.table.put([far])
    for _ in range(2):
        with pytest.raises(InvalidRequest, match="its queue is gone or closed to us: NonExistentQueue"):
            house.ask("fire", id=far.id)
    assert FAR_S + 500 == house.ask("move", id=far.id, timestamp=FAR_S + 500)["timestamp"]


def test_twenty_movers_make_one_move(house):
    """In threads, on the real conditions."""
    unnamed = alone(house)

    def one(number):
        try:
            return House(house.cloud, Clock()).ask("move", id=unnamed, timestamp=FAR_S + 100 + number)
        except (*GONE, NotConfirmed):
            return None

    with ThreadPoolExecutor(4) as pool:
        moved = [each for each in pool.map(one, range(20)) if each]
    assert [moved[0]["id"]] == [each["id"] for each in house.ask("list")["schedules"]]
    assert 1 == len(moved)


def test_an_expiry_that_is_past_already_refuses_the_move(house):
    """It would be dropped at once."""
    far = house.take(expires_after=10)["id"]
    named = house.take(expires_after=10, name="bill")
    for which in ({"id": far}, {"name": "bill"}):
        with pytest.raises(InvalidRequest, match="expires_after"):
            house.ask("move", **which, timestamp=NOON_S - 11)
    assert ["stored", "stored"] == [house.ask("get", id=each)["state"] for each in (far, named["id"])]


# By name.


@pytest.mark.parametrize("timestamp", [FAR_S, NOON_S + 5])
def test_a_name_is_cancelled_at_any_moment_and_again(house, timestamp):
    """The same answer each time, nothing comes out, and of a far one no timer is left."""
    taken = house.take(timestamp, name="bill")
    for _ in range(2):
        assert {"id": taken["id"], "state": "cancelled"} == house.ask("cancel", name="bill")
    assert [] == house.waiting()
    assert [] == house.come_out()
    assert "cancelled" == house.ask("get", name="bill")["state"]


@pytest.mark.parametrize("before_s", [FAR_S, NOON_S + 5])
@pytest.mark.parametrize("after_s", [FAR_S + 5_000, FAR_S - 500, NOON_S + 3])
def test_a_name_is_moved(house, before_s, after_s):
    """Earlier or later, near or far: it comes out once, and is known under its new id."""
    taken = house.take(before_s, "data", name="bill", user="me")
    moved = house.ask("move", name="bill", timestamp=after_s)
    assert ("replaced", after_s) == (moved["result"], moved["timestamp"])
    assert moved["id"] != taken["id"]
    found = house.ask("get", name="bill")
    assert (moved["id"], after_s, "data", 0) == (found["id"], found["timestamp"], found["data"], found["attempts"])
    assert (after_s > NOON_S + 900) == len(house.waiting())
    with pytest.raises((NotFound, OnItsWay)):
        house.ask("cancel", id=taken["id"])
    if after_s > NOON_S + 900:
        assert ["data"] == house.come_out(FAR_S + 60_000)
        assert ["data"] == house.come_out(FAR_S + 70_000)


def test_a_name_is_fired(house):
    """Now, and not a second time."""
    house.take(name="bill")
    assert ("queued", NOON_S) == tuple(house.ask("fire", name="bill")[fact] for fact in ("state", "timestamp"))
    assert ["data"] == house.come_out(NOON_S + 1)
    assert "delivered" == house.ask("get", name="bill")["state"]
    assert ["data"] == house.come_out()


def test_the_id_of_a_name_stands_for_the_name(house):
    """While its timer lies there, and it is the one that stands; of a replaced one it says by what."""
    taken = house.take(name="bill")
    assert "bill" == house.ask("get", id=taken["id"])["name"]
    moved = house.ask("move", id=taken["id"], timestamp=FAR_S + 5)
    house.ask("cancel", id=moved["id"])
    timer_left = house.take(name="note")
    record = house.cloud.records.get("note")
    house.take(name="note", timestamp=FAR_S + 7)
    house.cloud.table.put([house_timer(record)])  # A crash before it was removed.
    with pytest.raises(NotFound, match=f"{timer_left['id']} was replaced under its name 'note' by"):
        house.ask("cancel", id=timer_left["id"])
    assert ["data"] == house.come_out(FAR_S + 60_000)


def house_timer(record):
    from scheduler.placing.naming import timer_of  # noqa: PLC0415

    return timer_of(record)


@pytest.mark.parametrize(
    ("state", "refusal"), [(DELIVERED, OnItsWay), (FAILED, NotFound), (EXPIRED, NotFound), (CANCELLED, NotFound)]
)
@pytest.mark.parametrize("operation", ["cancel", "move", "fire"])
def test_what_has_an_outcome_keeps_it(house, state, refusal, operation):
    """What came out is too late; of what did not there is nothing left to change."""
    taken = house.take(name="bill")
    record = house.cloud.records.get("bill")
    if state == CANCELLED:
        house.ask("cancel", name="bill")
        if operation == "cancel":
            return
    else:
        assert house.cloud.records.close(record, state, NOON_MS, 3, "too bad")
    fields = {"delay": 5} if operation == "move" else {}
    with pytest.raises(refusal, match=f"{taken['id']}, the last under the name 'bill', is {state} since {NOON_S}"):
        house.ask(operation, name="bill", **fields)
    assert state == house.ask("get", name="bill")["state"]


@pytest.mark.parametrize("number", range(CALLS_MAX))
@pytest.mark.parametrize("operation", ["move", "fire"])
def test_a_crash_under_a_name_comes_out_right(house, operation, number):
    """Whether the record was written or not: it comes out once, at the latest when the old timer wakes."""
    house.take(name="bill")

    def crash():
        raise Crash

    try:
        with house.before_call(number, crash):
            house.ask(operation, name="bill", **({"timestamp": FAR_S - 5_000} if operation == "move" else {}))
    except Crash:
        pass
    out = house.come_out(FAR_S + 60_000)
    assert ["data"] == out or (
        [] == out and 1 == house.delayed(house.cloud.delivery)
    )  # A second timer follows the old.


@pytest.mark.parametrize("other", ["cancel", "move", "fire"])
@pytest.mark.parametrize("operation", ["cancel", "move", "fire"])
def test_two_at_once_under_a_name(house, operation, other):
    """Each comes through, but for one that comes after a cancel; what stands comes out once, a cancelled one never."""
    for number in range(CALLS_MAX):
        house.begin_anew()
        what_stands_comes_out(house, operation, other, number)


def what_stands_comes_out(house, operation, other, number):
    name, refused = f"bill/{number}", []
    house.take(name=name)

    def ask(what, timestamp):
        try:
            house.ask(what, name=name, **({"timestamp": timestamp} if what == "move" else {}))
        except GONE:
            refused.append(what)

    with house.before_call(number, lambda: ask(other, FAR_S + 3)) as calls:
        ask(operation, FAR_S + 4)
    done = {operation, other} if calls[0] > number else {operation}
    state = house.ask("get", name=name)["state"]
    assert (state == "cancelled") == ("cancel" in done)
    expected = [] if state == "cancelled" else ["data"]
    assert expected == house.come_out(FAR_S + 60_000)


@pytest.mark.parametrize("call", ["UpdateItem", "PutItem", "DeleteItem", "BatchWriteItem"])
@pytest.mark.parametrize("operation", ["cancel", "move"])
def test_a_write_without_an_answer_under_a_name(house, operation, call):
    """It is found done."""
    house.take(name="bill")
    lose_answer(house.cloud.dynamodb, f"dynamodb.{call}")
    house.ask(operation, name="bill", **({"timestamp": FAR_S + 5} if operation == "move" else {}))
    assert (["data"] if operation == "move" else []) == house.come_out(FAR_S + 60_000)
