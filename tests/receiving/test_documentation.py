"""The examples of docs/receiving.md run as they stand there."""

from __future__ import annotations

import io
import re
import sys
import time
import types
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from punctual import consumer, verify_webhook
from scheduler.webhooks import signing

PAGE = (Path(__file__).parents[2] / "docs" / "receiving.md").read_text(encoding="utf-8")
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class StopReminding(Exception):
    """Ends a loop that would otherwise wait for ever."""


@pytest.fixture
def reminded(monkeypatch):
    """The module `shop` of the examples. It keeps the orders of all reminders."""
    reminded: list[Any] = []

    def remind(order):
        if order == "stop":
            raise StopReminding
        reminded.append(order)

    shop = types.ModuleType("shop")
    shop.remind = remind
    monkeypatch.setitem(sys.modules, "shop", shop)
    return reminded


def example(heading: str, language: str = "python") -> str:
    """Return the first block of code under a heading."""
    section = re.split(rf"^## {re.escape(heading)}$", PAGE, flags=re.MULTILINE)[1].split("\n## ")[0]
    found = re.search(rf"```{language}\n(.*?)```", section, re.DOTALL)
    assert found
    return found[1]


def run(code: str) -> dict[str, Any]:
    module: dict[str, Any] = {"__name__": "example"}
    exec(compile(code, "docs/receiving.md", "exec"), module)
    return module


@pytest.fixture
def queue(output, monkeypatch):
    """A queue that the client finds by the environment, with the boto3 of this machine."""
    monkeypatch.delenv("PUNCTUAL_STACK", raising=False)
    monkeypatch.setenv("PUNCTUAL_OUTPUT_QUEUE_URL", output.url)
    return output


def test_the_loop(queue, reminded):
    """It deletes what was handled, and keeps the message at which it failed."""
    for order in ('{"order": 1}', '{"order": 2}', '{"order": "stop"}'):
        queue.send(f"id-{order}", data=order)
    with pytest.raises(StopReminding):
        run(example("Read the queue in a loop"))
    assert {1, 2} >= set(reminded)
    assert 3 - len(reminded) == sum(queue.counts())


def test_the_worker(queue, reminded):
    """It ends here when the queue is empty."""
    queue.send("a", data='{"order": 1}')
    code = example("Run a worker")
    assert "workers=20)" in code
    run(code.replace("workers=20)", "workers=20, wait=False)"))
    assert [1] == reminded
    assert (0, 0) == queue.counts()


class Loader(yaml.SafeLoader):
    """Reads a template, and leaves its functions as text."""


Loader.add_multi_constructor("!", lambda loader, suffix, node: f"!{suffix} {node.value}")


def test_the_function(aws, event, reminded):
    """It uses the table of the same template. A repeat is dropped, and a failed message is reported."""
    resources = yaml.load(example("Handle messages in a Lambda function", "yaml"), Loader)
    boto3.client("dynamodb").create_table(
        **{
            name: value
            for name, value in resources["Handled"]["Properties"].items()
            if name != "TimeToLiveSpecification"
        }
    )
    context = types.SimpleNamespace(get_remaining_time_in_millis=lambda: 30_000)
    handler = run(example("Handle messages in a Lambda function"))["handler"]
    assert {"batchItemFailures": []} == handler(event("a", "a"), context)
    failed = handler(event("b", data='{"order": "stop"}'), context)
    assert {"batchItemFailures": [{"itemIdentifier": "message-0"}]} == failed
    assert [7] == reminded


def test_the_template_of_the_function_reports_failures_and_lets_ids_expire():
    """The permissions are those that the table names in its docstring."""
    resources = yaml.load(example("Handle messages in a Lambda function", "yaml"), Loader)
    (source,) = resources["Reminder"]["Properties"]["Events"].values()
    assert ["ReportBatchItemFailures"] == source["Properties"]["FunctionResponseTypes"]
    assert {"AttributeName": "expires", "Enabled": True} == resources["Handled"]["Properties"][
        "TimeToLiveSpecification"
    ]
    ((statement,),) = [policy["Statement"] for policy in resources["Reminder"]["Properties"]["Policies"]]
    assert {"dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"} == set(statement["Action"])
    assert "FunctionResponseTypes: [ReportBatchItemFailures]" in (consumer.__doc__ or "")


def test_the_webhook_receiver(reminded, monkeypatch):
    """It answers 204 to a signed request, and 401 to any other."""
    monkeypatch.setenv("WEBHOOK_SECRETS", SECRET)
    application = run(example("Receive webhooks"))["application"]
    body = b'{"order": 7}'
    now = time.time()
    headers = signing.headers("2-7", now, body, [signing.secret(SECRET)])
    statuses = []
    for content in (body, b'{"order": 8}'):
        environ = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
        environ |= {"wsgi.input": io.BytesIO(content), "CONTENT_LENGTH": str(len(content))}
        application(environ, lambda status, _: statuses.append(status))
    assert ["204 No Content", "401 Unauthorized"] == statuses
    assert [7] == reminded
    assert "five minutes" in (verify_webhook.__doc__ or "")


def test_the_test_of_a_receiver():
    run(example("Test your receiver"))["test_a_reminder_is_sent_after_two_hours"]()
