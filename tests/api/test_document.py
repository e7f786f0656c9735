"""The document, the routes, the template and the pages about the API agree."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scheduler.accepting import request
from scheduler.console import files
from scheduler.limits import BATCH_SCHEDULES_MAX, NAME_CHARACTERS_MAX
from scheduler.managing import operations
from scheduler.serving import http_request, problems, routes
from scheduler.serving.dependencies import WHOSE
from scheduler.wiring import clients
from tests.api.virtual_api import problem
from tests.template_document import template_document
from tools import api_definition

ROOT = Path(__file__).parents[2]
DOCUMENT = json.loads(api_definition.DOCUMENT_PATH.read_text())
TEMPLATE = template_document()
API = TEMPLATE["Resources"]["Api"]["Properties"]
BODY = API["DefinitionBody"]
SCHEMAS = DOCUMENT["components"]["schemas"]
DEFAULTS = ("DEFAULT_4XX", "DEFAULT_5XX")


def described():
    """Return every request of the document, as API Gateway writes its path, and whether it needs a key."""
    return {
        (method.upper(), api_definition.greedy(DOCUMENT, path)): api_definition.needs_key(DOCUMENT, path, method)
        for path, operations_ in DOCUMENT["paths"].items()
        for method in operations_
    }


def test_the_routes_are_those_of_the_document():
    """Each request of the document has a route, and each route is described."""
    assert {asked for asked, keyed in described().items() if keyed} == set(routes.KEYED)
    assert {asked for asked, keyed in described().items() if not keyed} == set(routes.OPEN)
    assert all(callable(routes.keyed_answer(asked)) for asked in routes.KEYED)
    assert all(callable(routes.open_answer(asked)) for asked in routes.OPEN)


def test_the_template_has_the_lines_that_are_derived_from_the_document():
    """`make routes` writes them."""
    text = (ROOT / "template.yml").read_text()
    assert api_definition.written(text, DOCUMENT) == text
    assert api_definition.body(DOCUMENT) == BODY


def test_a_template_without_the_marks_is_not_changed():
    """The script says what it looks for."""
    with pytest.raises(ValueError, match="has no lines"):
        api_definition.written("Resources: {}", DOCUMENT)


def test_the_definition_asks_for_a_key_wherever_the_document_does():
    """The question of a browser before a request has no key."""
    for path, operations_ in BODY["paths"].items():
        for method, operation in operations_.items():
            keyed = method != "options" and described()[method.upper(), path]
            assert ([{"key": []}] if keyed else None) == operation.get("security"), (method, path)
            assert "aws_proxy" == operation["x-amazon-apigateway-integration"]["type"]
    assert {"type": "apiKey", "name": "X-Api-Key", "in": "header"} == BODY["components"]["securitySchemes"]["key"]


def test_no_parameter_stands_in_the_definition():
    """A change of the parameter would not deploy the API again."""
    references = set(re.findall(r"\$\{([^}]+)\}", json.dumps(BODY))) | set(
        re.findall(r'"Ref": "(\w+)"', json.dumps(BODY))
    )
    assert {"AWS::Partition", "AWS::Region", "ApiFunction.Arn"} == references


def test_every_answer_of_api_gateway_itself_is_a_problem_document():
    """The defaults catch the kinds without an answer of their own."""
    found = BODY["x-amazon-apigateway-gateway-responses"]
    assert {"DEFAULT_4XX", "DEFAULT_5XX", "THROTTLED", "QUOTA_EXCEEDED", "INVALID_API_KEY"} <= set(found)
    for kind, response in found.items():
        ((content_type, text),) = response["responseTemplates"].items()
        assert problems.CONTENT_TYPE == content_type
        content = json.loads(text)
        assert {"type", "title", "detail"} == set(content) - {"status"}
        assert content["type"].startswith(problems.TYPE)
        assert response.get("statusCode") == content.get("status")
        if content.get("status") == 429:
            assert "'1'" == response["responseParameters"]["gatewayresponse.header.Retry-After"]
        name = content["type"].removeprefix(problems.TYPE)
        if kind not in (*DEFAULTS, "INTEGRATION_TIMEOUT"):
            assert problems.KINDS[name][:2] == (content["status"], content["title"])


def test_no_body_tells_another_status_than_the_answer():
    """A default stands for many answers, each with a status of its own. No variable of a body holds it."""
    found = BODY["x-amazon-apigateway-gateway-responses"]
    assert set(DEFAULTS) == {kind for kind, response in found.items() if "statusCode" not in response}
    for kind in DEFAULTS:
        ((_, text),) = found[kind]["responseTemplates"].items()
        assert "status" not in json.loads(text)
    assert "status" not in SCHEMAS["Problem"]["required"]


def test_a_function_that_fails_is_a_problem_without_a_status(api):
    """The virtual API Gateway has the answers of the template."""
    name = api.stack.output("TableName")
    del api.stack._cloud.dynamodb.tables[name]
    answer = api("GET", "/schedules", key="pk" + "a" * 40)
    assert 502 == answer.status
    assert {"type", "title", "detail"} == answer.json.keys()
    assert problems.CONTENT_TYPE == answer.headers["content-type"]


def test_the_limits_in_the_document_are_those_of_the_code():
    """A client that is generated from it checks the same."""
    assert BATCH_SCHEDULES_MAX == SCHEMAS["BatchRequest"]["properties"]["schedules"]["maxItems"]
    assert f"{{1,{NAME_CHARACTERS_MAX}}}" in SCHEMAS["ScheduleRequest"]["properties"]["name"]["pattern"]
    assert 4_000_000 == http_request.BODY_BYTES_MAX
    assert "4,000,000 bytes or 10,000 schedules" in DOCUMENT["components"]["responses"]["TooLarge"]["description"]
    too_large = BODY["x-amazon-apigateway-gateway-responses"]["REQUEST_TOO_LARGE"]
    assert http_request.BODY_WANTED in json.dumps(too_large)


def test_the_fields_of_the_document_are_those_of_the_use_cases():
    """No field is missing in one of them."""
    assert set(request.SCHEDULE_FIELDS) == set(SCHEMAS["ScheduleRequest"]["properties"])
    assert set(request.SCHEDULE_FIELDS) == set(SCHEMAS["NamedRequest"]["properties"])
    assert set(operations.FIELDS_OF_OPERATION["change"]) - {"name", "id"} == set(SCHEMAS["ChangeRequest"]["properties"])
    assert set(operations.FIELDS_OF_OPERATION["cancel_where"]) == set(SCHEMAS["CancelWhereRequest"]["properties"])
    assert set(operations.FIELDS_OF_OPERATION["redrive"]) == set(SCHEMAS["RedriveRequest"]["properties"])
    for path, operation in (("/schedules", "list"), ("/forecast", "forecast"), ("/failures", "failures")):
        parameters = [api_definition._resolved(DOCUMENT, each) for each in DOCUMENT["paths"][path]["get"]["parameters"]]
        assert {*operations.FIELDS_OF_OPERATION[operation], WHOSE} == {each["name"] for each in parameters}


def test_every_error_has_a_status_that_the_document_describes():
    """Each status of a problem is an answer of some request."""
    answered = {
        int(status)
        for operations_ in DOCUMENT["paths"].values()
        for operation in operations_.values()
        for status in operation["responses"]
    }
    assert {kind.status for kind in problems.KINDS.values()} <= answered


def test_the_document_is_served_with_its_address(api):
    """A client that reads it knows where to send requests."""
    answer = api("GET", "/openapi.json", key=None)
    assert {**DOCUMENT, "servers": [{"url": "/v1"}]} == answer.json


def test_the_api_is_regional_and_logs_no_payload():
    """It is deployed with every update of the stack."""
    assert "REGIONAL" == API["EndpointConfiguration"]["Type"]
    assert API["AlwaysDeploy"] is True
    assert "AccessLogSetting" not in API
    every = API["MethodSettings"][0]
    assert ("*", "/*", 100, 200) == tuple(
        every[name] for name in ("HttpMethod", "ResourcePath", "ThrottlingRateLimit", "ThrottlingBurstLimit")
    )
    assert (False, "OFF") == (every["DataTraceEnabled"], every["LoggingLevel"])


def test_routes_without_a_key_have_a_lower_limit():
    """Anybody may send these requests."""
    limits = {
        (each["HttpMethod"], each["ResourcePath"]): (each["ThrottlingRateLimit"], each["ThrottlingBurstLimit"])
        for each in API["MethodSettings"][1:]
    }
    open_ = set(routes.OPEN) | {("OPTIONS", path) for path in BODY["paths"]}
    wanted = {(method, "/" + path.replace("/", "~1")): (20, 20) for method, path in open_}
    first_visits = 100 // sum(1 for each in Path(files.__file__).parent.rglob("*") if each.suffix in (".js", ".css"))
    assert first_visits >= 3
    assert {**wanted, ("GET", "/~1console~1{file+}"): (20, 100)} == limits


def test_nothing_of_the_api_exists_unless_it_is_enabled():
    """Every resource has the condition, and so has the output."""
    assert "false" == TEMPLATE["Parameters"]["ApiEnabled"]["Default"]
    found = {name: each for name, each in TEMPLATE["Resources"].items() if name.startswith("Api")}
    assert {"Api", "ApiFunction", "ApiLogs", "ApiMayInvokeTheFunction", "ApiRole"} == set(found)
    assert {"HasApi"} == {each.get("Condition") for each in found.values()}
    assert "HasApi" == TEMPLATE["Outputs"]["ApiUrl"]["Condition"]


def test_the_work_ends_before_api_gateway_gives_up():
    """API Gateway waits for 29 s, the function has 28 s, and the use cases end 6 s before that."""
    function = TEMPLATE["Resources"]["ApiFunction"]["Properties"]
    assert 28 == function["Timeout"]
    assert 22 == function["Timeout"] - clients.RESERVE_S


def test_only_the_handler_of_the_api_loads_its_modules():
    """The other functions start as fast as before."""
    settings = ("TABLE_NAME", "OUTPUT_QUEUE_URL", "DELIVERY_QUEUE_URL", "FAILURE_QUEUE_URL", "INPUT_QUEUE_URL")
    environment = dict.fromkeys((*settings, "FEED_FUNCTION", "PARTITION_COUNT", "REACH_SECONDS"), "x")
    environment |= {"PARTITION_COUNT": "4", "REACH_SECONDS": "900", "AWS_DEFAULT_REGION": "eu-central-1"}
    others = ("api", "admin", "canary")
    handlers = sorted(path.stem for path in (ROOT / "functions").glob("*.py") if path.stem not in others)
    assert {"consumer", "deliver", "feed", "manage", "schedule", "trigger"} <= set(handlers)
    code = f"import sys, {', '.join(handlers)}; print(*[each for each in sys.modules if 'serving' in each])"
    loaded = subprocess.run(
        [sys.executable, "-c", code],
        env={**environment, "PYTHONPATH": str(ROOT / "functions")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "" == loaded.stdout.strip()


def test_the_policy_of_a_page_allows_no_inline_script():
    """Scripts, styles and requests come from the API itself, and nothing else."""
    policy = dict(part.split(" ", 1) for part in files.CONSOLE_HEADERS["Content-Security-Policy"].split("; "))
    assert "'none'" == policy.pop("default-src") == policy.pop("frame-ancestors")
    assert {"'self'", "'none'"} == set(policy.values())
    assert {"script-src", "style-src", "connect-src"} == {name for name, value in policy.items() if value == "'self'"}


def test_a_request_that_is_not_described_is_not_found(api):
    """API Gateway answers it."""
    for method, path in (("GET", "/"), ("POST", "/names/a"), ("DELETE", "/schedules"), ("HEAD", "/status")):
        problem(api(method, path), 404, "NotFound")
