"""The owner creates applications and their keys, replaces and disables keys, and deletes applications."""

import json
import re

import pytest

from punctual.testing import Stack
from punctual.testing.calls import Fair
from punctual.testing.services.aws_errors import refusal
from punctual.testing.stack import Refused
from scheduler.administering.deletion import FED_AFTER_S
from scheduler.administering.keys import KEYS_MAX
from scheduler.administering.request import GRACE_S_DEFAULT
from scheduler.aws import items
from scheduler.aws.applications.stored import application_item
from scheduler.limits import APPLICATIONS_MAX
from scheduler.model.application import Application, digest_of

KEY = re.compile(r"pk[0-9a-f]{40}")
QUEUE = "arn:aws:sqs:eu-central-1:123456789012:bills"
TOPIC = "arn:aws:sns:eu-central-1:123456789012:alarms"
HOUR_S = 3600


@pytest.fixture
def stack():
    return Stack(PartitionCount=2)


def table(stack):
    """Return the table, so that a test can read and write items as other functions do."""
    client, name = stack.client("dynamodb"), stack.output("TableName")
    return client, name


def put(stack, item):
    client, name = table(stack)
    client.put_item(TableName=name, Item=item)


def all_items(stack):
    (found,) = stack._cloud.dynamodb.tables.values()
    return [item for rows in found.items.values() for item in rows.values()]


def names(stack):
    return [each["name"] for each in stack.administer("list")["applications"]]


def test_an_application_is_created_with_a_control_key_and_a_data_key(stack):
    made = stack.administer("create", name="billing", default_target="output")

    assert {"application", "name", "control", "data"} == made.keys()
    assert re.fullmatch("[0-9a-f]{8}", made["application"])
    for scope in ("control", "data"):
        assert {"id", "key"} == made[scope].keys()
        assert KEY.fullmatch(made[scope]["key"])
        assert made[scope]["id"].startswith(made["application"] + "-")
    assert made["control"]["key"] != made["data"]["key"]


def test_applications_are_listed_by_name(stack):
    stack.administer("create", name="shop", default_target="output", rate=5)
    made = stack.administer("create", name="billing")

    billing, shop = stack.administer("list")["applications"]
    assert {
        "application": made["application"],
        "name": "billing",
        "default_target": None,
        "targets": [],
        "failure_targets": [],
        "hosts": [],
        "rate": 20,
        "burst": 40,
        "quota": None,
        "created": pytest.approx(stack.now, abs=5),
    } == billing
    assert ("shop", "output", 5, 10) == (shop["name"], shop["default_target"], shop["rate"], shop["burst"])


def test_the_keys_of_an_application_are_listed_by_its_name_or_id_and_never_shown(stack):
    stack.administer("create", name="shop")
    made = stack.administer("create", name="billing")

    found = stack.administer("keys", name="billing")
    assert found == stack.administer("keys", name=made["application"])
    assert {(made[scope]["id"], scope, "active", None) for scope in ("control", "data")} == {
        (key["id"], key["scope"], key["state"], key["ends"]) for key in found["keys"]
    }
    assert not KEY.search(json.dumps(found))


def test_the_table_and_the_log_have_no_key(stack):
    """The table has the SHA-256 of each. The log names who did what: the application, the keys and the request."""
    made = stack.administer("create", name="billing")
    rotated = stack.administer("rotate", id=made["data"]["id"])
    stack.administer("disable", id=made["control"]["id"])

    texts = [made["control"]["key"], made["data"]["key"], rotated["key"]]
    stored = [item for item in all_items(stack) if item["partition"]["S"] == "keys"]
    assert {digest_of(text) for text in texts} == {item["sort"]["S"] for item in stored}
    assert not KEY.search(repr(all_items(stack)))
    assert not KEY.search(repr(stack.log()))
    created, replaced, disabled = [line for line in stack.log() if line["outcome"] == "changed"]
    assert ("create", "owner", made["application"]) == (created["operation"], created["who"], created["application"])
    assert [made["control"]["id"], made["data"]["id"]] == created["keys"]
    assert created["request"].startswith("virtual-AdminFunction@")
    assert (rotated["id"], made["data"]["id"]) == (replaced["id"], replaced["replaces"])
    assert (made["control"]["id"], "disabled") == (disabled["id"], disabled["state"])


@pytest.mark.parametrize(("fields", "grace_s"), [({}, GRACE_S_DEFAULT), ({"grace": 60}, 60), ({"grace": 0}, 0)])
def test_two_keys_are_valid_while_one_replaces_the_other(stack, fields, grace_s):
    made = stack.administer("create", name="billing")
    began_s = stack.now
    rotated = stack.administer("rotate", id=made["data"]["id"], **fields)

    assert KEY.fullmatch(rotated["key"])
    assert made["data"]["id"] == rotated["replaces"]
    assert began_s + grace_s <= rotated["ends"] <= stack.now + grace_s

    def states():
        keys = stack.administer("keys", name="billing")["keys"]
        return {key["id"]: key["state"] for key in keys if key["scope"] == "data"}

    if grace_s:
        assert {made["data"]["id"]: "replaced", rotated["id"]: "active"} == states()
        stack.advance(seconds=grace_s)
    assert {made["data"]["id"]: "ended", rotated["id"]: "active"} == states()


def test_a_key_is_replaced_once(stack):
    """The key that replaced it can be replaced in turn."""
    made = stack.administer("create", name="billing")
    second = stack.administer("rotate", id=made["data"]["id"])
    with pytest.raises(Refused, match="was replaced before"):
        stack.administer("rotate", id=made["data"]["id"])
    assert stack.administer("rotate", id=second["id"])["replaces"] == second["id"]


def test_a_disabled_key_can_be_replaced(stack):
    """Otherwise an application that disabled its last key could get no other."""
    made = stack.administer("create", name="billing")
    for _ in range(2):
        assert {"id": made["data"]["id"], "state": "disabled"} == stack.administer("disable", id=made["data"]["id"])
    stack.administer("rotate", id=made["data"]["id"])

    states = {key["id"]: key["state"] for key in stack.administer("keys", name="billing")["keys"]}
    assert "disabled" == states[made["data"]["id"]]
    assert 3 == len(states)


def test_an_application_has_a_bounded_number_of_valid_keys(stack):
    key_id = stack.administer("create", name="billing")["data"]["id"]
    for _ in range(KEYS_MAX - 2):
        key_id = stack.administer("rotate", id=key_id)["id"]
    with pytest.raises(Refused, match=f"{KEYS_MAX} of its keys are valid"):
        stack.administer("rotate", id=key_id)

    stack.advance(seconds=GRACE_S_DEFAULT)
    stack.administer("rotate", id=key_id)


def test_keys_for_the_owner(stack):
    """Each call makes two more, and they are no application's."""
    first = stack.administer("create", name="owner")
    stack.administer("create", name="owner")

    assert "owner" == first["application"]
    assert first["control"]["id"].startswith("owner-")
    assert 4 == len(stack.administer("keys", name="owner")["keys"])
    assert [] == names(stack)
    with pytest.raises(Refused, match="default_target is given"):
        stack.administer("create", name="owner", default_target="output")
    with pytest.raises(Refused, match="owner cannot be deleted"):
        stack.administer("delete", name="owner")


def test_a_name_belongs_to_one_application(stack):
    stack.administer("create", name="billing")
    with pytest.raises(Refused, match="which another application has"):
        stack.administer("create", name="billing")
    assert ["billing"] == names(stack)


@pytest.mark.parametrize("name", ["", " ", "a b", "-a", "1f2e3d4c", "x" * 65, "naïve", "a/b", "*", 7, None, ["a"]])
def test_an_invalid_name_is_refused(stack, name):
    with pytest.raises(Refused, match=r"^InvalidRequest: name is .*; wanted: 1 to 64 of"):
        stack.administer("create", name=name)
    assert [] == names(stack)


@pytest.mark.parametrize(
    ("operation", "fields", "says"),
    [
        ("craete", {}, "did you mean create"),
        ("create", {}, "name is missing"),
        ("create", {"name": "Owner"}, "looks like the reserved name owner"),
        ("create", {"name": "a", "target": QUEUE}, "did you mean targets"),
        ("create", {"name": "a", "targets": QUEUE}, "targets is '.*; wanted: a list"),
        ("create", {"name": "a", "targets": [QUEUE, 5]}, "targets has 5 in it"),
        ("create", {"name": "a", "targets": [QUEUE]}, "targets is '.*, which is not listed; wanted: an ARN that the"),
        ("create", {"name": "a", "failure_targets": [TOPIC]}, "failure_targets is '.*, which is not listed"),
        ("create", {"name": "a", "failure_targets": ["x"]}, "failure_targets is 'x'; wanted: the ARN of a standard"),
        ("create", {"name": "a", "default_target": QUEUE}, "default_target is '.*, which is not listed"),
        ("create", {"name": "a", "default_target": "queue"}, "default_target is 'queue'; wanted: output, an ARN, or"),
        ("create", {"name": "a", "default_target": 5}, "default_target is 5"),
        ("create", {"name": "a", "default_target": "https://x.example.com"}, "default_target is a webhook"),
        ("create", {"name": "a", "hosts": ["x.example.com"]}, "which the stack does not allow"),
        ("create", {"name": "a", "hosts": ["x y"]}, "wanted: one host in each entry"),
        ("create", {"name": "a", "hosts": ["ftp://x"]}, "hosts: 'ftp://x' is no host"),
        ("create", {"name": "a", "rate": 0}, "rate is 0; wanted: a whole number from 1 to 100"),
        ("create", {"name": "a", "rate": 1.5}, "rate is 1.5"),
        ("create", {"name": "a", "burst": True}, "burst is true"),
        ("create", {"name": "a", "quota": 0}, "quota is 0; wanted: a whole number from 1 to 1000000000"),
        ("change", {"name": "nobody", "rate": 5}, "NotFound: there is no application 'nobody'"),
        ("change", {"name": "owner", "rate": 5}, "name is owner, which has the limits of the stack"),
        ("change", {"rate": 5}, "name is missing"),
        ("change", {"name": "a", "rates": 5}, "did you mean rate"),
        ("list", {"name": "a"}, "'name' is not a field of list; accepted are none"),
        ("keys", {"name": "nobody"}, "NotFound: there is no application 'nobody'"),
        ("keys", {"name": "ffffffff"}, "NotFound: there is no application 'ffffffff'"),
        ("rotate", {"id": "ffffffff-00000000"}, "NotFound: there is no key ffffffff-00000000"),
        ("rotate", {"id": "x"}, "id is 'x'; wanted: the id of a key"),
        ("rotate", {"id": "owner-00000000", "grace": -1}, "there is no key owner-00000000"),
        ("disable", {"id": "pk" + 40 * "a"}, "id is a text; a key itself is never sent"),
        ("delete", {"name": "nobody"}, "NotFound: there is no application 'nobody'"),
    ],
)
def test_a_bad_request_says_what_is_wrong_and_changes_nothing(stack, operation, fields, says):
    with pytest.raises(Refused, match=says):
        stack.administer(operation, **fields)
    assert [] == all_items(stack)


def test_a_grace_is_bounded(stack):
    made = stack.administer("create", name="billing")
    for grace in (-1, 90 * 86_400 + 1, "a day", True):
        with pytest.raises(Refused, match="grace"):
            stack.administer("rotate", id=made["data"]["id"], grace=grace)


def test_an_application_may_use_some_of_what_the_stack_allows():
    """Its default target and the host of its default target are among the targets and hosts that it may use."""
    stack = Stack(TargetArns=f"{QUEUE},{TOPIC}", WebhookHosts="*.example.com")
    stack.administer("create", name="queue", default_target=QUEUE, failure_targets=[TOPIC, TOPIC])
    stack.administer("create", name="web", default_target="https://api.example.com/in", hosts=["*.a.example.com"])
    stack.administer("create", name="wide", default_target="https://api.example.com", hosts=["*.example.com"])

    queue, web, wide = stack.administer("list")["applications"]
    assert ([QUEUE], [TOPIC], QUEUE) == (queue["targets"], queue["failure_targets"], queue["default_target"])
    assert ["*.a.example.com", "api.example.com"] == web["hosts"]
    assert {"url": "https://api.example.com/in"} == web["default_target"]
    assert ["*.example.com"] == wide["hosts"]
    for host in ("*", "example.com", "http://api.example.com", "*.example.org"):
        with pytest.raises(Refused, match="does not allow"):
            stack.administer("create", name="more", hosts=[host])


def as_listed(stack, name):
    return next(each for each in stack.administer("list")["applications"] if each["name"] == name)


def test_a_change_replaces_what_is_given_and_keeps_the_rest():
    stack = Stack(TargetArns=f"{QUEUE},{TOPIC}", WebhookHosts="*.example.com")
    fields = {"targets": [QUEUE], "failure_targets": [TOPIC], "hosts": ["a.example.com"], "rate": 5, "quota": 100}
    made = stack.administer("create", name="billing", default_target="output", **fields)
    before = as_listed(stack, "billing")

    answer = stack.administer("change", name="billing", targets=[TOPIC], quota=7)
    wanted = {**before, "targets": [TOPIC], "quota": 7}
    assert {**wanted, "changed": ["targets", "quota"]} == answer
    assert wanted == as_listed(stack, "billing")
    assert before | {"targets": [TOPIC]} == as_listed(stack, "billing") | {"quota": 100}
    by_id = stack.administer("change", name=made["application"], burst=3)
    assert (5, 3) == (by_id["rate"], by_id["burst"])


def test_a_rate_without_a_burst_decides_the_burst_as_for_a_new_application(stack):
    stack.administer("create", name="billing", rate=5, burst=6)
    changed = stack.administer("change", name="billing", rate=30)
    assert (30, 60) == (changed["rate"], changed["burst"])


def test_a_null_stands_for_the_default_of_a_field():
    stack = Stack(TargetArns=QUEUE, WebhookHosts="*.example.com")
    fields = {"targets": [QUEUE], "failure_targets": [QUEUE], "hosts": ["a.example.com"], "rate": 5, "quota": 100}
    stack.administer("create", name="billing", default_target="output", **fields)
    given = ("default_target", *fields)
    bare = stack.administer("create", name="bare")
    changed = stack.administer("change", name="billing", burst=None, **dict.fromkeys(given))
    new = next(each for each in stack.administer("list")["applications"] if each["application"] == bare["application"])
    own = ("application", "name", "created")
    assert {field: new[field] for field in new if field not in own} == {
        field: changed[field] for field in new if field not in own
    }
    stored = next(each for each in all_items(stack) if each["sort"]["S"] == f"application#{changed['application']}")
    assert {"name", "rate", "burst", "created", "state"} == stored.keys() - {"partition", "sort"}


def test_the_default_target_stays_among_what_the_application_may_use():
    """It is added to a list that lacks it, as for a new application."""
    stack = Stack(TargetArns=f"{QUEUE},{TOPIC}", WebhookHosts="*.example.com")
    stack.administer("create", name="billing", default_target=QUEUE)
    assert [TOPIC, QUEUE] == stack.administer("change", name="billing", targets=[TOPIC])["targets"]
    changed = stack.administer("change", name="billing", default_target="https://a.example.com/due")
    assert ([TOPIC, QUEUE], ["a.example.com"]) == (changed["targets"], changed["hosts"])
    assert ["a.example.com"] == stack.administer("change", name="billing", hosts=None)["hosts"]


def test_a_kept_value_that_the_stack_no_longer_allows_does_not_hinder_a_change():
    """A given value has to be allowed."""
    stack = Stack(TargetArns=QUEUE)
    stack.administer("create", name="billing", default_target=QUEUE)
    stack.update(TargetArns=TOPIC)
    assert [QUEUE] == stack.administer("change", name="billing", rate=7)["targets"]
    with pytest.raises(Refused, match=r"targets is '.*, which is not listed"):
        stack.administer("change", name="billing", targets=[QUEUE])


@pytest.mark.parametrize("fields", [{}, {"rate": 0}, {"quota": 0}, {"hosts": ["x.example.org"]}, {"targets": "x"}])
def test_a_change_that_is_refused_changes_nothing(stack, fields):
    stack.administer("create", name="billing", rate=5)
    before = as_listed(stack, "billing")
    with pytest.raises(Refused, match="InvalidRequest"):
        stack.administer("change", name="billing", **{**fields, **({"burst": 9} if fields else {})})
    assert before == as_listed(stack, "billing")


def test_a_deleted_application_cannot_be_changed(stack):
    made = stack.administer("create", name="billing")
    stack.administer("delete", name="billing")
    for name in ("billing", made["application"]):
        with pytest.raises(Refused, match="NotFound: there is no application"):
            stack.administer("change", name=name, rate=7)


def test_the_log_says_what_was_changed(stack):
    made = stack.administer("create", name="billing")
    stack.administer("change", name="billing", rate=7, quota=9)
    line = stack.log()[-1]
    assert ("change", "owner", made["application"]) == (line["operation"], line["who"], line["application"])
    assert (["rate", "quota"], 1) == (line["fields"], line["count"])


@pytest.mark.parametrize(
    "pending",
    [
        lambda id: items.key(f"1#{id}", "001893456000000#0123456789abcdef"),
        lambda id: {**items.key(f"names#{id}#b", "order/1"), "state": {"S": "pending"}},
    ],
    ids=["far", "named"],
)
def test_an_application_with_a_pending_schedule_is_not_deleted(stack, pending):
    """A record of what is over does not count."""
    made = stack.administer("create", name="billing")
    put(stack, {**items.key(f"names#{made['application']}#0", "order/0"), "state": {"S": "delivered"}})
    put(stack, pending(made["application"]))

    with pytest.raises(Refused, match="schedules of billing are pending; wanted: cancel them first"):
        stack.administer("delete", name="billing")
    assert ["billing"] == names(stack)

    client, name = table(stack)
    client.delete_item(TableName=name, Key={part: pending(made["application"])[part] for part in ("partition", "sort")})
    assert "deleted" == stack.administer("delete", name="billing")["state"]
    assert [] == names(stack)


def test_the_schedules_of_others_do_not_keep_an_application(stack):
    stack.administer("create", name="billing")
    other = stack.administer("create", name="shop")
    stack.schedule({"delay": 86_400, "data": "x", "name": "mine"})
    put(stack, items.key(f"0#{other['application']}", "001893456000000#0123456789abcdef"))

    assert "deleted" == stack.administer("delete", name="billing")["state"]


def test_a_deleted_application_leaves_its_name_and_keeps_its_id(stack):
    made = stack.administer("create", name="billing")
    stack.administer("delete", name=made["application"])
    again = stack.administer("create", name="billing")

    assert made["application"] != again["application"]
    with pytest.raises(Refused, match="there is no application"):
        stack.administer("keys", name=made["application"])
    with pytest.raises(Refused, match="there is no application"):
        stack.administer("rotate", id=made["data"]["id"])
    assert [again["application"]] == [each["application"] for each in stack.administer("list")["applications"]]


def test_the_feeds_read_a_deleted_application_for_an_hour_and_until_it_is_empty(stack):
    """A request that came just before the deletion may store a schedule just after it."""
    made = stack.administer("create", name="billing")
    late = items.key(f"0#{made['application']}", "001924992000000#0123456789abcdef")  # In a year.
    client, name = table(stack)
    client.update_item(
        TableName=name,
        Key=items.key("meta", "partitions"),
        UpdateExpression="SET #count = :count ADD #applications :ids",
        ExpressionAttributeNames={"#count": "count", "#applications": "applications"},
        ExpressionAttributeValues={":count": {"N": "2"}, ":ids": {"SS": [made["application"], "ffffffff"]}},
    )

    def fed():
        answer = client.get_item(TableName=name, Key=items.key("meta", "partitions"), ConsistentRead=True)
        return answer["Item"]["applications"]["SS"]

    stack.administer("delete", name="billing")
    put(stack, late)
    assert 0 == stack.administer("repair")["ended"]

    stack.advance(seconds=FED_AFTER_S)
    assert 0 == stack.administer("repair")["ended"], "something is left"
    assert made["application"] in fed()

    client.delete_item(TableName=name, Key=late)
    assert 1 == stack.administer("repair")["ended"]
    assert ["ffffffff"] == fed(), "an application that exists is fed"
    assert 0 == stack.administer("repair")["ended"]


def test_a_stack_has_a_bounded_number_of_applications(stack):
    """A deleted one makes room."""
    for number in range(APPLICATIONS_MAX - 1):
        put(stack, application_item(Application(f"{number:08x}", f"a{number}")))
    put(stack, application_item(Application("ffffffff", "gone", state="deleted")))

    stack.administer("create", name="last")
    with pytest.raises(Refused, match=f"there are {APPLICATIONS_MAX} applications"):
        stack.administer("create", name="one-more")
    assert APPLICATIONS_MAX == len(names(stack))

    stack.administer("delete", name="last")
    stack.administer("create", name="one-more")


class Trouble(Fair):
    """DynamoDB loses the first answers to transactions, or refuses them."""

    def __init__(self, times, **fault):
        super().__init__(there_s=0.0, back_s=0.0)
        self.left, self.fault = times, fault

    def call_fault(self, call):
        fault = super().call_fault(call)
        if call.operation == "transact_write_items" and self.left:
            self.left -= 1
            for name, value in self.fault.items():
                setattr(fault, name, value)
        return fault


@pytest.mark.parametrize("fault", [{"back_s": 60.0}, {"error_before": refusal("ThrottlingException", "", 400)}])
def test_a_lost_answer_of_the_table_makes_no_second_application(stack, fault):
    stack._cloud.network.faults = Trouble(2, **fault)
    made = stack.administer("create", name="billing")

    assert ["billing"] == names(stack)
    assert {made["control"]["id"], made["data"]["id"]} == {
        key["id"] for key in stack.administer("keys", name="billing")["keys"]
    }


def test_an_application_that_could_not_be_written_leaves_nothing(stack):
    stack._cloud.network.faults = Trouble(100, error_before=refusal("ThrottlingException", "", 400))
    with pytest.raises(Refused, match="NotConfirmed"):
        stack.administer("create", name="billing")
    assert [] == all_items(stack)
