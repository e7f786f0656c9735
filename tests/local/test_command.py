"""`python -m punctual.local` as a person uses it."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from punctual.local.__main__ import missing
from punctual.local.demo import Accepted, Progress
from punctual.local.deployment import Stack
from punctual.local.emulator import Emulator
from punctual.local.next_steps import python, shell

COMMAND = [sys.executable, "-m", "punctual.local"]
END_S_MAX = 60.0
ONCE_S_MAX = 400.0

pytestmark = pytest.mark.skipif(not Path("/proc").exists(), reason="looks at processes the way Linux shows them")


def test_the_help_explains_every_option(repository: Path) -> None:
    """A new user learns what it does and how it ends."""
    helped = subprocess.run([*COMMAND, "--help"], cwd=repository, capture_output=True, text=True, check=True)
    for word in ("--once", "--persist", "--port", "Ctrl-C"):
        assert word in helped.stdout


@pytest.mark.parametrize(
    ("said", "blow"), [("is up at", signal.SIGINT), ("Watch them", signal.SIGINT), ("Watch them", signal.SIGTERM)]
)
def test_ctrl_c_ends_it_cleanly(
    said: str, blow: signal.Signals, repository: Path, private_temporary_folder: Path
) -> None:
    """At any time, it ends with status 0, without a traceback and without leftovers."""
    with running(repository) as command:
        output = read_until(command, said)
        assert 1 == len(list(private_temporary_folder.iterdir()))
        os.killpg(command.pid, blow)  # A terminal signals the whole group.
        rest, _ = command.communicate(timeout=END_S_MAX)
    assert 0 == command.returncode, output + rest
    assert "Traceback" not in output + rest
    assert [] == list(private_temporary_folder.iterdir())


def test_an_interrupted_once_is_no_success(repository: Path) -> None:
    """Status 0 of `--once` means that every schedule came back."""
    with running(repository, "--once") as command:
        read_until(command, "Watch them")
        command.send_signal(signal.SIGINT)
        command.communicate(timeout=END_S_MAX)
    assert 1 == command.returncode


def test_a_port_in_use_is_reported_in_one_line(emulator: Emulator, repository: Path) -> None:
    """The line is on standard error, without a traceback."""
    command = [*COMMAND, "--port", str(emulator.port)]
    ended = subprocess.run(command, cwd=repository, capture_output=True, text=True, timeout=END_S_MAX, check=False)
    assert 1 == ended.returncode
    assert f"error: port {emulator.port} is in use\n" == ended.stderr


def test_the_list_of_missing_ids_is_truncated() -> None:
    """It shows enough ids to search for, and not a thousand."""
    progress = Progress()
    for number in range(30):
        progress.accept(Accepted(f"0-{number}", 100.0, "one by one", "queued"))
    lines = missing(progress.summary()).splitlines()
    assert "missing:" == lines[0]
    assert "  0-0" == lines[1]
    assert "  and 10 more" == lines[-1]


@pytest.mark.skipif(shutil.which("aws") is None, reason="needs the aws command line")
def test_the_suggested_shell_commands_work_when_pasted(real_stack: Stack) -> None:
    """They schedule and receive a message, in a shell without AWS settings."""
    assert_comes_back(["sh", "-c", shell(real_stack.update({"ReachSeconds": 60}))])


def test_the_suggested_python_lines_work_when_pasted(real_stack: Stack) -> None:
    """They do the same."""
    assert_comes_back([sys.executable, "-c", python(real_stack.update({"ReachSeconds": 60}))])


def assert_comes_back(command: list[str]) -> None:
    """Assert that the received message has the id of the answer."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    pasted = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=END_S_MAX, check=False)
    assert 0 == pasted.returncode, pasted.stderr
    scheduled = re.search(r'"id": ?"([^"]+)"', pasted.stdout)
    assert scheduled, pasted.stdout
    assert 2 == pasted.stdout.count(scheduled[1]), pasted.stdout


@pytest.mark.soak
def test_once_shows_that_everything_comes_back(repository: Path, private_temporary_folder: Path) -> None:
    """The whole demonstration ends with status 0 and one line that says so."""
    command = [*COMMAND, "--once"]
    ended = subprocess.run(command, cwd=repository, capture_output=True, text=True, timeout=ONCE_S_MAX, check=False)
    assert 0 == ended.returncode, ended.stdout + ended.stderr
    assert re.search(r"^released 1019 of 1019 accepted, 0 early, worst lateness [0-9.]+ s", ended.stdout, re.MULTILINE)
    assert "webhooks delivered 2 of 2 in 4 requests; 1 cancelled, 0 of them came\n" in ended.stdout
    assert [] == list(private_temporary_folder.iterdir())


@pytest.mark.soak
def test_persist_restores_earlier_schedules(repository: Path, tmp_path: Path) -> None:
    """After Ctrl-C and a restart, near and far schedules of the first run are delivered in the second."""
    environment = {**os.environ, "PYTHONPATH": str(repository)}
    with running(tmp_path, "--persist", env=environment) as command:
        read_until(command, "pending 10 ")  # The far schedules have not come yet.
        command.send_signal(signal.SIGINT)
        command.communicate(timeout=END_S_MAX)
    with running(tmp_path, "--persist", "--once", env=environment) as command:
        output, _ = command.communicate(timeout=ONCE_S_MAX)
    assert 0 == command.returncode, output
    assert 10 == output.count("from an earlier run")


@contextlib.contextmanager
def running(folder: Path, *options: str, env: dict[str, str] | None = None) -> "Iterator[subprocess.Popen[str]]":
    """Run the command in its own process group, and kill it at the end."""
    with subprocess.Popen(
        [*COMMAND, *options],
        cwd=folder,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as command:
        try:
            yield command
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(command.pid, signal.SIGKILL)


def read_until(command: "subprocess.Popen[str]", word: str) -> str:
    assert command.stdout is not None
    read = ""
    deadline_s = time.monotonic() + END_S_MAX
    while word not in read and time.monotonic() < deadline_s:
        line = command.stdout.readline()
        assert line, f"it ended before it said {word!r}:\n{read}"
        read += line
    return read
