"""`punctual tail`: what it shows, what it deletes, and whom it leaves alone."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from punctual.cli import group
from punctual.cli.run import Run
from punctual.cli.tailing.forward import Forwarder
from punctual.receiving.message import Message
from punctual.testing import Stack
from tests.cli.conftest import Ended, Punctual, World

ROOT = Path(__file__).parents[3]
END_S_MAX = 120.0
MAPPING = {"FunctionArn": "arn:aws:lambda:eu-central-1:123456789012:function:mine", "State": "Enabled"}


@pytest.fixture
def world(stack: Stack) -> World:
    return World(stack)


@pytest.fixture
def punctual(world: World, capsys: pytest.CaptureFixture[str]) -> Punctual:
    def called(*arguments: str) -> Ended:
        status = group.run(arguments, Run(world=world))
        captured = capsys.readouterr()
        return Ended(status, captured.out, captured.err)

    return called


@pytest.fixture
def due(stack: Stack) -> Stack:
    """The output queue has three messages, `m/0` to `m/2`."""
    stack.schedule([{"delay": 1, "data": {"n": number}, "name": f"m/{number}", "user": "ü\n"} for number in range(3)])
    stack.advance(seconds=2)
    return stack


def visible(stack: Stack) -> tuple[int, int]:
    """Return how many messages the output queue shows, and how many a consumer holds."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    answer = stack.client("sqs").get_queue_attributes(QueueUrl=stack.output("OutputQueueUrl"), AttributeNames=names)
    shown, held = (int(answer["Attributes"][name]) for name in names)
    return shown, held


def test_messages_are_shown_with_their_lateness_and_stay(punctual: Punctual, due: Stack) -> None:
    ended = punctual("tail")
    lines = sorted(ended.out.splitlines())
    assert 3 == len(lines)
    assert "+1.000s  m/0" in lines[0]
    assert '{"n":0}' in lines[0]
    assert "released 3 messages to the queue" in ended.err
    assert (3, 0) == visible(due)


def test_a_message_is_one_object_with_json(punctual: Punctual, due: Stack) -> None:
    fields = min(punctual("tail", "--json").objects, key=lambda each: each["name"])
    assert {"id", "name", "due", "timestamp", "user", "application", "lateness", "data", "forwarded", "error"} == set(
        fields
    )
    assert fields["application"] is None
    assert ("m/0", "ü\n", 1, '{"n":0}') == tuple(fields[each] for each in ("name", "user", "lateness", "data"))


def test_a_message_of_an_application_names_it(punctual: Punctual, stack: Stack) -> None:
    made = stack.administer("create", name="billing", default_target="output")["application"]
    stack.schedule({"delay": 1, "data": "x", "name": "m", "application": made})
    stack.advance(seconds=2)
    assert f"  {made} m  x" in punctual("tail").out
    stack.advance(seconds=60)
    assert made == punctual("tail", "--json").json["application"]


def test_a_line_fits_80_columns(punctual: Punctual, stack: Stack) -> None:
    stack.schedule({"delay": 1, "data": "x" * 500, "name": "m"})
    stack.advance(seconds=2)
    (line,) = punctual("tail").out.splitlines()
    assert 80 >= len(line)


def test_delete_is_said_explicitly(punctual: Punctual, due: Stack) -> None:
    assert 3 == len(punctual("tail", "--delete").out.splitlines())
    assert (0, 0) == visible(due)


def test_it_leaves_a_queue_that_a_function_reads(punctual: Punctual, world: World, due: Stack) -> None:
    world.mappings.append(MAPPING)
    ended = punctual("tail")
    assert (1, "", 1) == (ended.status, ended.out, len(ended.err.splitlines()))
    assert "the function mine reads this queue: stop its mapping, or use --take" in ended.err
    assert (3, 0) == visible(due)
    world.mappings[0] = MAPPING | {"State": "Disabled"}
    assert 0 == punctual("tail").status


def test_it_leaves_a_queue_with_messages_in_flight(punctual: Punctual, due: Stack) -> None:
    due.client("sqs").receive_message(QueueUrl=due.output("OutputQueueUrl"))
    ended = punctual("tail")
    assert (1, "", 1) == (ended.status, ended.out, len(ended.err.splitlines()))
    assert "1 message is in the hands of another consumer" in ended.err
    assert 2 == len(punctual("tail", "--take").out.splitlines())


def test_without_permission_to_look_it_takes_nothing(punctual: Punctual, world: World, due: Stack) -> None:
    world.refused = "AccessDeniedException"
    ended = punctual("tail")
    assert (1, "", 1) == (ended.status, ended.out, len(ended.err.splitlines()))
    assert "lambda:ListEventSourceMappings" in ended.err
    assert 3 == len(punctual("tail", "--take").out.splitlines())


@contextlib.contextmanager
def receiver(status: int) -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    """Yield the URL of a program on this machine, and the requests that it received."""
    received: list[tuple[dict[str, str], bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append((dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/hook?a=b", received
        finally:
            server.shutdown()
            thread.join()


def test_forwarded_messages_are_deleted_after_2xx(
    punctual: Punctual, due: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attributes are headers. A proxy of the environment is not asked."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with receiver(204) as (url, received):
        ended = punctual("tail", "--forward", url)
    assert 0 == ended.status
    assert "204  m/0" in "\n".join(sorted(ended.out.splitlines()))
    assert (0, 0) == visible(due)
    headers, body = min(received, key=lambda each: each[1])
    assert b'{"n":0}' == body
    assert ("m/0", "1893456001", "%C3%BC%0A", "application/json") == tuple(
        headers[name] for name in ("Punctual-Name", "Punctual-Due", "Punctual-User", "Content-Type")
    )
    assert headers["Punctual-Id"]


def test_a_message_that_was_not_delivered_stays(punctual: Punctual, due: Stack) -> None:
    with receiver(500) as (url, received):
        ended = punctual("tail", "--forward", url, "--json")
    assert 3 == len(received)
    assert {500} == {fields["forwarded"] for fields in ended.objects}
    assert (3, 0) == visible(due)
    assert "no answer" in punctual("tail", "--forward", "http://a..b/").out
    refused = punctual("tail", "--forward", "http://127.0.0.1:1/")
    assert (0, 3) == (refused.status, refused.out.count("Connection refused"))
    assert (3, 0) == visible(due)


def test_a_message_of_somebody_else_is_forwarded_whatever_its_attributes_hold() -> None:
    message = Message("→ 1", datetime(2030, 1, 1, tzinfo=UTC), "text", name="a\r\nHost: b", user="ü", application="ö")
    with receiver(200) as (url, received):
        assert 200 == Forwarder(url + "&c=ü d").post(message)
    ((headers, body),) = received
    names = ("Punctual-Id", "Punctual-Name", "Punctual-User", "Punctual-Application")
    assert ["%E2%86%92 1", "a%0D%0AHost: b", "%C3%BC", "%C3%B6"] == [headers[name] for name in names]
    assert b"text" == body


@pytest.mark.parametrize(
    "url",
    ["localhost:8000", "ftp://x/", "http://", "http://x:99999/", "http://x/\n", "http://[::1", "http://a b/"],
)
def test_an_impossible_url_is_wrong_usage(url: str, punctual: Punctual, due: Stack) -> None:
    ended = punctual("tail", "--forward", url)
    assert (2, 1) == (ended.status, len(ended.err.splitlines()))
    assert "http://127.0.0.1:8000/reminders" in ended.err


def test_forward_and_delete_exclude_each_other(punctual: Punctual) -> None:
    ended = punctual("tail", "--forward", "http://127.0.0.1:1", "--delete")
    assert (2, 1) == (ended.status, len(ended.err.splitlines()))


PROCESS = """
import json, sys
import boto3
from moto import mock_aws
from punctual.cli import group
from punctual.cli.run import Run
from punctual.client.backend import AwsBackend

class World:
    def backend(self):
        return AwsBackend(boto3.Session(region_name="eu-central-1"))
    def outputs(self):
        return {"OutputQueueUrl": url, "OutputQueueArn": "arn:aws:sqs:eu-central-1:123456789012:output"}

with mock_aws():
    sqs = boto3.client("sqs", region_name="eu-central-1")
    url = sqs.create_queue(QueueName="output")["QueueUrl"]
    for number in range(3):
        sqs.send_message(QueueUrl=url, MessageBody="x" * 10)
    status = group.run(["tail", *sys.argv[1:]], Run(world=World()))
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    facts = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    print(json.dumps([status, *(int(facts[name]) for name in names)]), file=sys.stderr)
"""


def started(*arguments: str) -> "subprocess.Popen[str]":
    environment = {**os.environ, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-c", PROCESS, *arguments],
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_no_message_hidden(number: signal.Signals, status: int) -> None:
    with started("--take") as process:
        assert process.stdout is not None
        try:
            for _ in range(3):
                process.stdout.readline()
            process.send_signal(number)
            _, said = process.communicate(timeout=END_S_MAX)
        finally:
            process.kill()
    assert [status, 3, 0] == json.loads(said.splitlines()[-1])
    assert "released 3 messages to the queue" in said
    assert "Traceback" not in said


@pytest.mark.slow
def test_a_closed_pipe_deletes_nothing_that_nobody_saw() -> None:
    with started("--take", "--delete") as process:
        assert process.stdout is not None
        try:
            process.stdout.close()
            assert process.stderr is not None
            said = process.stderr.read()
        finally:
            process.kill()
    assert [0, 3, 0] == json.loads(said.splitlines()[-1])
    assert "Traceback" not in said
