"""`python -m punctual.local` as a person uses it."""

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

import punctual
from punctual.local.command import dev
from punctual.local.deployment import Stack
from punctual.local.emulation.emulator import Emulator
from punctual.local.environment import python, shell, text
from punctual.local.progress import Accepted, Progress
from punctual.local.session import missing

COMMAND = [sys.executable, "-m", "punctual.local"]
END_S_MAX = 60.0
ONCE_S_MAX = 400.0
SHOWING = "has queues of its own"  # The demonstration begins.
# Finds the stack by the variables alone, and every output among them.
COUNTS_OUTPUTS = """
import boto3, os
stack = boto3.client("cloudformation").describe_stacks(StackName=os.environ["PUNCTUAL_STACK"])["Stacks"][0]
values = {output["OutputValue"] for output in stack["Outputs"]}
boto3.client("sqs").get_queue_attributes(QueueUrl=os.environ["PUNCTUAL_OUTPUT_QUEUE_URL"])
told = {value for name, value in os.environ.items() if name.startswith("PUNCTUAL_")} - {"punctual"}
parameters = {each["ParameterKey"]: each["ParameterValue"] for each in stack["Parameters"]}
required = parameters["RequireUser"]
print("all outputs" if told == values else values ^ told, "RequireUser " + required, os.environ["NO_PROXY"], sep=", ")
"""

pytestmark = pytest.mark.skipif(not Path("/proc").exists(), reason="looks at processes the way Linux shows them")


@pytest.fixture
def folder(tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the command runs. It is not the repository, and the package is not installed."""
    monkeypatch.setenv("PYTHONPATH", str(repository))
    return tmp_path


def test_the_help_explains_every_option(folder: Path) -> None:
    """A new user learns what it does and how it ends."""
    helped = subprocess.run([*COMMAND, "--help"], cwd=folder, capture_output=True, text=True, check=True)
    for word in ("--once", "--persist", "--port", "--parameter", "--no-demo", "Ctrl-C", "Example:"):
        assert word in helped.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("said", "blow"), [("is up at", signal.SIGINT), (SHOWING, signal.SIGINT), (SHOWING, signal.SIGTERM)]
)
def test_ctrl_c_ends_it_cleanly(said: str, blow: signal.Signals, folder: Path, private_temporary_folder: Path) -> None:
    """At any time, it ends with status 0, without a traceback and without leftovers."""
    with running(folder) as command:
        output = read_until(command, said)
        assert 1 == len(list(private_temporary_folder.iterdir()))
        os.killpg(command.pid, blow)  # A terminal signals the whole group.
        rest, _ = command.communicate(timeout=END_S_MAX)
    assert 0 == command.returncode, output + rest
    assert "Traceback" not in output + rest
    assert [] == list(private_temporary_folder.iterdir())
    assert [] == list(folder.iterdir())


@pytest.mark.slow
def test_an_interrupted_once_is_no_success(folder: Path) -> None:
    """Status 0 of `--once` means that every schedule came back."""
    with running(folder, "--once") as command:
        read_until(command, SHOWING)
        command.send_signal(signal.SIGINT)
        command.communicate(timeout=END_S_MAX)
    assert 1 == command.returncode


@pytest.mark.slow
def test_a_sourced_file_connects_a_shell_before_the_demonstration(folder: Path) -> None:
    """The address, the credentials, every output and the command are there at once, in any folder.

    The user's own settings have no effect.
    """
    with running(folder, "--no-demo", "--parameter", "RequireUser=true") as command:
        output = read_until(command, ". .punctual/env")
        connected = subprocess.run(
            ["sh", "-c", f". .punctual/env && exec {sys.executable} -c '{COUNTS_OUTPUTS}'"],
            cwd=folder,
            env={**os.environ, "AWS_PROFILE": "mine", "AWS_ENDPOINT_URL_SQS": "http://127.0.0.1:1", "NO_PROXY": "x"},
            capture_output=True,
            text=True,
            check=False,
        )
        at_work = subprocess.run(
            [
                "sh",
                "-c",
                ". .punctual/env && cd / && punctual list --json && punctual --version && punctual get nothing",
            ],
            cwd=folder,
            env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert 0o600 == (folder / ".punctual" / "env").stat().st_mode & 0o777
        command.send_signal(signal.SIGINT)
        rest, _ = command.communicate(timeout=END_S_MAX)
    assert "InvalidSchedule" not in output + rest
    assert (3, f"punctual {punctual.__version__}\n") == (at_work.returncode, at_work.stdout), at_work.stderr
    assert ("all outputs, RequireUser true, 127.0.0.1,x\n", "") == (connected.stdout, connected.stderr)
    assert [] == list(folder.iterdir())


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--parameter", "Reach=1"], "--parameter: Reach is not a parameter of the template; did you mean"),
        (["--parameter", "PartitionCount"], "'PartitionCount' is no parameter; write NAME=VALUE"),
        (["--once", "--no-demo"], "--once ends after the demonstration, so it does not go with --no-demo"),
        (["--port", "0"], "0 is not in the range 1<=x<=65535"),
    ],
)
def test_wrong_usage_is_told_before_anything_starts(options: list[str], complaint: str, folder: Path) -> None:
    """The status is 2, and no local AWS is started."""
    ended = subprocess.run([*COMMAND, *options], cwd=folder, capture_output=True, text=True, check=False)
    assert (2, "") == (ended.returncode, ended.stdout)
    assert complaint in ended.stderr


def test_a_missing_package_is_told_with_the_extra_that_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line can be pasted."""
    monkeypatch.setattr("punctual.local.command.NEEDED", ("boto3", "punctual_is_not_a_package"))
    ended = CliRunner().invoke(dev, ["--once"])
    assert 1 == ended.exit_code
    said = "Error: the local stack needs more packages (punctual_is_not_a_package): pip install 'punctual-aws[local]'\n"
    assert said == ended.output


def test_the_command_is_listed_without_the_packages_of_the_local_stack(folder: Path) -> None:
    """Only a run needs them."""
    script = (
        "import sys, punctual.local.command; print({'boto3', 'ministack', 'rich', 'samtranslator'} & {*sys.modules})"
    )
    listed = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=True)
    assert "set()\n" == listed.stdout


@pytest.mark.slow
def test_a_port_in_use_is_reported_in_one_line(emulator: Emulator, folder: Path) -> None:
    """The line is on standard error, without a traceback."""
    command = [*COMMAND, "--port", str(emulator.port)]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=END_S_MAX, check=False)
    assert 1 == ended.returncode
    assert f"error: port {emulator.port} is in use\n" == ended.stderr


def test_the_list_of_missing_ids_is_truncated() -> None:
    """It shows enough ids to search for, and not a thousand."""
    progress = Progress()
    for number in range(30):
        progress.accept(Accepted(f"0-{number}", 100.0, "one by one", "queued"))
    lines = list(missing(progress.summary()))
    assert "missing:" == lines[0]
    assert "  0-0" == lines[1]
    assert "  and 10 more" == lines[-1]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("aws") is None, reason="needs the aws command line")
def test_the_suggested_shell_commands_work_when_pasted(real_stack: Stack) -> None:
    """They schedule and receive a message, in a shell that has read the file."""
    assert_comes_back(real_stack, shell())


@pytest.mark.slow
def test_the_suggested_python_lines_work_when_pasted(real_stack: Stack) -> None:
    """They do the same."""
    assert_comes_back(real_stack, f"{sys.executable} -c {shlex.quote(python())}")


def assert_comes_back(stack: Stack, script: str) -> None:
    """Assert that the received message has the id of the answer."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    stack.emulator.client("sqs").purge_queue(QueueUrl=stack.outputs["OutputQueueUrl"])
    command = ["sh", "-c", f"{text(stack.update({'ReachSeconds': 60}))}\n{script}"]
    pasted = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=END_S_MAX, check=False)
    assert 0 == pasted.returncode, pasted.stderr
    first, second = re.findall(r"\b\d+-\d{15}-[0-9a-f]{16}\b", pasted.stdout)
    assert first == second


@pytest.mark.soak
def test_once_shows_that_everything_comes_back(folder: Path, private_temporary_folder: Path) -> None:
    """The whole demonstration ends with status 0 and a few lines that say so."""
    command = [*COMMAND, "--once"]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=ONCE_S_MAX, check=False)
    assert 0 == ended.returncode, ended.stdout + ended.stderr
    assert "\nreleased 1019 of 1019 accepted, 0 early, 0 duplicates\n" in ended.stdout
    assert re.search(
        r"\n  in the queue  median [0-9.]+ s, worst [0-9.]+ s late \(promised: 1 s and SQS\)\n", ended.stdout
    )
    assert "\n  webhooks      delivered 2 of 2 in 4 requests\n" in ended.stdout
    assert "\n  cancelled     1, 0 of them came\n" in ended.stdout
    assert [] == list(private_temporary_folder.iterdir())


@pytest.mark.soak
def test_persist_restores_earlier_schedules(folder: Path) -> None:
    """After Ctrl-C and a restart, near and far schedules of the first run are delivered in the second."""
    with running(folder, "--persist") as command:
        read_until(command, "pending 10 ")  # The far schedules have not come yet.
        command.send_signal(signal.SIGINT)
        command.communicate(timeout=END_S_MAX)
    with running(folder, "--persist", "--once") as command:
        output, _ = command.communicate(timeout=ONCE_S_MAX)
    assert 0 == command.returncode, output
    assert 10 == output.count("from an earlier run")


@contextlib.contextmanager
def running(folder: Path, *options: str) -> "Iterator[subprocess.Popen[str]]":
    """Run the command in its own process group, and kill it at the end."""
    with subprocess.Popen(
        [*COMMAND, *options],
        cwd=folder,
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
