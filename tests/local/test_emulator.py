"""The local AWS listens on loopback only, is separate from others, and leaves no trace."""

import contextlib
import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest

from punctual.local.deployment import FunctionFailed, Stack, deploy
from punctual.local.emulation.emulator import Emulator
from punctual.local.emulation.isolation import HOST
from punctual.local.emulation.supervisor_process import EmulatorFailed, PortTaken, free_port

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc").exists(), reason="looks at processes the way Linux shows them"),
]

HOLDER = """
import json, sys, time
from pathlib import Path
from punctual.local.deployment import deploy
from punctual.local.emulation.emulator import Emulator

with Emulator(auth=True) as emulator:
    deploy(emulator, Path(sys.argv[1])).invoke("Function", {})
    print(json.dumps([emulator.process, emulator.port, str(emulator.folder)]), flush=True)
    time.sleep(60)
"""


def test_two_run_side_by_side(emulator: Emulator) -> None:
    """One does not see the resources of the other."""
    emulator.client("sqs").create_queue(QueueName="only-here")
    with Emulator() as other:
        assert other.port != emulator.port
        assert [] == other.client("sqs").list_queues().get("QueueUrls", [])
    assert emulator.is_running()


def test_nothing_listens_beyond_loopback(example: Stack, traces: Any) -> None:
    """With functions running, the local AWS listens on one port of 127.0.0.1 and on no other address."""
    example.invoke("Function", {})
    assert {(HOST, example.emulator.port)} == traces.of(example.emulator).listeners()


def test_nothing_is_left_after_the_end(traces: Any, example_path: Path, private_temporary_folder: Path) -> None:
    """No process, port or file is left after the `with` block, whatever ended it."""
    with contextlib.suppress(ZeroDivisionError), Emulator() as emulator:
        deploy(emulator, example_path).invoke("Function", {})
        seen = traces.of(emulator)
        assert 2 <= len(seen.processes())  # ministack itself, and the function.
        assert [emulator.folder] == list(private_temporary_folder.iterdir())
        raise ZeroDivisionError
    assert [] == seen.left()
    assert [] == list(private_temporary_folder.iterdir())


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_nothing_is_left_when_its_holder_is_killed(
    blow: signal.Signals, traces: Any, example_path: Path, repository: Path, private_temporary_folder: Path
) -> None:
    """This includes a holder that ends without clean-up, or is killed with all of its group."""
    with holding(repository, HOLDER, example_path) as holder:
        seen = traces_told_by(holder, traces)
        assert 4 <= len(seen.left())  # Two processes, a port and a folder.
        assert [seen.folder] == list(private_temporary_folder.iterdir())
        os.killpg(holder.pid, blow)
        holder.wait(30)
    assert [] == seen.left_at_last()
    assert [] == list(private_temporary_folder.iterdir())


def test_a_child_of_the_holder_does_not_keep_it_alive(traces: Any, example_path: Path, repository: Path) -> None:
    """A forked process inherits the pipe to the supervisor, but does not hold it open forever."""
    script = HOLDER.replace("    print", "    import os\n    if not os.fork(): time.sleep(30); os._exit(0)\n    print")
    with holding(repository, script, example_path) as holder:
        seen = traces_told_by(holder, traces)
        holder.kill()
        holder.wait(30)
    assert [] == seen.left_at_last()


def test_a_port_in_use_raises_a_clear_error() -> None:
    """A caller who asks for one port gets that port or none."""
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        taken = other.getsockname()[1]
        with pytest.raises(PortTaken, match=f"port {taken} is in use"):
            Emulator(port=taken).start()


def test_a_port_taken_at_the_last_moment_is_replaced(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer on the port is not enough: it must come from our own process."""
    ports = iter([emulator.port])
    free = free_port()
    monkeypatch.setattr("punctual.local.emulation.emulator.free_port", lambda: next(ports, free))
    with Emulator() as other:
        assert free == other.port


def test_the_users_own_settings_have_no_effect(
    example_path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The user's profiles, credentials, endpoints and proxies reach neither the clients nor the functions."""
    (tmp_path / "config").write_text("[default]\nregion = mars-north-1\n")
    for name, value in {
        "AWS_PROFILE": "production",
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_SESSION_TOKEN": "somebody's",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
        "PUNCTUAL_SECRET": "mine",
    }.items():
        monkeypatch.setenv(name, value)
    with Emulator(auth=True) as emulator:
        seen = deploy(emulator, example_path).invoke("Function", {"environment": True})
    assert "us-east-1" == seen["AWS_REGION"]
    assert "PUNCTUAL_SECRET" not in seen
    assert "AWS_PROFILE" not in seen


def test_its_environment_connects_a_child_process(emulator: Emulator) -> None:
    """A program with this environment finds the local AWS without further settings."""
    script = "import boto3; print(boto3.client('sqs').create_queue(QueueName='of-a-child')['QueueUrl'])"
    child = subprocess.run(
        [sys.executable, "-c", script], env=emulator.environment(), capture_output=True, text=True, check=True
    )
    assert child.stdout.startswith(emulator.endpoint_url)


def test_a_role_is_enforced(example: Stack) -> None:
    """Calls that the role permits work, and others are refused."""
    assert "hello" == example.invoke("Function", {"batch": ["a", "b"]})["greeting"]
    with pytest.raises(FunctionFailed, match="AccessDenied"):
        example.invoke("Function", {"forbidden": "x"})


def test_state_survives_on_the_same_port(example_path: Path, tmp_path: Path) -> None:
    """The next local AWS with the same folder has the stack, its code and the delayed messages."""
    with Emulator(auth=True, state_folder=tmp_path) as emulator:
        stack = deploy(emulator, example_path, parameters={"Greeting": "before"})
        emulator.client("sqs").send_message(QueueUrl=stack.outputs["QueueUrl"], MessageBody="waits", DelaySeconds=4)
        port = emulator.port

    with Emulator(auth=True, state_folder=tmp_path) as emulator:
        assert port == emulator.port
        again = dataclasses.replace(stack, emulator=emulator)
        assert "before" == again.invoke("Function", {})["greeting"]
        assert ["waits"] == received(emulator, again.outputs["QueueUrl"])
        updated = deploy(emulator, example_path, parameters={"Greeting": "after"})
        assert stack.outputs == updated.outputs
        assert "after" == updated.invoke("Function", {})["greeting"]


def test_state_survives_on_another_port(example_path: Path, tmp_path: Path) -> None:
    """If the port is in use, the state moves to another one, and a deployment corrects the addresses."""
    with Emulator(auth=True, state_folder=tmp_path) as emulator:
        stack = deploy(emulator, example_path)
        emulator.client("sqs").send_message(QueueUrl=stack.outputs["QueueUrl"], MessageBody="waits", DelaySeconds=4)
        port = emulator.port

    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind((HOST, port))
        other.listen()
        with Emulator(auth=True, state_folder=tmp_path) as emulator:
            assert port != emulator.port
            moved = deploy(emulator, example_path)
            moved.invoke("Function", {"batch": ["new"]})
            assert ["new", "waits"] == sorted(received(emulator, moved.outputs["QueueUrl"], count=2))


def test_state_survives_the_kill_of_its_holder(tmp_path: Path, repository: Path) -> None:
    """The supervisor lets the local AWS save its state, even if no other process is left."""
    script = textwrap.dedent("""
        import sys, time
        from pathlib import Path
        from punctual.local.emulation.emulator import Emulator
        emulator = Emulator(state_folder=Path(sys.argv[1])).start()
        print(emulator.client("sqs").create_queue(QueueName="kept")["QueueUrl"], flush=True)
        time.sleep(60)
    """)
    with holding(repository, script, tmp_path) as holder:
        assert holder.stdout is not None
        url = holder.stdout.readline().strip()
        holder.kill()
        holder.wait(30)
    with Emulator(state_folder=tmp_path) as emulator:  # The start waits until the previous one has saved.
        assert [url] == emulator.client("sqs").list_queues()["QueueUrls"]


@pytest.mark.soak  # The second start waits as long as the first may need to save.
def test_one_state_folder_serves_one_at_a_time(tmp_path: Path) -> None:
    """Two that save to one folder would overwrite each other."""
    with Emulator(state_folder=tmp_path), pytest.raises(EmulatorFailed, match="in use by another"):
        Emulator(state_folder=tmp_path).start()


@contextlib.contextmanager
def holding(repository: Path, script: str, argument: Path) -> "Iterator[subprocess.Popen[str]]":
    """Run the script in its own process group, and kill it at the end."""
    command = [sys.executable, "-c", script, str(argument)]
    with subprocess.Popen(command, cwd=repository, stdout=PIPE, text=True, start_new_session=True) as holder:
        try:
            yield holder
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(holder.pid, signal.SIGKILL)


def traces_told_by(holder: "subprocess.Popen[str]", traces: Any) -> Any:
    assert holder.stdout is not None
    process, port, folder = json.loads(holder.stdout.readline())
    return traces(process, port, Path(folder))


def received(emulator: Emulator, url: str, count: int = 1, within_s: float = 15) -> list[str]:
    bodies: list[str] = []
    deadline_s = time.monotonic() + within_s
    while len(bodies) < count and time.monotonic() < deadline_s:
        messages: list[Any] = (
            emulator.client("sqs").receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages", [])
        )
        bodies += [message["Body"] for message in messages]
    return bodies
