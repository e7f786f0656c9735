"""Every example of docs/client.md, docs/receiving.md and docs/cli.md runs on the local AWS, as a reader would try it.

All share one stack, with the name that the pages use. The examples of a page run one after the other. An example that
cannot run here is in `NOT_HERE`, with the reason.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from punctual import Scheduler
from punctual.local.deployment import Stack, deploy
from punctual.local.emulation.emulator import Emulator
from receiver import Receiver, answer
from scheduler.webhooks import signing

# The examples leave their connections to the end of the process, as a reader's program does.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")]

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
ENDS_WITHIN_S = 180
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

NOT_HERE = {
    "punctual export | punctual --stack other import": "needs a second stack; tests/cli/bulk moves schedules into one",
    "punctual adopt": "the local AWS does not fire schedules of EventBridge Scheduler; tests/cli/bulk has a copy of it",
    "punctual deploy": "deploys from the wheel to S3; tests/cli/deploying and tests/local/test_wheel.py do that",
    "punctual destroy": "removes the stack that the other examples share; tests/cli/deploying does that",
    "punctual verify": "waits for minutes here; tests/cli/inspecting moves a clock",
    "punctual dev": "stays up until Ctrl-C; tests/local/test_command.py runs it",
    "pip install": "needs the package index; tests/local/test_wheel.py installs the wheel",
}
KEY_OF_THE_PAGE = "1f2e3d4c-9a8b7c6d"
STATUSES = {"punctual redrive 3-": 3}
"""Examples with an exit status of their own. The id of the failure is made up."""


def examples(page: str, language: str) -> list[str]:
    """Return the code of a page in one language, from its top to its end."""
    return re.findall(
        rf"^```{language}\n(.*?)^```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )


def commands() -> list[str]:
    """Return the lines of cli.md that a reader may copy into a shell, each once."""
    return list(dict.fromkeys(line for block in examples("cli.md", "sh") for line in block.splitlines()))


def reason(line: str) -> str | None:
    return next((why for start, why in NOT_HERE.items() if line.startswith(start)), None)


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A stack under the name of the pages, on a local AWS of its own. Its webhooks may go to the host of the pages."""
    with Emulator(auth=True) as emulator:
        yield deploy(emulator, ROOT / "template.yml", parameters={"WebhookHosts": "api.example.com"})


@pytest.fixture
def variables(stack: Stack) -> dict[str, str]:
    """The environment of a shell that is connected to the stack."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PUNCTUAL_"))}
    return {**kept, **stack.emulator.environment(), "PUNCTUAL_STACK": stack.name, "PYTHONPATH": str(ROOT)}


@pytest.fixture
def here(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Connect this process to the stack. An example may find the stack by its outputs alone."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "PUNCTUAL_"))]:
        monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def reminded(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The module `shop` of the examples. It keeps the orders of all reminders."""
    orders: list[Any] = []
    shop = types.ModuleType("shop")
    shop.remind = orders.append  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "shop", shop)
    return orders


def run(code: str, names: dict[str, Any], page: str) -> dict[str, Any]:
    exec(compile(code, page, "exec"), names)
    return names


def test_the_examples_of_the_client(stack: Stack, here: None, capsys: pytest.CaptureFixture[str]) -> None:
    """The names of the outputs are filled in, and the stream is shorter. The last example is a test, and passes."""
    names: dict[str, Any] = {"__name__": "page"}
    for example in examples("client.md", "python"):
        filled = example.replace("range(2_500)", "range(250)")  # The local AWS is slow.
        for output in ("ScheduleFunction", "ManageFunction"):
            made_up = f"punctual-{output.removesuffix('Function').lower()}"
            filled = filled.replace(f'"{made_up}"', f'"{stack.outputs[output]}"')
        run(filled, names, "client.md")
        for name in [name for name in names if name.startswith("test_")]:
            names.pop(name)()
    printed = capsys.readouterr().out
    assert re.search(r"^stored .* \{'order': 7\}$", printed, re.MULTILINE)
    assert "250 would be cancelled" in printed
    assert "name name is 'no spaces here'" in printed
    assert "it was never scheduled" in printed
    assert "line" not in printed, "every request of the stream is accepted"


def order(number: int) -> None:
    """Let an order come out of the output queue now."""
    Scheduler().schedule({"order": number}, delay=0)


def interrupted_when(done: Callable[[], bool]) -> None:
    """Send Ctrl-C to this process as soon as something is done."""

    def wait() -> None:
        deadline_s = time.monotonic() + ENDS_WITHIN_S
        while not done() and time.monotonic() < deadline_s:
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=wait, daemon=True).start()


def empty(stack: Stack) -> None:
    """Remove what the examples of other pages left in the output queue."""
    stack.emulator.client("sqs").purge_queue(QueueUrl=stack.outputs["OutputQueueUrl"])


def test_the_worker_of_a_receiver(stack: Stack, here: None, reminded: list[Any]) -> None:
    """Ctrl-C ends it without an error, after it has deleted its messages.

    It comes before the loop, because the last poll of the loop would take its message.
    """
    _, worker, *_ = examples("receiving.md", "python")
    empty(stack)
    order(2)
    interrupted_when(lambda: 2 in reminded)
    run(worker, {"__name__": "page"}, "receiving.md")
    assert 2 in reminded


def test_the_loop_of_a_receiver(stack: Stack, here: None, reminded: list[Any]) -> None:
    loop, *_ = examples("receiving.md", "python")
    empty(stack)
    order(1)
    interrupted_when(lambda: reminded == [1])
    with pytest.raises(KeyboardInterrupt):
        run(loop, {"__name__": "page"}, "receiving.md")


class Loader(yaml.SafeLoader):
    """Reads a template, and leaves its functions as text."""


Loader.add_multi_constructor("!", lambda loader, suffix, node: f"!{suffix} {node.value}")


def test_the_function_of_a_receiver(here: None, reminded: list[Any]) -> None:
    """Its table is the one of the template beside it. A repeat is dropped."""
    _, _, function, *_ = examples("receiving.md", "python")
    (template,) = examples("receiving.md", "yaml")
    table = yaml.load(template, Loader)["Handled"]["Properties"]
    boto3.client("dynamodb").create_table(**{name: table[name] for name in table if name != "TimeToLiveSpecification"})
    handler = run(function, {"__name__": "page"}, "receiving.md")["handler"]
    due = {"dataType": "Number", "stringValue": "1893456000"}
    record = {
        "messageId": "m",
        "receiptHandle": "r",
        "eventSource": "aws:sqs",
        "body": '{"order": 3}',
        "attributes": {"ApproximateReceiveCount": "1"},
        "messageAttributes": {"id": {"dataType": "String", "stringValue": "a"}, "due": due},
    }
    context = types.SimpleNamespace(get_remaining_time_in_millis=lambda: 30_000)
    for _ in range(2):
        assert {"batchItemFailures": []} == handler({"Records": [record]}, context)
    assert [3] == reminded


def test_the_webhook_receiver_and_the_test_of_a_receiver(reminded: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    *_, webhook, test = examples("receiving.md", "python")
    monkeypatch.setenv("WEBHOOK_SECRETS", SECRET)
    application = run(webhook, {"__name__": "page"}, "receiving.md")["application"]
    body = b'{"order": 4}'
    headers = signing.headers("2-7", time.time(), body, [signing.secret(SECRET)])
    environ: dict[str, Any] = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
    statuses: list[str] = []
    environ |= {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
    application(environ, lambda status, _: statuses.append(status))
    assert (["204 No Content"], [4]) == (statuses, reminded)
    run(test, {"__name__": "page"}, "receiving.md")["test_a_reminder_is_sent_after_two_hours"]()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the examples read, and a command `punctual` for the shell."""
    folder = tmp_path_factory.mktemp("reader")
    (folder / "data").write_text("call back")
    (folder / "reminders.ndjson").write_text('{"timestamp": 1906527600, "data": "x", "name": "order/9"}\n' * 2)
    (folder / "reminders.csv").write_text("timestamp,data,name\n1906527600,x,order/10\n")
    (folder / "bin").mkdir()
    command = folder / "bin" / "punctual"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m punctual "$@"\n')
    command.chmod(0o755)
    for place in (".local/share/bash-completion/completions", ".zfunc", ".config/fish/completions"):
        (folder / place).mkdir(parents=True)
    return folder


@pytest.fixture
def shell(variables: dict[str, str], folder: Path) -> Callable[[str], subprocess.CompletedProcess[str]]:
    environment = {**variables, "HOME": str(folder), "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"}

    def shell(line: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", "-c", line], env=environment, cwd=folder, capture_output=True, text=True, check=False,
            timeout=ENDS_WITHIN_S,
        )  # fmt: skip

    return shell


@pytest.mark.parametrize("line", [line for line in commands() if reason(line) is None])
def test_a_command_of_the_page(line: str, shell: Callable[..., Any], stack: Stack) -> None:
    """What asks gets --yes, and what would stay up ends when the queue is empty."""
    if " jq " in line and shutil.which("jq") is None:
        pytest.skip("jq is not installed here")
    empty(stack)
    if "order/7" in line:
        assert 0 == shell("punctual schedule x --in 1d --name order/7").returncode
    if line.startswith("punctual apps ") and ("warehouse" in line or KEY_OF_THE_PAGE in line):
        shell("punctual apps create warehouse")  # An earlier line may have created it.
        key = json.loads(shell("punctual apps keys warehouse --json").stdout.splitlines()[0])["id"]
        line = line.replace(KEY_OF_THE_PAGE, key)
    with closing(Receiver([answer(200)])) as server:
        asks = line.startswith("punctual redrive --from")
        prepared = line.replace("http://127.0.0.1:8000", f"http://127.0.0.1:{server.port}")
        prepared += " --yes" if asks else " --no-wait" if line.startswith("punctual tail") else ""
        ended = shell(prepared)
    expected = next((status for start, status in STATUSES.items() if line.startswith(start)), 0)
    assert expected == ended.returncode, ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr


def test_every_reason_is_for_an_example_that_is_there() -> None:
    lines = commands()
    assert [] == [start for start in NOT_HERE if not any(line.startswith(start) for line in lines)]
