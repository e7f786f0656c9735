"""Change any field of a schedule, under DynamoDB's own conditions. Fields that are not given keep their values."""

import json

import pytest

from scheduler.accepting.request import AcceptRules
from scheduler.errors import InvalidRequest, NotFound, OnItsWay
from scheduler.limits import DATA_BYTES_MAX
from scheduler.model.delivery_options import DeliveryOptions
from scheduler.model.targets import AllowedTargets
from scheduler.webhooks import allowed_hosts, webhook
from whole_stack import FAR_S, NOON_S, WholeStack

PLACE = "eu-central-1:123456789012"
TOPIC, OTHER_TOPIC, FAILURES = (f"arn:aws:sns:{PLACE}:{name}" for name in ("topic", "other", "failures"))
FUNCTION = f"arn:aws:lambda:{PLACE}:function:worker"
HOSTS = allowed_hosts.Hosts.read("api.example.com", False)
LISTED = AllowedTargets(
    frozenset({TOPIC, OTHER_TOPIC, FAILURES, FUNCTION}), "eu-central-1", lambda target: webhook.checked(target, HOSTS)
)
WEBHOOK = {"url": "https://api.example.com/hook", "method": "PUT", "headers": {"X-A": "1"}}
EVERYTHING = {
    "data": {"n": 1},
    "target": {"arn": TOPIC, "envelope": True},
    "user": "me",
    "retry": {"attempts": 3, "max_age_s": 60},
    "failure_target": FAILURES,
    "expires_after": 50_000,
}


@pytest.fixture
def stack(cloud):
    return WholeStack(cloud, rules=AcceptRules(LISTED))


@pytest.fixture(params=["unnamed", "member", "named", "near"])
def scheduled(request, stack):
    """Return a schedule with every field, as the fields that say which, and its kind."""

    def schedule(**fields):
        asked = {"timestamp": FAR_S, **EVERYTHING, **fields}
        if request.param == "member":
            results = stack.accept([{**asked, "timestamp": FAR_S - 1}, asked, {**asked, "timestamp": FAR_S + 1}])
            assert results["results"][1]["id"].count("-") == 3
            return {"id": results["results"][1]["id"]}
        if request.param == "unnamed":
            return {"id": stack.accept(asked)["id"]}
        at = {"timestamp": NOON_S + 500} if request.param == "near" else {}
        stack.accept({**asked, **at, "name": "bill"})
        return {"name": "bill"}

    return schedule


def stored(stack, answer):
    """Return every fact of the schedule that has the answered id: in its record, the table or the delivery queue."""
    for record in [stack.cloud.records.get("bill")]:
        if record is not None and record.id == answer["id"]:
            return record.schedule
    key = (answer["id"].split("-", 1)[0], answer["id"].split("-", 1)[1].replace("-", "#", 1))
    (found,) = [
        each
        for page in [stack.cloud.table.page(key[0], "0", "9", 50)]
        for each in page.schedules
        if each.id == answer["id"]
    ]
    return found


def facts(stack, answer):
    """Return the stored fields as a request has them."""
    found = stored(stack, answer)
    options = json.loads(found.terms or "{}")
    return {
        "timestamp": found.due_ms / 1000,
        "data": found.data,
        "target": found.target,
        "user": found.user,
        "retry": options.get("retry"),
        "failure_target": options.get("failure_target"),
        "expires_after": None if found.expires_after_ms is None else found.expires_after_ms / 1000,
    }


BEFORE = {
    "timestamp": FAR_S,
    "data": '{"n":1}',
    "target": f'{{"arn":"{TOPIC}","envelope":true}}',
    "user": "me",
    "retry": {"attempts": 3, "max_age_s": 60},
    "failure_target": FAILURES,
    "expires_after": 50_000,
}

CHANGES = [
    ({"timestamp": FAR_S + 5}, {"timestamp": FAR_S + 5}),
    ({"timestamp": "2030-01-01T15:00", "zone": "Europe/Berlin"}, {"timestamp": NOON_S + 14 * 3600}),
    ({"delay": 20_000}, {"timestamp": NOON_S + 20_000}),
    ({"data": "new"}, {"data": "new"}),
    ({"data": [1, "ü"]}, {"data": '[1,"ü"]'}),
    ({"target": OTHER_TOPIC}, {"target": OTHER_TOPIC}),
    ({"target": FUNCTION}, {"target": FUNCTION}),
    (
        {"target": WEBHOOK},
        {"target": '{"url":"https://api.example.com/hook","method":"PUT","headers":{"X-A":"1"}}'},
    ),
    ({"target": WEBHOOK, "data": None}, {"target": webhook.checked(WEBHOOK, HOSTS), "data": ""}),
    ({"target": None}, {"target": None}),
    ({"user": "you"}, {"user": "you"}),
    ({"user": None}, {"user": None}),
    ({"retry": {"attempts": 5}}, {"retry": {"attempts": 5}}),
    ({"retry": None}, {"retry": None}),
    ({"failure_target": OTHER_TOPIC}, {"failure_target": OTHER_TOPIC}),
    ({"failure_target": None}, {"failure_target": None}),
    ({"failure_target": None, "retry": None}, {"failure_target": None, "retry": None}),
    ({"expires_after": 7}, {"expires_after": 7}),
    ({"expires_after": None}, {"expires_after": None}),
    (
        {"delay": 30_000, "data": "new", "target": OTHER_TOPIC, "user": "you", "expires_after": 5, "spread": None},
        {"timestamp": NOON_S + 30_000, "data": "new", "target": OTHER_TOPIC, "user": "you", "expires_after": 5},
    ),
]


@pytest.mark.slow
def test_a_change_changes_what_is_given_and_keeps_the_rest(stack, scheduled):
    """A null removes an optional field, and retry is replaced whole. The id is always new."""
    for given, after in CHANGES:
        keeps_the_rest(stack, scheduled(), given, after)


def keeps_the_rest(stack, which, given, after):
    before = stack.ask("get", **which)
    answer = stack.ask("change", **which, **given)
    assert answer["id"] != before["id"]
    assert {**BEFORE, "timestamp": before["timestamp"], **after} == facts(stack, answer)
    assert after.get("timestamp", before["timestamp"]) == answer["timestamp"]
    assert answer.get("result") == ("replaced" if "name" in which else None)
    if "name" not in which:
        with pytest.raises(NotFound):
            stack.ask("get", **which)


def test_a_change_to_the_same_value_gives_a_new_id_too(stack, scheduled):
    """Nobody has to know what was there before."""
    which = scheduled()
    before = stack.ask("get", **which)
    answer = stack.ask("change", **which, user="me")
    assert answer["id"] != before["id"]
    assert {**BEFORE, "timestamp": before["timestamp"]} == facts(stack, answer)


def test_a_spread_of_a_change_starts_at_its_time(stack, scheduled):
    """The answer has the resulting time."""
    answer = stack.ask("change", **scheduled(), delay=20_000, spread=100)
    assert NOON_S + 20_000 <= answer["timestamp"] <= NOON_S + 20_100
    assert {**BEFORE, "timestamp": answer["timestamp"]} == facts(stack, answer)


def test_a_repeated_change_of_an_unnamed_schedule_draws_the_same_moment(stack):
    """A crash between the new item and the old one leaves both. The repeat must not make a third."""
    which = {"id": stack.accept({"timestamp": FAR_S, "data": "x"})["id"]}
    old = stack.waiting()
    answers = []
    for _ in range(2):
        answers.append(stack.ask("change", **which, timestamp=FAR_S + 100, spread=50_000, data="y"))
        stack.cloud.dynamodb.put_item(TableName="schedules", Item=old[0])
    assert answers[0] == answers[1]
    assert 2 == len(stack.waiting())
    assert answers[0]["id"] != stack.ask("change", **which, timestamp=FAR_S + 100, spread=50_000, data="z")["id"]


def test_a_changed_schedule_comes_out_once_and_changed(stack, scheduled):
    """It has the new target, data and user. The other members of a bundle come out as they were."""
    which = scheduled()
    answer = stack.ask("change", **which, timestamp=FAR_S + 400, data="new", target=FUNCTION, user=None)
    stack.come_out(FAR_S + 1_000)
    came = [(each.id, each.data, each.target, each.user) for each in stack.received]
    assert [(answer["id"], "new", FUNCTION, None)] == [each for each in came if each[1] == "new"]
    assert (2 if which.get("id", "").count("-") == 3 else 0) == len(came) - 1


@pytest.mark.parametrize("at", [NOON_S, FAR_S])
def test_a_name_gets_any_other_target_at_any_time(stack, at):
    """Its timer may be in the delivery queue already. The old target gets nothing."""
    expected = {}
    for before in ({}, {"target": TOPIC}, {"target": WEBHOOK}):
        for after in (None, TOPIC, FUNCTION, WEBHOOK):
            name = f"bill/{len(expected)}"
            stack.accept({"timestamp": at, "data": name, "name": name, **before})
            answer = stack.ask("change", name=name, target=after)
            assert at == answer["timestamp"]
            expected[name] = (answer["id"], webhook.checked(after, HOSTS) if isinstance(after, dict) else after)
    stack.come_out(at)
    assert len(expected) == len(stack.received)
    assert expected == {each.name: (each.id, each.target) for each in stack.received}
    assert {"delivered"} == {stack.ask("get", name=name)["state"] for name in expected}


@pytest.mark.parametrize("after", [{"delay": 0}, {"delay": 20_000}])
def test_an_unnamed_schedule_gets_any_other_target(stack, after):
    """Near ones go to the delivery queue or straight to their queue, as a new schedule does."""
    which = {"id": stack.accept({"timestamp": FAR_S, "data": "x"})["id"]}
    to_topic = stack.ask("change", **which, target=TOPIC)
    to_queue = stack.ask("change", id=to_topic["id"], target=None)
    answer = stack.ask("change", id=to_queue["id"], target=WEBHOOK, data=None, **after)
    stack.come_out(answer["timestamp"])
    stack.come_out(FAR_S + 50_000)
    assert [(answer["id"], "")] == [(each.id, each.data) for each in stack.received]


def test_a_change_of_an_overdue_name_is_delivered_at_once(stack):
    """A schedule whose target fails is pending, and gets another target."""
    stack.accept({"timestamp": NOON_S + 5, "data": "x", "name": "bill", "target": TOPIC})
    stack.clock.sleep(100)
    answer = stack.ask("change", name="bill", target=FUNCTION)
    assert (NOON_S + 5, "queued") == (answer["timestamp"], answer["state"])
    stack.come_out(NOON_S + 101)
    assert [(answer["id"], FUNCTION)] == [(each.id, each.target) for each in stack.received]


WRONG = [
    ({}, "no field to change is given; wanted: one or more"),
    ({"if_exists": "keep"}, "'if_exists' is not a field of change"),
    ({"token": "t"}, "'token' is not a field of change"),
    ({"usr": "x"}, "'usr' is not a field of change; did you mean user?"),
    ({"timestamp": None}, "timestamp is null; wanted: "),
    ({"delay": None}, "delay is null; wanted: "),
    ({"timestamp": 5, "delay": 5}, "timestamp and delay are both given"),
    ({"timestamp": "2030-01-01T09:00", "zone": "Europe/Berlni"}, "did you mean Europe/Berlin?"),
    ({"zone": "Europe/Berlin"}, "zone is given without a timestamp; wanted: "),
    ({"zone": "Europe/Berlin", "delay": 5}, "zone is given beside a delay; wanted: "),
    ({"spread": 5}, "spread is given without a time; wanted: a timestamp or a delay beside it"),
    ({"spread": 86_401, "delay": 5}, "spread is 86401; wanted: "),
    ({"data": None}, "data is null; wanted: "),
    ({"data": ""}, "data is a string of 0 bytes; wanted: "),
    ({"data": "x" * (DATA_BYTES_MAX + 1)}, f"data is a string of {DATA_BYTES_MAX + 1} bytes; wanted: "),
    ({"data": '"' * DATA_BYTES_MAX}, "data comes to"),
    ({"target": "arn:aws:sns:eu-central-1:123456789012:nobodys"}, "which is not listed; wanted: "),
    ({"target": {"url": "https://api.example.org/"}}, "target.url"),
    ({"target": {**WEBHOOK, "method": "TRACE"}}, "target.method is TRACE"),
    ({"user": 7}, "user is 7; wanted: "),
    ({"retry": {}}, "retry is an object with 0 fields; wanted: "),
    ({"retry": {"attempts": 21}}, "retry.attempts is 21; wanted: "),
    ({"failure_target": FUNCTION}, "failure_target is "),
    ({"expires_after": -1}, "expires_after is -1; wanted: "),
    ({"timestamp": NOON_S - 10, "expires_after": 5}, "by its expires_after it would be dropped at once"),
]


def test_a_wrong_change_is_refused_and_changes_nothing(stack, scheduled):
    """The error is the one of a new schedule."""
    which = scheduled()
    before = stack.ask("get", **which)
    for wrong, says in WRONG:
        with pytest.raises(InvalidRequest) as refusal:
            stack.ask("change", **which, **wrong)
        assert says in str(refusal.value)
    assert before == stack.ask("get", **which)
    assert not any("hold" in item for item in stack.waiting())


def test_a_webhook_without_data_gets_data_before_another_target(stack, scheduled):
    """Only a webhook can do without."""
    which = scheduled(target=WEBHOOK, data="x")
    changed = stack.ask("change", **which, data=None)
    which = which if "name" in which else {"id": changed["id"]}
    for given in ({"target": None}, {"target": TOPIC}, {"target": TOPIC, "data": None}):
        with pytest.raises(InvalidRequest, match=r"data is (missing|null)"):
            stack.ask("change", **which, **given)
    answer = stack.ask("change", **which, target=TOPIC, data="y")
    assert ("y", TOPIC) == (stored(stack, answer).data, stored(stack, answer).target)


def test_a_stack_that_wants_users_lets_nobody_remove_one(stack, scheduled):
    """The rules of the owner hold for a change too."""
    which = scheduled()
    stack.rules = AcceptRules(LISTED, require_user=True)
    with pytest.raises(InvalidRequest, match="user is missing, and this stack requires it"):
        stack.ask("change", **which, user=None)
    stack.ask("change", **which, user="you")


def test_what_is_kept_is_not_checked_again(stack, scheduled):
    """The owner may have taken a target off the list. The caller can still change the time, or the target."""
    which = scheduled()
    stack.rules = AcceptRules(AllowedTargets(frozenset({FUNCTION}), "eu-central-1"), require_user=True)
    changed = stack.ask("change", **which, delay=20_000, retry={"attempts": 2})
    which = which if "name" in which else {"id": changed["id"]}
    assert {"attempts": 2} == facts(stack, changed)["retry"]
    with pytest.raises(InvalidRequest, match="which is not listed"):
        stack.ask("change", **which, target=TOPIC)
    stack.ask("change", **which, target=FUNCTION)


def test_a_change_needs_exactly_one_name_or_id(stack):
    """There is no change of many."""
    with pytest.raises(InvalidRequest, match="name and id are both missing"):
        stack.ask("change", data="x")
    with pytest.raises(InvalidRequest, match="name and id are both given"):
        stack.ask("change", name="a", id="0-001893456000000-0123456789abcdef", data="x")
    with pytest.raises(NotFound, match="nothing is known under the name 'a'"):
        stack.ask("change", name="a", data="x")


def test_a_move_points_to_change_for_other_fields(stack):
    """The hint names the operation that takes the field."""
    with pytest.raises(InvalidRequest, match="'data' is not a field of move; change takes it"):
        stack.ask("move", name="bill", delay=5, data="x")


def test_a_time_change_is_a_move(stack):
    """Both give the same id, so one repeats the other."""
    which = {"id": stack.accept({"timestamp": FAR_S, "data": "x"})["id"]}
    (old,) = stack.waiting()
    moved = stack.ask("move", **which, timestamp=FAR_S + 5)
    stack.cloud.dynamodb.put_item(TableName="schedules", Item=old)
    assert moved == stack.ask("change", **which, timestamp=FAR_S + 5)


def test_an_earlier_version_reads_changed_options(stack):
    """They are stored as a new schedule's are."""
    which = {"id": stack.accept({"timestamp": FAR_S, "data": "x", "failure_target": FAILURES})["id"]}
    answer = stack.ask("change", **which, retry={"max_age_s": 5, "attempts": 2})
    terms = stored(stack, answer).terms
    assert terms == f'{{"retry":{{"attempts":2,"max_age_s":5}},"failure_target":"{FAILURES}"}}'
    assert DeliveryOptions(2, 5_000, FAILURES) == DeliveryOptions.read(terms)
    assert stored(stack, stack.ask("change", id=answer["id"], retry=None, failure_target=None)).terms is None


def test_a_delivered_name_cannot_be_changed(stack):
    """It is too late, and the error says so."""
    stack.accept({"timestamp": NOON_S, "data": "x", "name": "bill"})
    stack.come_out(NOON_S)
    with pytest.raises(OnItsWay, match="is delivered since"):
        stack.ask("change", name="bill", data="y")
