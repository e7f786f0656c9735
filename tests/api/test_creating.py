"""POST /schedules and PUT /names create schedules as a direct invocation does."""

import json

import pytest

from punctual.testing import Stack
from tests.api.virtual_api import NOW_S, Api, problem

FAR = {"timestamp": NOW_S + 86_400, "data": "x"}


def test_one_schedule_has_the_answer_of_a_direct_invocation(api):
    """Both ways call the same use case."""
    answer = api("POST", "/schedules", FAR)
    assert 201 == answer.status
    assert "application/json" == answer.headers["content-type"]
    direct = Stack(ApiEnabled=True).schedule(FAR)
    assert [direct.keys(), direct["timestamp"], direct["state"]] == [
        answer.json.keys(),
        answer.json["timestamp"],
        answer.json["state"],
    ]


def test_a_released_schedule_has_its_data(api):
    """The feed releases it as any other."""
    created = api("POST", "/schedules", {"delay": 7200, "data": {"order": 7}}).json
    api.stack.advance(hours=3)
    assert [(created["id"], {"order": 7})] == [(each.id, each.json) for each in api.stack.released()]


@pytest.mark.parametrize("wrap", [lambda members: members, lambda members: {"schedules": members}])
def test_a_batch_has_a_result_for_each_schedule(api, wrap):
    """The status is 200, also if some are rejected."""
    answer = api("POST", "/schedules", wrap([FAR, {"data": "x"}]))
    assert (200, 1, 1) == (answer.status, answer.json["accepted"], answer.json["rejected"])
    accepted, refused = answer.json["results"]
    assert "stored" == accepted["state"]
    assert "InvalidSchedule" == refused["error"]


def test_the_location_is_that_of_a_schedule_that_can_be_looked_up(api):
    """A stored schedule has one, and a named one. A near schedule without a name has none."""
    for fields in ({"delay": 86_400}, {"delay": 5, "name": "order/7:b"}):
        answer = api("POST", "/schedules", {"data": "x", **fields})
        path = answer.headers["location"].removeprefix("/v1")
        assert answer.json["id"] == api("GET", path).json["id"]
    assert "location" not in api("POST", "/schedules", {"data": "x", "delay": 5}).headers
    assert "location" not in api("POST", "/schedules", [FAR]).headers


def test_a_repeat_with_an_idempotency_key_makes_no_second_schedule(api):
    """The header is the token."""
    first, second = (api("POST", "/schedules", FAR, headers={"Idempotency-Key": "k"}).json for _ in range(2))
    assert first == second
    assert 1 == len(api("GET", "/schedules").json["schedules"])
    assert first == api("POST", "/schedules", {**FAR, "token": "k"}).json


@pytest.mark.parametrize("body", [[FAR, FAR], {"schedules": [FAR, FAR]}])
def test_a_repeated_batch_makes_no_second_schedules(api, body):
    """The header is the token of the whole batch."""
    first, second = (api("POST", "/schedules", body, headers={"idempotency-key": "k"}).json for _ in range(2))
    assert first == second
    assert 2 == len(api("GET", "/schedules").json["schedules"])


def test_a_header_and_a_token_must_agree(api):
    """Nobody could tell which of them counts."""
    same = api("POST", "/schedules", {**FAR, "token": "k"}, headers={"Idempotency-Key": "k"})
    assert 201 == same.status
    other = api("POST", "/schedules", {**FAR, "token": "k"}, headers={"Idempotency-Key": "other"})
    assert "Idempotency-Key differ" in problem(other, 400, "InvalidRequest", "token")


def test_an_idempotency_key_with_a_delay_is_refused(api):
    """A repeat would be due at another moment."""
    answer = api("POST", "/schedules", {"delay": 5, "data": "x"}, headers={"Idempotency-Key": "k"})
    assert "delay and token are both given" in problem(answer, 400, "InvalidSchedule", "delay")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"data": "x"}, "timestamp"),
        ({"timestamp": "soon", "data": "x"}, "timestamp"),
        ({"delay": 5}, "data"),
        ({"delay": 5, "data": "x", "timestmap": 1}, "timestmap"),
        ({"delay": 5, "data": "x", "retry": {"attempts": 0}}, "retry.attempts"),
        ({"delay": 5, "data": "x", "name": "a b"}, "name"),
        ({"delay": 5, "data": "x", "target": "q"}, "target"),
        ({"delay": 5, "data": "x", "target": {"url": "https://example.com"}}, "target"),
        (5, None),
        ([], "schedules"),
    ],
)
def test_an_invalid_schedule_is_a_problem_that_names_the_field(api, body, field):
    """It leaves nothing behind."""
    problem(api("POST", "/schedules", body), 400, "InvalidSchedule", field)
    assert [] == api("GET", "/schedules").json["schedules"]


@pytest.mark.parametrize("text", ["{", "", " ", "[" * 100_000, '{"delay": ' + "9" * 5_000 + "}", "nul", "\ud800"])
def test_a_body_that_is_no_json_is_refused(api, text):
    """The message says where the fault is."""
    assert "the body is" in problem(api("POST", "/schedules", text), 400, "InvalidRequest")


def test_a_body_that_is_too_large_is_refused(api):
    """The message names both limits."""
    for body in ('"' + "x" * 4_000_000 + '"', json.dumps("é" * 2_000_000, ensure_ascii=False), [5] * 10_001):
        detail = problem(
            api("POST", "/schedules", body), 413, "TooLarge", "schedules" if isinstance(body, list) else None
        )
        assert "4000000 bytes and 10000 schedules" in detail
    assert 413 == api("POST", "/schedules", {"schedules": [5] * 10_001}).status


@pytest.mark.slow
def test_the_largest_answer_to_a_batch_fits():
    """Ten thousand refusals with long messages are shortened. Lambda accepts 6 MB with the body escaped once more."""
    api = Api(Stack(ApiEnabled=True, WebhookHosts="api.example.com"))
    member = {"timestamp": NOW_S, "data": "x", "target": "://" + "é" * 60}
    answer = api("POST", "/schedules", json.dumps([member] * 10_000, ensure_ascii=False))
    assert 10_000 == answer.json["rejected"]
    assert len(json.dumps({"statusCode": 200, "body": answer.text})) < 5_500_000
    assert "…" == answer.json["results"][0]["message"][-1]


def test_a_name_is_created_and_then_replaced_by_put(api):
    """The first answer is 201 and the later one 200."""
    first = api("PUT", "/names/order/7", {"delay": 86_400, "data": "a"})
    assert (201, "created", "/v1/names/order/7") == (first.status, first.json["result"], first.headers["location"])
    second = api("PUT", "/names/order/7", {"delay": 86_400, "data": "b", "name": "order/7"})
    assert (200, "replaced") == (second.status, second.json["result"])
    assert "b" == api("GET", "/names/order/7").json["data"]


def test_put_refuses_another_name_in_the_body(api):
    """The name is the one in the path."""
    answer = api("PUT", "/names/a", {"delay": 5, "data": "x", "name": "b"})
    problem(answer, 400, "InvalidRequest", "name")
    problem(api("PUT", "/names/a", [FAR]), 400, "InvalidRequest")


def test_a_taken_name_is_a_conflict_if_it_may_not_be_replaced(api):
    """A direct invocation raises InvalidSchedule as before."""
    created = api.created(name="a")
    for answer in (
        api("POST", "/schedules", {**FAR, "name": "a", "if_exists": "fail"}),
        api("PUT", "/names/a", {**FAR, "if_exists": "fail"}),
    ):
        assert created["id"] in problem(answer, 409, "NameTaken", "name")
    kept = api("PUT", "/names/a", {**FAR, "if_exists": "keep"})
    assert (200, "kept") == (kept.status, kept.json["result"])
    refused = api("POST", "/schedules", [{**FAR, "name": "a", "if_exists": "fail"}]).json["results"][0]
    assert "InvalidSchedule" == refused["error"]


def test_a_data_key_creates_and_replaces_nothing(api):
    """It cannot use another key's names to destroy something."""
    created = api("POST", "/schedules", {**FAR, "name": "a"}, key=api.data_key)
    assert 201 == created.status
    again = api("POST", "/schedules", {**FAR, "name": "a"}, key=api.data_key)
    problem(again, 409, "NameTaken", "name")
    batch = api("POST", "/schedules", {"schedules": [{**FAR, "name": "a"}, FAR]}, key=api.data_key).json
    assert (1, 1) == (batch["accepted"], batch["rejected"])
    for if_exists in ("replace", "keep"):
        body = {**FAR, "name": "a", "if_exists": if_exists}
        for wrapped in (body, [FAR, body]):
            problem(api("POST", "/schedules", wrapped, key=api.data_key), 403, "NotAllowed", "if_exists")


def test_a_body_that_lambda_refuses_gets_the_same_answer(api):
    """API Gateway escapes the body once more, and a body of quotes is then too large."""
    problem(api("POST", "/schedules", '"' * 3_900_000), 413, "TooLarge")
