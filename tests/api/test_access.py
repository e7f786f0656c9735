"""Every request needs a key with the right scope, apart from the document and the console."""

import json

import pytest

from punctual.testing import Stack
from scheduler.serving import routes
from tests.api.virtual_api import WRONG_KEY, Api, problem

PATHS = [
    (method, path.replace("{id}", "0-001893542400000-0123456789abcdef").replace("{name+}", "a/b"))
    for method, path in routes.KEYED
]


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_a_request_without_a_key_or_with_a_wrong_one_is_refused(api, method, path):
    """API Gateway refuses a request without a key, and the function one with an unknown or disabled key."""
    problem(api(method, path, {}, key=None), 403, "KeyRefused")
    for key in (WRONG_KEY, "x" * 5_000, "é", api.disabled_key):
        problem(api(method, path, {}, key=key), 403, "KeyRefused")


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_a_data_key_may_create_and_nothing_else(api, method, path):
    """It gets 403 for all other requests, before anything is read or changed."""
    answer = api(method, path, {}, key=api.data_key)
    if (method, path) == ("POST", "/schedules"):
        problem(answer, 400, "InvalidSchedule", "timestamp")
    else:
        assert "may create schedules and nothing else" in problem(answer, 403, "NotAllowed")


def test_the_function_itself_refuses_a_request_without_a_key(api):
    """This holds if API Gateway is set up to ask for no key."""
    event = {"httpMethod": "GET", "resource": "/status", "path": "/status", "headers": None}
    function = api.stack.output("ScheduleFunction").replace("ScheduleFunction", "ApiFunction")
    raw = api.stack.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event).encode())
    response = json.loads(raw["Payload"].read())
    assert 401 == response["statusCode"]
    assert "urn:punctual:error:KeyMissing" == json.loads(response["body"])["type"]


def test_a_key_counts_in_the_header_alone(api):
    """Queries and bodies are in logs."""
    problem(api("GET", f"/status?X-Api-Key={api.control_key}", key=None), 403, "KeyRefused")
    problem(api("GET", "/status", key=None, headers={"Authorization": f"Bearer {api.control_key}"}), 403, "KeyRefused")


def test_no_log_line_holds_a_key_or_data(api):
    """A line has the id of the key."""
    api("POST", "/schedules", {"delay": 5, "data": "secret payload"})
    api("GET", "/status", key=WRONG_KEY)
    served = [line for line in api.stack.log() if line["outcome"] == "served"]
    assert [(201, "owner", api.control_id), (403, None, None)] == [
        (line["status"], line.get("application"), line.get("key")) for line in served
    ]
    text = json.dumps(api.stack.log())
    assert api.control_key not in text
    assert WRONG_KEY not in text
    assert "secret payload" not in text


def test_nothing_exists_without_the_parameter():
    """No function, no role, no log group, no output."""
    with pytest.raises(ValueError, match="ApiEnabled=True"):
        Stack().request("GET", "/status")
    assert "ApiUrl" not in Stack().outputs()
    assert Stack(ApiEnabled=True).output("ApiUrl").endswith("/v1")


def test_every_answer_forbids_what_a_page_could_do_with_it(api):
    """The headers are there on success and on failure."""
    for answer in (api("GET", "/status"), api("GET", "/schedules?limit=x"), api("GET", "/openapi.json", key=None)):
        assert "default-src 'none'; frame-ancestors 'none'" == answer.headers["content-security-policy"]
        assert ("nosniff", "no-store") == (answer.headers["x-content-type-options"], answer.headers["cache-control"])
        assert not [name for name in answer.headers if name.startswith("access-control")]


def test_no_page_of_another_origin_may_use_the_api_by_default(api):
    """The question of a browser gets no permission."""
    answer = api("OPTIONS", "/schedules", key=None, headers={"Origin": "https://app.example.com"})
    problem(answer, 404, "NotFound")
    assert "access-control-allow-origin" not in answer.headers


def test_pages_of_the_allowed_origin_may_use_the_api():
    """Pages of every other origin may not."""
    api = Api(Stack(ApiEnabled=True, ApiAllowedOrigin="https://app.example.com"))
    for answer in (
        api("OPTIONS", "/schedules", key=None, headers={"Origin": "https://app.example.com"}),
        api("GET", "/status", headers={"Origin": "https://app.example.com"}),
        api("GET", "/status", key=WRONG_KEY, headers={"Origin": "https://app.example.com"}),
    ):
        assert "https://app.example.com" == answer.headers["access-control-allow-origin"]
        assert "X-Api-Key" in answer.headers["access-control-allow-headers"]
        assert "Origin" == answer.headers["vary"]
    other = api("GET", "/status", headers={"Origin": "https://app.example.com.evil.example"})
    assert "access-control-allow-origin" not in other.headers


def test_a_data_key_does_not_learn_when_a_taken_name_is_due(api):
    """An id holds the due time."""
    pending = api.created(name="payroll")["id"]
    again = {"name": "payroll", "delay": 1, "data": "y"}
    said = problem(api("POST", "/schedules", again, key=api.data_key), 409, "NameTaken", "name")
    assert "'payroll', which is pending, and if_exists is fail" in said
    (result,) = api("POST", "/schedules", [again], key=api.data_key).json["results"]
    assert "which is pending" in result["message"]
    assert pending not in said + result["message"]
    (result,) = api("POST", "/schedules", [{**again, "if_exists": "fail"}]).json["results"]
    assert f"under which {pending} is pending" in result["message"], "a control key may know it"
