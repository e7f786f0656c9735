"""Reading and changing schedules over HTTP: each request is an operation of the manage function."""

import json
from urllib.parse import quote

import pytest

import punctual
from punctual.testing import Stack
from tests.api.virtual_api import NOW_S, Api, problem

UNKNOWN_ID = "0-001893542400000-0123456789abcdef"


def test_a_schedule_is_looked_up_by_id_and_by_name(api):
    """Both show the same, and in full the rest of the request."""
    created = api.created(name="order/7", user="me", expires_after=60)
    by_id, by_name = api("GET", f"/schedules/{created['id']}"), api("GET", "/names/order/7")
    assert by_id.json == by_name.json == api.stack.manage("get", name="order/7")
    assert "user" not in by_id.json
    full = api("GET", f"/schedules/{created['id']}?full=true").json
    assert ("me", 60) == (full["user"], full["expires_after"])


@pytest.mark.parametrize("path", [f"/schedules/{UNKNOWN_ID}", "/names/nobody"])
@pytest.mark.parametrize(("method", "body"), [("GET", None), ("PATCH", {"data": "y"}), ("DELETE", None)])
def test_an_unknown_schedule_is_not_found(api, method, path, body):
    """The id is far in the future, so it cannot be on its way."""
    problem(api(method, path, body), 404, "NotFound")


def test_a_near_schedule_without_a_name_is_on_its_way(api):
    """It is in a queue, where nothing can be changed any more."""
    created = api.created(delay=5)
    for method, body in (("GET", None), ("PATCH", {"delay": 0}), ("DELETE", None)):
        problem(api(method, f"/schedules/{created['id']}", body), 409, "OnItsWay")


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_an_id_that_is_none_is_refused(api, method):
    """The message says what an id looks like."""
    assert "an id as it was answered" in problem(
        api(method, "/schedules/7", {"data": "y"}), 400, "InvalidRequest", "id"
    )


def test_a_change_keeps_the_fields_that_are_not_given(api):
    """The answer is as for a new schedule, and the id is new."""
    created = api.created(name="a", user="me")
    changed = api("PATCH", "/names/a", {"data": "y", "timestamp": "2030-01-03T00:00:00Z"})
    assert (200, NOW_S + 2 * 86_400) == (changed.status, changed.json["timestamp"])
    assert created["id"] != changed.json["id"]
    now = api("GET", "/names/a?full=true").json
    assert ("y", "me") == (now["data"], now["user"])
    api("PATCH", "/names/a", {"user": None})
    assert api("GET", "/names/a?full=true").json["user"] is None


@pytest.mark.parametrize("delay", [0, 0.0])
@pytest.mark.parametrize("name", ["a", None])
def test_a_delay_of_0_fires(api, name, delay):
    """The schedule is released at once."""
    created = api.created(**({"name": name} if name else {}))
    fired = api("PATCH", f"/schedules/{created['id']}", {"delay": delay})
    assert (200, NOW_S) == (fired.status, fired.json["timestamp"])
    api.stack.advance(seconds=5)
    assert [fired.json["id"]] == [each.id for each in api.stack.released()]


def test_a_change_that_fires_has_new_data(api):
    """A delay of 0 beside another field is a change."""
    api.created(name="a")
    assert 200 == api("PATCH", "/names/a", {"delay": 0, "data": "y"}).status
    api.stack.advance(seconds=5)
    assert ["y"] == [each.data for each in api.stack.released()]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, None),
        ({"delay": -1}, "delay"),
        ({"delay": False}, "delay"),
        ({"timestamp": 1, "delay": 1}, "timestamp"),
        ({"dat": 1}, "dat"),
        ({"name": "b"}, "name"),
        ({"id": "b"}, "id"),
        ({"operation": "cancel"}, "operation"),
        ([], None),
    ],
)
def test_an_invalid_change_is_refused(api, body, field):
    """Nothing is changed."""
    api.created(name="a")
    before = api("GET", "/names/a").json
    problem(api("PATCH", "/names/a", body), 400, "InvalidRequest", field)
    assert before == api("GET", "/names/a").json


def test_a_cancelled_schedule_is_not_released(api):
    """A second DELETE has the same answer for a name. For an id, the schedule is gone."""
    named, unnamed = api.created(name="a"), api.created()
    for _ in range(2):
        assert {"id": named["id"], "state": "cancelled"} == api("DELETE", "/names/a").json
    assert 200 == api("DELETE", f"/schedules/{unnamed['id']}").status
    problem(api("DELETE", f"/schedules/{unnamed['id']}"), 404, "NotFound")
    api.stack.advance(days=2)
    assert [] == api.stack.released()


def test_pages_of_a_list_go_on_where_the_last_one_ended(api):
    """The limit and the range hold for each page."""
    ids = [api.created(timestamp=NOW_S + 86_400 + number)["id"] for number in range(5)]
    seen, path = [], f"/schedules?limit=2&from={NOW_S}&to=2030-01-02T00:00:04Z"
    answer = api("GET", path)
    while True:
        seen += [each["id"] for each in answer.json["schedules"]]
        if answer.json["next"] is None:
            break
        answer = api("GET", f"{path}&next={quote(answer.json['next'])}")
    assert ids[:4] == seen


def test_a_list_with_a_prefix_has_only_these_names(api):
    """The prefix may hold slashes."""
    api.created(name="a/1"), api.created(name="b/1"), api.created()
    for prefix in ("a/", quote("a/", safe="")):
        assert ["a/1"] == [each["name"] for each in api("GET", f"/schedules?prefix={prefix}").json["schedules"]]


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/schedules?limit=0", "limit"),
        ("/schedules?limit=1001", "limit"),
        ("/schedules?limit=2.5", "limit"),
        ("/schedules?limit=1&limit=2", "limit"),
        ("/schedules?limit=", "limit"),
        ("/schedules?full=yes", "full"),
        ("/schedules?from=soon", "from"),
        ("/schedules?from=2030-01-02&to=2030-01-01", "to"),
        ("/schedules?prefix=a%20b", "prefix"),
        ("/schedules?next=x", "next"),
        ("/schedules?next=" + "x" * 4_001, "next"),
        ("/schedules?operation=cancel", "operation"),
        ("/schedules?%C3%BC=1", "ü"),
        ("/forecast?from=2030-01-01&to=2030-01-02", "bucket"),
        ("/forecast?from=2030-01-01&to=2030-01-02&bucket=x", "bucket"),
        ("/forecast?from=2030-01-01&to=2030-01-02&bucket=1", "bucket"),
        ("/forecast?from=2030-01-01&to=2030-01-02&bucket=3600&estimate=1", "estimate"),
        ("/failures?limit=x", "limit"),
        ("/status?full=true", "full"),
        ("/names/a?limit=1", "limit"),
        ("/openapi.json?x=1", "x"),
    ],
)
def test_an_invalid_query_is_a_problem_that_names_the_parameter(api, path, field):
    """A parameter that is unknown or given twice is refused too."""
    problem(api("GET", path), 400, "InvalidRequest", field)


@pytest.mark.parametrize(
    "path",
    ["/names/a//b", "/names/a/", "/names/a/../b", "/names/.", "/names/a/%2e%2e", "/names/a%2F%2Fb", "/names/%FF"],
)
def test_a_path_that_proxies_might_change_is_refused(api, path):
    """Empty segments and dots are refused, whether encoded or not."""
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        problem(api(method, path, {"delay": 5, "data": "x"}), 400, "InvalidRequest")


def test_a_path_is_decoded_once(api):
    """A name has no percent sign, so a path that is encoded twice names nothing."""
    api.created(name="a/b:c")
    assert 200 == api("GET", "/names/a%2Fb%3Ac").status
    problem(api("GET", "/names/a%252Fb%253Ac"), 400, "InvalidRequest", "name")


def test_bulk_cancel_needs_a_decision(api):
    """A dry run counts, and the real run cancels."""
    for number in range(3):
        api.created(name=f"a/{number}")
    problem(api("POST", "/schedules/cancel", {"prefix": "a/"}), 400, "InvalidRequest", "dry_run")
    problem(api("POST", "/schedules/cancel", {"dry_run": True}), 400, "InvalidRequest", "prefix")
    dry = api("POST", "/schedules/cancel", {"prefix": "a/", "dry_run": True})
    assert {"matched": 3, "cancelled": 0, "next": None} == dry.json
    real = api("POST", "/schedules/cancel", {"prefix": "a/", "dry_run": False})
    assert {"matched": 3, "cancelled": 3, "next": None} == real.json
    assert [] == api("GET", "/schedules").json["schedules"]


def test_a_forecast_counts_by_bucket(api):
    """It is that of the manage function."""
    api.created()
    query = {"from": NOW_S, "to": "2030-01-03", "bucket": 86_400}
    answer = api("GET", f"/forecast?from={NOW_S}&to=2030-01-03&bucket=86400").json
    assert api.stack.manage("forecast", **query) == answer
    assert [0, 1] == [each["count"] for each in answer["buckets"]]


def test_an_estimate_is_kept_for_a_minute(api):
    """Many consoles ask for the same chart."""
    path = "/forecast?from=2030-01-02&to=2030-01-03&bucket=3600&estimate=true"
    assert (0, False) == (api("GET", path).json["total"], api("GET", path).json["estimate"])
    api.created()
    assert 0 == api("GET", path).json["total"]
    api.stack.advance(seconds=61)
    assert 1 == api("GET", path).json["total"]


def failed(api):
    """Let a webhook fail for good, and return its schedule."""
    api.stack.answer("api.example.com", 410)
    webhook = {"url": "https://api.example.com/hook"}
    created = api.created(delay=5, target=webhook, name="w")
    api.stack.advance(minutes=1)
    return created


@pytest.fixture
def webhooks():
    return Api(Stack(ApiEnabled=True, WebhookHosts="api.example.com"))


def test_a_failure_is_listed_and_redriven(webhooks):
    """After the redrive it is delivered."""
    created = failed(webhooks)
    (failure,) = webhooks("GET", "/failures?limit=5").json["failures"]
    assert (created["id"], "w") == (failure["id"], failure["name"])
    webhooks.stack.answer("api.example.com", 200)
    answer = webhooks("POST", "/failures/redrive", {"id": created["id"]})
    assert {"redriven": 1, "left": 0, "next": None} == answer.json
    webhooks.stack.advance(minutes=1)
    assert 1 == len(webhooks.stack.delivered())
    problem(webhooks("POST", "/failures/redrive", {"id": UNKNOWN_ID}), 404, "NotFound")
    problem(webhooks("POST", "/failures/redrive", {}), 400, "InvalidRequest", "id")


def test_the_status_of_a_healthy_stack_has_nothing_overdue(api):
    """The last feed ran within ten minutes."""
    api.created()
    api.stack.advance(days=1)
    status = api("GET", "/status").json
    assert (punctual.__version__, "owner", "control", 4) == tuple(
        status[field] for field in ("version", "application", "scope", "partitions")
    )
    assert ({"count": 0, "complete": True}, None) == (status["overdue"], status["oldest_overdue"])
    assert status["now"] - 600 <= status["last_feed"]["ended"] <= status["now"]
    assert {"output", "delivery", "input", "failure", "dead_letter"} == set(status["queues"])


def test_the_status_names_the_oldest_schedule_that_is_overdue(api):
    """Here it is an item that no feed has taken."""
    item = {"partition": {"S": "2"}, "sort": {"S": f"{(NOW_S - 60) * 1000:015d}#0123456789abcdef"}, "data": {"S": "x"}}
    api.stack.client("dynamodb").put_item(TableName=api.stack.output("TableName"), Item=item)
    status = api("GET", "/status").json
    assert {"timestamp": NOW_S - 60, "partition": "2", "application": "owner"} == status["oldest_overdue"]
    assert {"count": 1, "complete": True} == status["overdue"]
    assert status["last_feed"] is None


@pytest.mark.slow
@pytest.mark.parametrize("data", ['"' * 100_000, "\n" * 100_000, "é" * 50_000])
def test_a_page_with_large_data_fits_after_escaping(api, data):
    """A page of 60 such schedules would exceed the answer of a function. The page is shorter, and `next` goes on."""
    for number in range(60):
        api.created(timestamp=NOW_S + 86_400 + number, data=data)
    seen, suffix = 0, ""
    for _ in range(60):
        answer = api("GET", f"/schedules?full=true&limit=1000{suffix}")
        assert 200 == answer.status
        assert len(json.dumps({"statusCode": 200, "body": answer.text})) < 5_100_000
        seen += len(answer.json["schedules"])
        if answer.json["next"] is None:
            break
        suffix = f"&next={quote(answer.json['next'])}"
    assert 60 == seen


def test_recent_deliveries_are_listed_for_a_day(api):
    """The owner may name an application, and an application sees its own."""
    team = api.stack.administer("create", name="team", default_target="output")
    api.created(delay=5, name="order/1")
    api.stack.schedule({"delay": 5, "data": "x", "name": "order/2", "application": "team"})
    api.stack.advance(minutes=1)

    (own,) = api("GET", "/deliveries").json["deliveries"]
    assert ("order/1", True) == (own["name"], 0 <= own["delivered"] - own["timestamp"] < 1)
    assert ["order/2"] == [each["name"] for each in api("GET", "/deliveries?application=team").json["deliveries"]]
    theirs = api("GET", "/deliveries", key=team["control"]["key"]).json["deliveries"]
    assert ["order/2"] == [each["name"] for each in theirs]
    assert [] == api("GET", "/deliveries?day=2029-12-31").json["deliveries"]
    problem(api("GET", "/deliveries?day=today"), 400, "InvalidRequest", "day")
