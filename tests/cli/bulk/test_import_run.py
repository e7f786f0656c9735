"""An import that is killed, cut short or resumed: nothing is lost, and nothing is scheduled twice."""

from __future__ import annotations

import errno
import io
import json
import os
import random
import signal
import weakref
from collections import Counter
from concurrent.futures import Future
from pathlib import Path

import pytest

from punctual.cli.bulk.reading.lines import LineReader
from punctual.cli.bulk.reading.rows import NdjsonRows
from punctual.cli.bulk.sending.batches import Batch, Batches
from punctual.cli.bulk.sending.import_run import LEFT_MAX, ImportRun
from punctual.cli.bulk.sending.interrupts import interrupts_put_off
from punctual.cli.bulk.sending.journal import Changed, Disk, Header, Journal, JournalFault
from punctual.cli.bulk.sending.lanes import Job, OneByOne, Threads
from punctual.cli.bulk.sending.rejected import RejectedFile

NOW_MS = 1_893_456_000_000
BATCH = 4


class Killed(BaseException):
    """Stands for SIGKILL: nothing after it runs."""


class World:
    """A stack that knows schedules by token and place, and a disk. Everything may end at any of their operations."""

    def __init__(self, killed_at: int = 10**9) -> None:
        self.left = killed_at
        self.schedules: dict[tuple[str, int], dict] = {}
        self.names: dict[str, str] = {}
        self.invocations: Counter[str] = Counter()
        self.answers: dict[str, str] = {}
        """The error of each line with this data."""

    def step(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Killed

    def send(self, batch: Batch, token: str) -> list[dict]:
        self.step()
        event = json.loads(batch.payload(token))
        results = []
        for place, request in enumerate(event["schedules"]):
            error = self.answers.get(request["data"])
            if error is not None:
                results.append({"error": error, "message": "because"})
                continue
            self.schedules[token, place] = request
            if "name" in request:
                self.names[request["name"]] = request["data"]
            results.append({"id": f"{token}-{place}"})
        self.invocations[token] += 1
        self.step()
        return results


class KillableDisk(Disk):
    """Each operation may be the last one, before or after its effect. A write may be torn."""

    def __init__(self, world: World) -> None:
        self.world = world

    def append(self, file: int, content: bytes) -> None:
        self.world.step()
        middle = len(content) // 2
        os.write(file, content[:middle])
        self.world.step()
        os.write(file, content[middle:])
        self.world.step()

    def sync(self, file: int) -> None:
        self.world.step()
        super().sync(file)
        self.world.step()

    def cut(self, file: int, size: int) -> None:
        self.world.step()
        super().cut(file, size)
        self.world.step()


def content_of(lines: list[dict]) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


class InterruptedDisk(Disk):
    """Ctrl-C comes during one of the operations, before or after its effect."""

    def __init__(self, interrupted_at: int) -> None:
        self.left = interrupted_at

    def step(self) -> None:
        self.left -= 1
        if self.left == -1:
            signal.raise_signal(signal.SIGINT)

    def append(self, file: int, content: bytes) -> None:
        self.step()
        super().append(file, content)
        self.step()


class InterruptedThreads(Threads):
    """Ctrl-C comes when a batch was handed over, or when one has ended."""

    def __init__(self, width: int, disk: InterruptedDisk) -> None:
        super().__init__(width)
        self.disk = disk

    def submit(self, job: Job) -> Future:
        future = super().submit(job)
        self.disk.step()
        return future

    def ended(self, jobs):
        found = super().ended(jobs)
        self.disk.step()
        return found


class LastFirst:
    """Sends the batch that was submitted last, when nothing else can be submitted."""

    def __init__(self, width: int) -> None:
        self.width = width
        self._waiting: list[tuple[Future, Job]] = []

    def submit(self, job: Job) -> Future:
        self._waiting.append((Future(), job))
        return self._waiting[-1][0]

    def ended(self, jobs):
        future, job = self._waiting.pop()
        try:
            future.set_result(job())
        except BaseException as fault:  # noqa: BLE001 - The future has it.
            future.set_exception(fault)
        return [future]


def import_into(world: World, content: bytes, path: Path, disk: Disk | None = None, workers: int = 1, lanes=None):
    """Import once, as the command does."""
    with Journal(path, disk or KillableDisk(world)) as journal:
        reader = LineReader(io.BytesIO(content))
        header = journal.header or Header("arn:stack", {}, NOW_MS, "ndjson")
        batches = Batches(reader, NdjsonRows(reader, header.now_ms), BATCH)
        again = batches.again(journal.ranges, journal.done)
        if journal.header is None:
            journal.start(header)
        rejected = RejectedFile(path.with_suffix(".rejected"), (row.number for each in again for row in each.rows))
        return ImportRun(journal, rejected, world.send, lanes or Threads(workers)).run(again, batches)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "orders.journal"


def lines(count: int) -> list[dict]:
    return [{"timestamp": NOW_MS // 1000 + 90_000, "data": f"line {number}"} for number in range(count)]


def test_every_line_becomes_one_schedule(path):
    """Equal lines stay two schedules, because each has a place of its own under the token."""
    world = World()
    tally = import_into(world, content_of([*lines(10), *lines(10)]), path)
    assert (20, 0, 0) == (tally.accepted, tally.rejected, tally.unconfirmed)
    assert 20 == len(world.schedules)


def test_a_second_run_sends_nothing(path):
    world = World()
    import_into(world, content_of(lines(10)), path)
    assert 0 == import_into(world, content_of(lines(10)), path).lines
    assert {1} == set(world.invocations.values())


def test_a_second_run_sends_lines_that_were_appended(path):
    world = World()
    import_into(world, content_of(lines(10)) + b"\n\n", path)
    tally = import_into(world, content_of(lines(10)) + b"\n\n" + content_of(lines(13)[10:]), path)
    assert 3 == tally.accepted
    assert [f"line {number}" for number in range(13)] == sorted(
        (each["data"] for each in world.schedules.values()), key=lambda data: int(data[5:])
    )


def test_a_kill_at_any_operation_loses_and_doubles_nothing(path, tmp_path):
    """Before and after each write, sync and invocation. Then a second kill, and then a run to the end."""
    content = content_of([*lines(9), {"data": "broken"}])
    content += b"no json\n"
    randomness = random.Random(1)
    for killed_at in range(10**6):
        path = tmp_path / f"{killed_at}.journal"
        world = World(killed_at)
        world.answers["broken"] = "InvalidSchedule"
        try:
            import_into(world, content, path)
            break
        except Killed:
            pass
        world.left = randomness.randrange(30)
        with_second = False
        try:
            import_into(world, content, path)
        except Killed:
            with_second = True
        world.left = 10**9
        import_into(world, content, path)
        assert sorted(f"line {number}" for number in range(9)) == sorted(
            each["data"] for each in world.schedules.values()
        ), (killed_at, with_second)
        rejected = [json.loads(line) for line in path.with_suffix(".rejected").read_text().splitlines()]
        assert [10, 11] == [each["line"] for each in rejected], killed_at
    assert killed_at > 30


def test_a_kill_with_several_batches_under_way_loses_and_doubles_nothing(path, tmp_path):
    """Threads send side by side, so the journal has several batches that were begun."""
    content = content_of(lines(40))
    for killed_at in range(5, 80, 7):
        path = tmp_path / f"{killed_at}.journal"
        world = World(killed_at)
        with pytest.raises(Killed):
            import_into(world, content, path, workers=4)
        world.left = 10**9
        import_into(world, content, path, workers=4)
        assert 40 == len(world.schedules)


def test_an_interruption_at_any_step_leaves_nothing_that_is_sent_twice(tmp_path):
    content = content_of(lines(16))
    for interrupted_at in range(10**6):
        world, path, disk = World(), tmp_path / f"{interrupted_at}.journal", InterruptedDisk(interrupted_at)
        try:
            import_into(world, content, path, disk, lanes=InterruptedThreads(2, disk))
            break
        except KeyboardInterrupt:
            pass
        import_into(world, content, path)
        assert {1} == set(world.invocations.values()), interrupted_at
        assert 16 == len(world.schedules), interrupted_at
    assert interrupted_at > 20


def test_a_second_interruption_ends_a_step_at_once():
    steps = []

    def step() -> None:
        with interrupts_put_off():
            signal.raise_signal(signal.SIGINT)
            steps.append("after the first")
            signal.raise_signal(signal.SIGINT)
            steps.append("after the second")

    with pytest.raises(KeyboardInterrupt):
        step()
    assert ["after the first"] == steps
    assert signal.default_int_handler is signal.getsignal(signal.SIGINT)


@pytest.mark.parametrize("handler", [signal.SIG_IGN, signal.SIG_DFL])
def test_a_handler_that_is_no_function_stays_in_place(handler):
    """`nohup` and shells that start a job in the background ignore Ctrl-C."""
    former = signal.signal(signal.SIGINT, handler)
    try:
        with interrupts_put_off():
            assert handler is signal.getsignal(signal.SIGINT)
        assert handler is signal.getsignal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, former)


def test_a_handler_that_was_not_set_from_python_stays_in_place(monkeypatch):
    """Python shows it as None, and could not bring it back."""
    monkeypatch.setattr(signal, "getsignal", lambda number: None)
    with interrupts_put_off():
        pass
    monkeypatch.undo()
    assert signal.default_int_handler is signal.getsignal(signal.SIGINT)


@pytest.mark.parametrize(
    "edit",
    [
        lambda content: content.replace(b"line 2", b"line X"),
        lambda content: b"\n".join(reversed(content.splitlines())) + b"\n",
        lambda content: content[:200],
        lambda content: b"",
    ],
    ids=["edited", "reordered", "shortened", "emptied"],
)
def test_a_file_that_changed_is_sent_no_further(path, edit):
    world = World(25)
    content = content_of(lines(20))
    with pytest.raises(Killed):
        import_into(world, content, path)
    world.left, sent = 10**9, dict(world.invocations)
    with pytest.raises(Changed):
        import_into(world, edit(content), path)
    assert sent == dict(world.invocations)


def test_a_later_line_of_a_name_wins_also_after_a_kill(tmp_path):
    """While a name is under way, no later batch with that name begins. So no repeat brings an older line back."""
    requests = [{**line, "name": f"order/{number % 9}"} for number, line in enumerate(lines(36))]
    expected = {f"order/{number % 9}": f"line {number}" for number in range(36)[-9:]}
    for killed_at in range(0, 120, 3):
        world, path = World(killed_at), tmp_path / f"{killed_at}.journal"
        for _ in range(2):
            try:
                import_into(world, content_of(requests), path, lanes=LastFirst(3))
            except Killed:
                world.left = 10**9
        assert expected == world.names, killed_at


def test_unconfirmed_lines_are_sent_again_by_the_next_run(path):
    world = World()
    world.answers["line 5"] = "NotConfirmed"
    tally = import_into(world, content_of(lines(12)), path)
    assert (11, 1, "line 6: because") == (tally.accepted, tally.unconfirmed, tally.unconfirmed_because)
    del world.answers["line 5"]
    assert 4 == import_into(world, content_of(lines(12)), path).accepted
    assert 12 == len(world.schedules)


def test_a_rejected_line_is_written_once_when_its_whole_batch_is_confirmed(path):
    """Until then, the next run sends the batch again, and may accept the line."""
    world, rejected = World(), path.with_suffix(".rejected")
    world.answers = {"line 5": "NotConfirmed", "line 6": "InvalidSchedule", "line 9": "InvalidSchedule"}
    tally = import_into(world, content_of(lines(12)), path)
    assert (2, 1) == (tally.rejected, tally.unwritten)
    assert [10] == [json.loads(line)["line"] for line in rejected.read_text().splitlines()]
    del world.answers["line 5"]
    tally = import_into(world, content_of(lines(12)), path)
    assert (1, 0) == (tally.rejected, tally.unwritten)
    assert [10, 7] == [json.loads(line)["line"] for line in rejected.read_text().splitlines()]


def test_a_rejected_line_that_a_killed_run_has_written_does_not_count_as_unwritten(path):
    world, rejected = World(), path.with_suffix(".rejected")
    world.answers = {"line 1": "InvalidSchedule"}
    content = content_of(lines(4))

    class DiskThatEnds(Disk):
        def append(self, file: int, content: bytes) -> None:
            if content.startswith(b"done"):
                raise Killed
            super().append(file, content)

    with pytest.raises(Killed):
        import_into(world, content, path, DiskThatEnds())
    world.answers["line 2"] = "NotConfirmed"
    tally = import_into(world, content, path)
    assert (1, 0, 1) == (tally.rejected, tally.unwritten, tally.unconfirmed)
    assert [2] == [json.loads(line)["line"] for line in rejected.read_text().splitlines()]


def test_no_batch_is_held_in_memory_after_it_was_sent(path):
    """A batch may have five megabytes, and a run after one that was cut short has dozens of them."""
    world = World()
    world.answers = {f"line {number}": "NotConfirmed" for number in (0, 4, 8, 12)}
    import_into(world, content_of(lines(20)), path)
    sent, held = list[weakref.ref[Batch]](), list[int]()

    def send(batch, token):
        held.append(sum(each() is not None for each in sent))
        sent.append(weakref.ref(batch))
        return World.send(world, batch, token)

    world.send = send
    import_into(world, content_of(lines(40)), path, lanes=OneByOne())
    assert [0] * 9 == held


def test_a_line_whose_name_is_not_confirmed_holds_up_later_lines_of_that_name(path):
    world = World()
    world.answers["line 0"] = "NotConfirmed"
    requests = lines(12)
    requests[0]["name"] = requests[9]["name"] = "order/1"
    tally = import_into(world, content_of(requests), path)
    assert not tally.is_complete
    assert {} == world.names
    world.answers.clear()
    import_into(world, content_of(requests), path)
    assert {"order/1": "line 9"} == world.names


def test_an_import_stops_when_many_batches_are_not_confirmed(path):
    """A run after it holds them all in memory."""
    world = World()
    world.answers = {f"line {number}": "NotConfirmed" for number in range(0, 400, BATCH)}
    tally = import_into(world, content_of(lines(400)), path)
    assert not tally.is_complete
    assert LEFT_MAX == len(world.invocations)


def test_a_fault_of_one_invocation_lets_the_others_end(path):
    world = World()

    def send(batch, token):
        if batch.range.number == 2:
            raise ConnectionError("no way")
        return World.send(world, batch, token)

    world.send = send
    with pytest.raises(ConnectionError):
        import_into(world, content_of(lines(16)), path, workers=2)
    del world.send
    import_into(world, content_of(lines(16)), path)
    assert 16 == len(world.schedules)


class FullDisk(KillableDisk):
    def append(self, file: int, content: bytes) -> None:
        if self.world.left < 1_000:
            os.write(file, content[:5])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        super().append(file, content)


@pytest.mark.slow
def test_a_full_disk_stops_the_import_and_loses_nothing(path, tmp_path):
    for room in range(40):
        world, path = World(1_000 + room), tmp_path / f"{room}.journal"
        with pytest.raises(JournalFault, match="No space left on device"):
            import_into(world, content_of(lines(40)), path, FullDisk(world), workers=1 + room % 3)
        world.left = 10**9
        import_into(world, content_of(lines(40)), path)
        assert 40 == len(world.schedules), room


def test_a_delay_counts_from_the_first_run(path):
    """A line means the same time whenever it is sent."""
    world = World(14)
    content = content_of([{"delay": 1.5, "data": f"line {number}"} for number in range(8)])
    with pytest.raises(Killed):
        import_into(world, content, path)
    world.left = 10**9
    import_into(world, content, path)
    assert {NOW_MS / 1000 + 1.5} == {each["timestamp"] for each in world.schedules.values()}
    assert 8 == len(world.schedules)
