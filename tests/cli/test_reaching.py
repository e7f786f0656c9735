"""Errors on the way to AWS, and the command among shells and pipes."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from punctual.cli import group
from punctual.cli.errors import HINTS

ROOT = Path(__file__).parents[2]
END_S_MAX = 120.0
REGION = ["--region", "eu-central-1"]
LINES = {
    "schedule": ["schedule", "x", "--in", "1h"],
    "get": ["get", "n"],
    "cancel": ["cancel", "n"],
    "cancel all": ["cancel", "--prefix", "n", "--yes"],
    "move": ["move", "n", "--in", "1h"],
    "change": ["change", "n", "--user", "u"],
    "fire": ["fire", "n"],
    "list": ["list"],
    "forecast": ["forecast"],
    "failures": ["failures"],
    "redrive": ["redrive", "--from", "-1d", "--yes"],
    "tail": ["tail"],
}
NO_STACKS = b"<DescribeStacksResponse><DescribeStacksResult><Stacks/></DescribeStacksResult></DescribeStacksResponse>"
MISSING = (
    b"<ErrorResponse><Error><Type>Sender</Type><Code>ValidationError</Code>"
    b"<Message>Stack with id nothing does not exist</Message></Error></ErrorResponse>"
)
PROCESS = """
import sys
from punctual.cli import group
from punctual.cli.run import Run
from punctual.testing import Stack

stack = Stack()
stack.schedule([{"delay": 3600 + number, "data": "x" * 200, "name": f"n/{number}"} for number in range(400)])
sys.exit(group.run(sys.argv[1:], Run(world=stack)))
"""


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide the AWS configuration of this machine."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "PUNCTUAL_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")


@pytest.fixture(scope="module")
def empty_account() -> Iterator[str]:
    """Yield the endpoint of a CloudFormation without any stack."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = self.rfile.read(int(self.headers["Content-Length"]))
            content = MISSING if b"StackName" in asked else NO_STACKS
            self.send_response(400 if content is MISSING else 200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("line", LINES.values(), ids=LINES.keys())
def test_an_unknown_stack_is_one_line_and_3(
    line: list[str], empty_account: str, credentials: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 3 == group.run([*line, *REGION, "--stack", "nothing", "--endpoint-url", empty_account])
    said = capsys.readouterr()
    assert ("", 1) == (said.out, len(said.err.splitlines()))
    assert "there is no stack 'nothing' in eu-central-1" in said.err
    assert "--stack" in said.err
    assert "Scheduler" not in said.err


@pytest.mark.parametrize("line", LINES.values(), ids=LINES.keys())
def test_no_credentials_are_one_line_and_5(line: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert 5 == group.run([*line, *REGION])
    said = capsys.readouterr()
    assert ("", 1) == (said.out, len(said.err.splitlines()))
    assert "there are no AWS credentials; set AWS_PROFILE, run `aws configure`, or add --profile" in said.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "there is no AWS region; set AWS_DEFAULT_REGION or add --region"),
        (["--region", ""], "there is no AWS region; set AWS_DEFAULT_REGION or add --region"),
        (["--profile", "nope"], "The config profile (nope) could not be found"),
        (["--region", "no region"], "no region"),
        ([*REGION, "--endpoint-url", "nowhere"], "wanted: a URL such as http://127.0.0.1:4566"),
    ],
)
def test_a_wrong_way_to_aws_is_one_line_and_5(
    options: list[str], said: str, credentials: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 5 == group.run(["list", *options])
    captured = capsys.readouterr()
    assert ("", 1) == (captured.out, len(captured.err.splitlines()))
    assert said in captured.err


def test_every_hint_replaces_words_of_the_client() -> None:
    """A message that was reworded would otherwise advise Python to a shell."""
    code = "".join(path.read_text() for path in sorted((ROOT / "punctual" / "client").rglob("*.py")))
    message = "set AWS_DEFAULT_REGION or pass a session"
    code += message.replace("or pass a session", HINTS["or pass a session"])
    for words in HINTS:
        assert words in code


@pytest.mark.slow
def test_a_reader_that_has_seen_enough_ends_a_list_quietly() -> None:
    shell = '("$@"; echo $? >&2) | head -1'
    line = [sys.executable, "-c", PROCESS, "list", "--limit", "all", "--json"]
    ended = subprocess.run(
        ["/bin/sh", "-c", shell, "sh", *line],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=END_S_MAX,
        check=False,
    )
    assert "0" == ended.stderr.strip()
    assert 1 == len(ended.stdout.splitlines())


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux")
def test_a_full_disk_is_one_line_and_1() -> None:
    line = [sys.executable, "-c", PROCESS, "list"]
    ended = subprocess.run(
        ["/bin/sh", "-c", '"$@" > /dev/full', "sh", *line],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=END_S_MAX,
        check=False,
    )
    assert (1, "error: No space left on device\n") == (ended.returncode, ended.stderr)


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("punctual sch", "schedule"),
        ("punctual --st", "--stack"),
        ("punctual schedule --exp", "--expires-after"),
        ("punctual list --re", "--region"),
        ("punctual schedule x --if-exists k", "keep"),
        ("punctual completion z", "zsh"),
    ],
)
def test_bash_completes_commands_options_and_values(typed: str, offered: str) -> None:
    """As the script of `punctual completion bash` asks for it."""
    variables = {"_PUNCTUAL_COMPLETE": "bash_complete", "COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}
    ended = subprocess.run(
        [sys.executable, "-m", "punctual"],
        cwd=ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=END_S_MAX,
        check=True,
    )
    assert f"plain,{offered}" in ended.stdout.splitlines()
    assert "" == ended.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_names_the_command(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == group.run(["completion", shell])
    script = capsys.readouterr().out
    assert f"_PUNCTUAL_COMPLETE={shell}_complete" in script
    checked = subprocess.run(
        ["bash", "-n"], input=script if shell == "bash" else "", text=True, check=False, capture_output=True
    )
    assert (0, "") == (checked.returncode, checked.stderr)
