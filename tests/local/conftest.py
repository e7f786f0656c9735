"""A small template on a local AWS, and checks of what it leaves on this machine."""

import dataclasses
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from punctual.local.deployment import Stack, deploy
from punctual.local.emulation.emulator import Emulator
from punctual.local.emulation.isolation import HOST

REPOSITORY = Path(__file__).parents[2]
EXAMPLE_PATH = Path(__file__).parent / "example" / "template.yml"
LISTENING = "0A"  # The state of a socket, as the kernel writes it.
GONE_S_MAX = 120.0
POLL_S = 0.05


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    with Emulator(auth=True) as emulator:
        yield emulator


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


@pytest.fixture(scope="session")
def example_path() -> Path:
    """A minimal template that shows what the local stack does."""
    return EXAMPLE_PATH


@pytest.fixture(scope="session")
def example(emulator: Emulator) -> Stack:
    return deploy(emulator, EXAMPLE_PATH)


@pytest.fixture(scope="session")
def real_stack() -> Iterator[Stack]:
    """The real template. A test that needs another reach sets it."""
    with Emulator(auth=True) as emulator:
        yield deploy(emulator, REPOSITORY / "template.yml")


@dataclasses.dataclass(frozen=True)
class Traces:
    """The traces of one local AWS on this machine."""

    process: int
    port: int
    folder: Path

    @classmethod
    def of(cls, emulator: Emulator) -> "Traces":
        return cls(emulator.process, emulator.port, emulator.folder)

    def processes(self) -> list[int]:
        """Return the living processes of ministack and of the functions that it runs."""
        return group(self.process)

    def listeners(self) -> set[tuple[str, int]]:
        """Return the addresses on which these processes listen."""
        sockets = {link for pid in self.processes() for link in open_files(pid)}
        return {address for address, inode in listening_sockets() if f"socket:[{inode}]" in sockets}

    def left(self) -> list[str]:
        """Return everything that is left of it."""
        left = [f"process {pid}" for pid in self.processes()]
        if is_listening(self.port):
            left.append(f"port {self.port}")
        if self.folder.exists():
            left.append(f"folder {self.folder}")
        return left

    def left_at_last(self) -> list[str]:
        """Return what is left of it after some time to end."""
        deadline_s = time.monotonic() + GONE_S_MAX
        while self.left() and time.monotonic() < deadline_s:
            time.sleep(POLL_S)
        return self.left()


@pytest.fixture(scope="session")
def traces() -> type[Traces]:
    return Traces


@pytest.fixture
def private_temporary_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder of this test's own, so that it sees no local AWS of another test."""
    folder = tmp_path_factory.mktemp("temporary")
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


def group(leader: int) -> list[int]:
    """Return the living processes of a process group."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, group_id, *_ = entry.read_text().rpartition(")")[2].split()
        except OSError:  # The process ended during the read.
            continue
        if int(group_id) == leader and state != "Z":
            found.append(int(entry.parent.name))
    return found


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def open_files(pid: int) -> set[str]:
    try:
        return {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()}
    except OSError:  # The process ended during the read.
        return set()


def listening_sockets() -> list[tuple[tuple[str, int], str]]:
    """Return address and inode of every listening socket on this machine, in IPv4 and IPv6."""
    found = []
    for family, table in ((socket.AF_INET, "tcp"), (socket.AF_INET6, "tcp6")):
        for line in Path("/proc/net", table).read_text().splitlines()[1:]:
            _, local, _, state, *rest = line.split()
            host, port = local.split(":")
            if state == LISTENING:
                found.append(((readable(family, host), int(port, 16)), rest[5]))
    return found


def readable(family: int, host: str) -> str:
    """Return a readable address. The kernel writes words of four bytes in this machine's byte order."""
    words = [int(host[start : start + 8], 16) for start in range(0, len(host), 8)]
    return socket.inet_ntop(family, b"".join(word.to_bytes(4, sys.byteorder) for word in words))
