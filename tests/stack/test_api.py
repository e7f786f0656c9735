"""The HTTP API on the local AWS: real paths, real keys and a usage plan, and the roles of the functions enforced."""

import io
import json
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import quote

import pytest

from punctual.cli import group
from punctual.cli.output import Output
from punctual.cli.run import Run
from punctual.local.deployment import deploy

pytestmark = pytest.mark.slow

TEMPLATE_PATH = Path(__file__).parents[2] / "template.yml"
PARAMETERS = {"FeedIntervalMinutes": 10, "DeliveryLeadSeconds": 3, "ApiEnabled": True}
STAGE = "v1"
NAMES = ["order/7", "a/b/c:d", "x", "-._:/x", "cancel", "n" * 128]
OWN = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""It asks no proxy: the local AWS is on loopback."""


class Api:
    def __init__(self, stack):
        self.stack = stack
        made = stack.invoke("AdminFunction", {"operation": "create", "name": "owner"})
        self.control_key, self.data_key = made["control"]["key"], made["data"]["key"]
        self._gateway = stack.emulator.client("apigateway")
        (self.id,) = [
            each["id"] for each in self._gateway.get_rest_apis()["items"] if each["id"] in stack.outputs["ApiUrl"]
        ]
        for key in (self.control_key, self.data_key):
            self.enroll(key)

    def enroll(self, key, **plan):
        """Let API Gateway know a key, unless the admin function has done so."""
        known = self._gateway.get_api_keys(includeValues=True)["items"]
        if key in [each["value"] for each in known]:
            return
        made = self._gateway.create_api_key(name=key[:8], value=key, enabled=True)
        used = self._gateway.create_usage_plan(name=key[:8], apiStages=[{"apiId": self.id, "stage": STAGE}], **plan)
        self._gateway.create_usage_plan_key(usagePlanId=used["id"], keyId=made["id"], keyType="API_KEY")

    def __call__(self, method, path, body=None, key=""):
        """Return the status, the headers and the content. A key of None means no key at all."""
        headers = {"Content-Type": "application/json"}
        if key is not None:
            headers["X-Api-Key"] = key or self.control_key
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.stack.outputs["ApiUrl"] + path, content, headers, method=method)
        try:
            answer = OWN.open(request, timeout=60)
        except urllib.error.HTTPError as failure:
            answer = failure
        with answer:
            return answer.status, answer.headers, json.loads(answer.read())


@pytest.fixture(scope="module")
def api(emulator):
    stack = deploy(emulator, TEMPLATE_PATH, "with-api", PARAMETERS)
    yield Api(stack)
    stack.delete()


@pytest.mark.parametrize("name", NAMES)
def test_a_name_with_slashes_is_a_path(api, name):
    """Create, look up, change and cancel one after the other. Slashes may be encoded or not."""
    status, headers, created = api("PUT", f"/names/{name}", {"delay": 86_400, "data": "x"})
    assert (201, f"/{STAGE}/names/{name}") == (status, headers["Location"])
    for path in (f"/names/{name}", f"/names/{quote(name, safe='')}"):
        assert created["id"] == api("GET", path)[2]["id"]
    status, _, changed = api("PATCH", f"/names/{name}", {"data": "y"})
    assert (200, "replaced") == (status, changed["result"])
    status, _, cancelled = api("DELETE", f"/names/{name}")
    assert (200, "cancelled") == (status, cancelled["state"])


@pytest.mark.parametrize("path", ["/names/a//b", "/names/a/./b", "/names/a/../b", "/names/a/"])
def test_a_path_with_an_empty_segment_or_dots_is_refused(api, path):
    """The client sends it as it is."""
    status, headers, content = api("GET", path)
    assert (400, "application/problem+json") == (status, headers["Content-Type"])
    assert content["detail"].startswith("the path is ")


def test_a_key_is_checked_by_api_gateway_and_by_the_function(api):
    """A data key may create and nothing else. API Gateway refuses a request without a key, and one with a wrong key."""
    assert 201 == api("POST", "/schedules", {"delay": 86_400, "data": "x"}, key=api.data_key)[0]
    status, _, content = api("GET", "/schedules", key=api.data_key)
    assert (403, "urn:punctual:error:NotAllowed") == (status, content["type"])
    for key in (None, "pk" + "f" * 40):
        assert 403 == api("GET", "/schedules", key=key)[0]
    unknown = "pk" + "e" * 40
    api.enroll(unknown)
    status, _, content = api("GET", "/schedules", key=unknown)
    assert (403, "urn:punctual:error:KeyRefused") == (status, content["type"])


def test_every_request_may_do_its_work_by_the_role_of_the_function(api):
    """No answer is a denial of AWS."""
    _, _, far = api("POST", "/schedules", {"delay": 86_400, "data": "x"})
    assert 200 == api("POST", "/schedules", [{"delay": 86_400, "data": "x"}, {"delay": 5, "data": "y"}])[0]
    assert far["id"] in [each["id"] for each in api("GET", "/schedules?limit=1000")[2]["schedules"]]
    assert 200 == api("GET", f"/schedules/{far['id']}?full=true")[0]
    _, _, changed = api("PATCH", f"/schedules/{far['id']}", {"data": "z"})
    assert 200 == api("PATCH", f"/schedules/{changed['id']}", {"delay": 0})[0]
    for path in ("/forecast?from=2030-01-01&to=2030-01-02&bucket=3600", "/failures?from=2030-01-01", "/openapi.json"):
        assert 200 == api("GET", path)[0]
    assert 200 == api("GET", "/forecast?from=2030-01-01&to=2030-01-02&bucket=3600&estimate=true")[0]
    assert 200 == api("POST", "/schedules/cancel", {"prefix": "nothing", "dry_run": False})[0]
    assert 200 == api("POST", "/failures/redrive", {"from": "2030-01-01", "to": "2030-01-02"})[0]
    _, _, status = api("GET", "/status")
    assert None not in status["queues"].values()


def test_the_document_needs_no_key(api):
    """A client can be generated from the address alone."""
    status, _, document = api("GET", "/openapi.json", key=None)
    assert (200, [{"url": f"/{STAGE}"}]) == (status, document["servers"])


def test_the_doctor_finds_the_api(api, monkeypatch):
    """It reads the document through the stage, and asks every function that answers requests."""
    for name, value in api.stack.emulator.environment().items():
        monkeypatch.setenv(name, value)
    out = io.StringIO()
    run = Run(output=Output(as_json=True, out=out, err=io.StringIO()))
    group.run(["doctor", "--json", "--stack", api.stack.name], run)
    found = [json.loads(line) for line in out.getvalue().splitlines()]
    asked = [(each["state"], each["text"]) for each in found if each["check"] in ("functions answer", "api")]
    functions = ("ScheduleFunction", "ManageFunction", "ViewFunction", "CallerFunction", "AdminFunction")
    address = f"the HTTP API answers at {api.stack.outputs['ApiUrl']}"
    assert [*(("ok", f"{each} answers") for each in functions), ("ok", address)] == asked


def test_too_many_requests_are_refused(api):
    """The plan of the key decides. The function is not asked."""
    key = "pk" + "d" * 40
    api.enroll(key, throttle={"rateLimit": 0.01, "burstLimit": 1})
    assert 429 in [api("GET", "/status", key=key)[0] for _ in range(5)]
