"""Threads, forks, and the end of a scheduler."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from punctual import Scheduler
from punctual.client.backend import AwsBackend

ROOT = Path(__file__).parents[2]
GUARD_S = 120
"""A child process that hangs ends after this time."""
OUTPUTS = {"ScheduleFunction": "schedule", "ManageFunction": "manage"}
ANSWER = {"id": "1-001893456000000-0123456789abcdef", "timestamp": 1893456000, "state": "stored"}


class Lambda(BaseHTTPRequestHandler):
    """The Invoke API of Lambda, for real boto3 clients. It answers every invocation alike."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        content = json.dumps(ANSWER).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        """Print nothing."""


@pytest.fixture
def endpoint(bare):
    for name, value in (
        ("AWS_DEFAULT_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "t"),
        ("AWS_SECRET_ACCESS_KEY", "t"),
    ):
        bare.setenv(name, value)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Lambda)
    thread = threading.Thread(target=server.serve_forever, args=[0.01], daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_threads_share_one_client(endpoint):
    scheduler = Scheduler.from_outputs(OUTPUTS, endpoint_url=endpoint)
    ids: list[str] = []
    threads = [
        threading.Thread(target=lambda: ids.append(scheduler.schedule("x", delay=1).id)) for _ in range(8)
    ]  # fmt: skip
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [ANSWER["id"]] * 8 == ids
    assert 1 == len(scheduler._backend._in_process().clients)
    scheduler.close()


def test_a_client_is_made_once_though_many_threads_want_it(bare):
    made = []

    class Session:
        def client(self, service, **_):
            made.append(service)
            return object()

    backend = AwsBackend(Session())
    threads = [threading.Thread(target=backend.client, args=["lambda"]) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ["lambda"] == made


def test_a_closed_scheduler_opens_new_connections_when_it_is_used_again(endpoint):
    with Scheduler.from_outputs(OUTPUTS, endpoint_url=endpoint) as scheduler:
        scheduler.schedule("x", delay=1)
        first = scheduler._backend.client("lambda")
    assert {} == scheduler._backend._in_process().clients
    assert "stored" == scheduler.schedule("x", delay=1).state
    assert first is not scheduler._backend.client("lambda")
    scheduler.close()


FORK = """
import os, sys, threading
from punctual import Scheduler

scheduler = Scheduler.from_outputs({"ScheduleFunction": "schedule"}, endpoint_url=sys.argv[1])
scheduler.schedule("x", delay=1)
backend = scheduler._backend
parents = backend.client("lambda")
backend._in_process().lock.acquire()  # As if another thread made a client at the moment of the fork.
backend.lock().__enter__()
child = os.fork()
if child == 0:
    fine = scheduler.schedule("x", delay=1).state == "stored" and backend.client("lambda") is not parents
    os._exit(0 if fine else 1)
_, status = os.waitpid(child, 0)
backend._in_process().lock.release()
backend.lock().__exit__(None, None, None)
assert backend.client("lambda") is parents
sys.exit(os.waitstatus_to_exitcode(status))
"""


def test_a_forked_process_has_connections_and_locks_of_its_own(endpoint):
    subprocess.run([sys.executable, "-c", FORK, endpoint], cwd=ROOT, check=True, timeout=GUARD_S)


IMPORTS = """
import sys
import boto3
import botocore.config
before = set(sys.modules)
import punctual
assert "boto3" in before
print("\\n".join(sorted(name for name in set(sys.modules) - before if not name.startswith("punctual"))))
"""


def test_import_punctual_imports_next_to_nothing_beyond_boto3():
    command = [sys.executable, "-c", IMPORTS]
    done = subprocess.run(command, cwd=ROOT, check=True, timeout=GUARD_S, capture_output=True, text=True)
    assert "" == done.stdout.strip()


def test_import_punctual_does_not_even_import_boto3():
    heavy = {"boto3", "botocore", "click", "rich", "yaml", "greenlet"}
    code = f"import sys, punctual; sys.exit(bool({heavy} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=GUARD_S)


def test_the_package_needs_boto3_alone_and_is_typed():
    import tomllib  # noqa: PLC0415

    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert ["boto3"] == settings["project"]["dependencies"]
    assert ["py.typed"] == settings["tool"]["setuptools"]["package-data"]["punctual"]
    assert (ROOT / "punctual" / "py.typed").is_file()
    folders = {path.parent for path in (ROOT / "punctual" / "client").rglob("*.py")}
    packages = {str(folder.relative_to(ROOT)).replace("/", ".") for folder in folders}
    assert packages <= set(settings["tool"]["setuptools"]["packages"])


def test_the_distribution_takes_its_version_from_the_package():
    import tomllib  # noqa: PLC0415

    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "version" in settings["project"]["dynamic"]
    assert {"attr": "punctual.__version__"} == settings["tool"]["setuptools"]["dynamic"]["version"]
