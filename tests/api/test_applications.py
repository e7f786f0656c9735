"""An application works through the API with its own keys, and sees, changes and counts only its own schedules."""

import pytest

from scheduler.administering.deletion import FED_AFTER_S
from tests.api.virtual_api import problem

DAY_S = 86_400


class Team:
    """One application, with its control key."""

    def __init__(self, stack, api, name):
        made = stack.administer("create", name=name, default_target="output")
        self.id, self.name, self._api = made["application"], name, api
        self.key, self.data_key = made["control"]["key"], made["data"]["key"]

    def __call__(self, method, path, body=None, **more):
        return self._api(method, path, body, key=self.key, **more)

    def listed(self):
        return {each["name"] or each["id"] for each in self("GET", "/schedules?limit=1000").json["schedules"]}


@pytest.fixture
def billing(stack, api):
    return Team(stack, api, "billing")


@pytest.fixture
def shop(stack, api):
    return Team(stack, api, "shop")


def test_each_application_has_its_own_names_and_schedules(api, billing, shop):
    """The same name is another schedule for each, and for the owner."""
    ids = {who: who("PUT", "/names/order/7", {"delay": DAY_S, "data": "x"}).json["id"] for who in (billing, shop, api)}
    unnamed = billing("POST", "/schedules", {"delay": DAY_S, "data": "x"}).json["id"]
    assert 3 == len(set(ids.values()))
    assert {"order/7", unnamed} == billing.listed()
    assert {"order/7"} == shop.listed()
    for who, id in ids.items():
        assert id == who("GET", "/names/order/7").json["id"]
    for path in (f"/schedules/{unnamed}", f"/schedules/{ids[billing]}"):
        for method in ("GET", "DELETE", "PATCH"):
            problem(shop(method, path, {"delay": 0} if method == "PATCH" else None), 404, "NotFound")

    assert 200 == shop("DELETE", "/names/order/7").status
    assert {"order/7", unnamed} == billing.listed()


def test_a_message_of_an_application_names_it(stack, billing, shop):
    billing("POST", "/schedules", {"delay": 5, "data": "near"})
    shop("POST", "/schedules", {"delay": DAY_S, "data": "far"})
    stack.advance(days=2)
    sent = {message.body: message.attributes["application"]["StringValue"] for _, message in stack._watch.sent_messages}
    assert (billing.id, shop.id) == (sent["near"], sent["far"])


def test_an_application_without_a_default_target_needs_one(stack, api):
    made = stack.administer("create", name="bare")
    answer = api("POST", "/schedules", {"delay": 5, "data": "x"}, key=made["data"]["key"])
    problem(answer, 400, "InvalidSchedule", "target")


@pytest.mark.parametrize("near", [True, False])
def test_an_application_is_deleted_when_nothing_of_it_is_pending(stack, billing, shop, near):
    """Afterwards the feeds no longer read its items."""
    shop("PUT", "/names/keep", {"delay": DAY_S, "data": "x"})
    billing("PUT", "/names/a", {"delay": 60 if near else DAY_S, "data": "x"})
    with pytest.raises(Exception, match="schedules of billing are pending"):
        stack.administer("delete", name="billing")
    assert 200 == billing("DELETE", "/names/a").status
    stack.administer("delete", name="billing")

    stack.advance(seconds=FED_AFTER_S)
    problem(billing("GET", "/schedules"), 403, "KeyRefused")
    assert (0 if near else 1) == stack.administer("repair")["ended"]
    assert {"keep"} == shop.listed()
    stack.advance(days=1)
    assert {"keep"} == {message.name for message in stack.released()}


def test_the_schedule_of_a_request_that_came_just_before_the_deletion_is_released(stack, billing):
    """An execution environment trusts a key for 60 seconds."""
    billing("GET", "/schedules")
    stack.administer("delete", name="billing")
    assert 201 == billing("POST", "/schedules", {"delay": DAY_S, "data": "late"}).status
    stack.advance(seconds=FED_AFTER_S)
    assert 0 == stack.administer("repair")["ended"]

    stack.advance(days=1)
    assert ["late"] == [message.data for message in stack.released()]
    assert 1 == stack.administer("repair")["ended"]


def test_the_owner_may_name_an_application_in_each_request(api, billing):
    """Without a name, the request is about the owner's own schedules."""
    at = f"?application={billing.name}"
    created = api("PUT", f"/names/a{at}", {"delay": DAY_S, "data": "x"})
    assert 201 == created.status
    assert 201 == api("POST", f"/schedules?application={billing.id}", {"delay": DAY_S, "data": "x"}).status
    assert [] == api("GET", "/schedules").json["schedules"]
    assert 2 == len(billing.listed()) == len(api("GET", f"/schedules{at}").json["schedules"])
    assert created.json["id"] == api("GET", f"/names/a{at}").json["id"]
    assert 200 == api("PATCH", f"/names/a{at}", {"data": "y"}).status
    assert 1 == api("POST", f"/schedules/cancel{at}", {"prefix": "a", "dry_run": False}).json["cancelled"]
    assert 200 == api("DELETE", f"/names/a{at}").status
    problem(api("GET", "/names/a"), 404, "NotFound")


def test_the_owner_may_list_the_schedules_of_all_applications(api, billing, shop):
    """Each entry says whose it is."""
    for who in (api, billing, shop):
        who("PUT", "/names/a", {"delay": DAY_S, "data": "x"})
    found = api("GET", "/schedules?application=*").json["schedules"]
    assert {"owner", billing.id, shop.id} == {each["application"] for each in found}
    assert 3 == api("GET", "/forecast?from=2030-01-01&to=2030-01-03&bucket=86400&application=*").json["total"]


def test_the_status_tells_an_application_about_its_own_schedules(stack, api, billing, shop):
    """The owner learns about everybody's."""
    billing("PUT", "/names/a", {"delay": DAY_S, "data": "x"})
    sort = f"{round((stack.now - 60) * 1000):015d}#0123456789abcdef"
    item = {"partition": {"S": f"2#{billing.id}"}, "sort": {"S": sort}, "data": {"S": "x"}}
    stack.client("dynamodb").put_item(TableName=stack.output("TableName"), Item=item)

    found, of_shop, of_owner = (who("GET", "/status").json for who in (billing, shop, api))
    assert {"version", "application", "scope", "now", "overdue", "oldest_overdue"} == found.keys() == of_shop.keys()
    assert {"timestamp": stack.now - 60, "application": billing.id} == found["oldest_overdue"]
    assert [1, 0, 1] == [each["overdue"]["count"] for each in (found, of_shop, of_owner)]
    assert billing.id == of_owner["oldest_overdue"]["application"]


def test_a_change_takes_effect_within_a_minute(stack, api):
    """An execution environment trusts what it has read for 60 seconds. Pending schedules keep their target."""
    bills, mails = stack.add_target("bills"), stack.add_target("mails")
    made = stack.administer("create", name="billing", default_target=bills)

    def send(**fields):
        return api("POST", "/schedules", {"delay": DAY_S, "data": "x", **fields}, key=made["data"]["key"])

    assert 201 == send().status
    problem(send(target=mails), 400, "InvalidSchedule", "target")
    stack.administer("change", name="billing", default_target=mails, targets=[mails])
    stack.advance(seconds=61)
    assert 201 == send().status
    problem(send(target=bills), 400, "InvalidSchedule", "target")
    stack.administer("change", name="billing", quota=1)
    stack.advance(seconds=61)
    two = [{"delay": DAY_S, "data": "x"}] * 2
    problem(api("POST", "/schedules", two, key=made["data"]["key"]), 429, "TooManyRequests")
    stack.advance(days=2)
    assert ["bills", "mails"] == sorted(each.queue.rpartition("/")[2] for each in stack.released())


def test_an_unknown_application_is_not_found(api):
    """Nothing is created for anybody."""
    for method, path, body in (("POST", "/schedules", {"delay": DAY_S, "data": "x"}), ("GET", "/schedules", None)):
        problem(api(method, f"{path}?application=nobody", body), 404, "NotFound")
    problem(api("POST", "/schedules?application=*", {"delay": DAY_S, "data": "x"}), 404, "NotFound")


def test_an_application_may_name_no_other(billing, shop):
    """It does not even learn whether the other exists."""
    for whose in (shop.name, shop.id, "nobody", "owner", "*"):
        for method, path in (("GET", "/schedules"), ("POST", "/schedules"), ("GET", "/names/a"), ("PUT", "/names/a")):
            problem(billing(method, f"{path}?application={whose}", {}), 400, "InvalidRequest", "application")


def test_the_owner_can_follow_the_location_of_what_was_created_for_an_application(api, billing):
    """It names the application as the request did."""
    at = f"?application={billing.name}"
    day = {"delay": DAY_S, "data": "x"}
    named = api("PUT", f"/names/q{at}", day)
    stored = api("POST", f"/schedules{at}", day)
    for created in (named, stored):
        path = created.headers["location"].removeprefix("/v1")
        assert path.endswith(at)
        assert created.json["id"] == api("GET", path).json["id"]


@pytest.mark.parametrize("schedule_id", ["0-999999999999999-0123456789abcdef", "0-999999999999999-0123456789abcdef-3"])
def test_an_id_beyond_the_year_9999_is_not_found(billing, schedule_id):
    problem(billing("POST", "/failures/redrive", {"id": schedule_id}), 404, "NotFound")
