"""A batch of many names is written in slices, every record gets its timer, and a repeat continues."""

import functools
import json
from dataclasses import dataclass, field, replace

import pytest

from fakes import NOON_MS, Clock, FakeQueues, FakeRecords, FakeTable, scheduling_dependencies
from scheduler.accepting import scheduling
from scheduler.accepting.from_queue import receiving
from scheduler.accepting.from_queue.receiving import InputQueueDependencies
from scheduler.accepting.named_batch import SLICE_INDEXES
from scheduler.accepting.scheduling import accept
from scheduler.errors import NotConfirmed
from scheduler.execution.worker_pool import SerialPool
from scheduler.model.schedule import Timer

DIRECT_S = 24
"""A direct call has so many of the 30 s of the schedule function."""
NEAR_S, FAR_S = 60, 86_400


class Crash(BaseException):
    """The function crashes here."""


class Records(FakeRecords):
    """Records whose writes take `write_ms`. After `writes_max` more writes the function crashes."""

    def __init__(self, clock, write_ms):
        super().__init__()
        self.clock, self.write_ms, self.read_ms, self.writes_max = clock, write_ms, write_ms, None
        self.writes = self.reads = 0

    def put(self, new, even_if_pending=True):
        if self.writes_max is not None:
            if not self.writes_max:
                raise Crash
            self.writes_max -= 1
        self.clock.now_ms += self.write_ms
        self.writes += 1
        return super().put(new, even_if_pending)

    def batch(self, names, whole):
        self.clock.now_ms += self.read_ms
        self.reads += 1
        return super().batch(names, whole)


class Queues(FakeQueues):
    """Queues that remember the names with a timer, and the delay of each timer."""

    def __init__(self):
        super().__init__()
        self.timers = []

    def send(self, queue_url, schedules, now_ms):
        outcome = super().send(queue_url, schedules, now_ms)
        self.timers += [(each.name, each.delay_s(now_ms)) for each in outcome.confirmed if each.name]
        return outcome


@dataclass
class Town:
    """A stack with one batch for it."""

    count: int = 0
    ahead_s: int = FAR_S
    clock: Clock = field(default_factory=Clock)
    table: FakeTable = field(default_factory=FakeTable)
    queues: Queues = field(default_factory=Queues)

    write_ms: int = 15

    def __post_init__(self):
        self.records = Records(self.clock, self.write_ms)
        self.scheduling_dependencies = replace(
            scheduling_dependencies(self.table, self.queues), records=lambda: self.records
        )
        self.members = [
            {"timestamp": NOON_MS / 1000 + self.ahead_s, "data": "x", "name": f"name/{number}"}
            for number in range(self.count)
        ]

    def send(self, seconds=DIRECT_S):
        answer = accept(
            {"schedules": self.members, "token": "t"}, self.scheduling_dependencies, self.clock.deadline(seconds)
        )
        self.clock.now_ms += 1_000
        return answer

    def crash_after(self, writes):
        self.records.writes_max = writes
        with pytest.raises(Crash):
            self.send()
        self.records.writes_max = None

    @property
    def names_with_timers(self):
        far = {each.name for each in self.table.items.values() if isinstance(each, Timer)}
        return far | {name for name, _ in self.queues.timers}

    def everything_has_its_timer(self):
        return set(self.records.current) == self.names_with_timers


@pytest.mark.slow
def test_ten_thousand_names_are_accepted_in_two_calls():
    """A write takes 3 ms, and the template sets the timeout. The caller repeats what the first call did not reach."""
    town = Town(10_000, NEAR_S, write_ms=3)
    first = town.send()
    assert town.everything_has_its_timer()
    assert first["accepted"] == len(town.records.current)
    assert {"NotConfirmed"} == {each["error"] for each in first["results"] if "error" in each}
    assert 10_000 == town.send()["accepted"]
    assert 10_000 == len(town.names_with_timers)


def test_a_repeat_writes_only_missing_records():
    """It reads a hundred existing records per call. The first record shows that the batch is a repeat."""
    town = Town(2_000)
    done = town.send()["accepted"]
    before = town.records.writes
    assert 2_000 == town.send()["accepted"]
    assert town.records.writes - before == 2_000 - done + 1
    assert town.records.reads <= 2_000 / 100


def test_a_first_call_reads_nothing():
    """Only repeats read."""
    town = Town(1_000)
    assert 1_000 == town.send()["accepted"]
    assert (1_000, 0) == (town.records.writes, town.records.reads)


def test_a_repeat_sets_second_timers_for_the_last_slice_only():
    """A second timer comes 20 s late and wakes the deliver function in vain."""
    town = Town(2_000, NEAR_S)
    done = town.send()["accepted"]
    assert done == len(town.queues.timers)
    town.send()
    assert len(town.queues.timers) <= 2_000 + SLICE_INDEXES


@pytest.mark.parametrize("ahead_s", [NEAR_S, FAR_S])
@pytest.mark.parametrize("writes", [1, SLICE_INDEXES - 1, SLICE_INDEXES, SLICE_INDEXES + 1, 2 * SLICE_INDEXES + 50])
def test_a_crash_between_records_loses_no_timer(ahead_s, writes):
    """The repeat sets the timers of the interrupted slice and of all later ones."""
    town = Town(3 * SLICE_INDEXES, ahead_s)
    town.crash_after(writes)
    assert 3 * SLICE_INDEXES == town.send()["accepted"]
    assert town.everything_has_its_timer()


@pytest.mark.parametrize("ahead_s", [NEAR_S, FAR_S])
def test_a_crash_of_the_repeat_loses_no_timer(ahead_s):
    """The state that earlier calls left does not matter."""
    for writes in range(1, 2 * SLICE_INDEXES - 10, 90):
        town = Town(3 * SLICE_INDEXES, ahead_s)
        town.crash_after(SLICE_INDEXES + 10)
        town.crash_after(writes)
        town.send()
        assert town.everything_has_its_timer()


def test_records_of_the_previous_version_get_their_timers():
    """That version wrote all records first, so a record of a later slice proves no earlier timer."""
    town = Town(3 * SLICE_INDEXES, NEAR_S)
    town.send()
    for name, record in town.records.current.items():
        town.records.current[name] = replace(record, timed=0)
    town.queues.timers.clear()
    assert 3 * SLICE_INDEXES == town.send()["accepted"]
    assert town.everything_has_its_timer()


def test_a_name_that_was_written_again_gets_its_timer():
    """Another caller replaced it. The repeat replaced it in turn and crashed before its timer."""
    town = Town(3 * SLICE_INDEXES)
    town.send()
    other = accept({**town.members[0], "data": "other"}, town.scheduling_dependencies, town.clock.deadline(DIRECT_S))
    assert "replaced" == other["result"]
    town.crash_after(1)
    town.table.items = {key: each for key, each in town.table.items.items() if each.name != "name/0"}
    town.send()
    assert "name/0" in town.names_with_timers


def test_no_slice_begins_before_the_timers_of_the_last_one():
    """While the delivery queue is down, only the records of one slice are written."""
    town = Town(1_000, NEAR_S)
    town.queues.down = True
    assert 0 == town.send()["accepted"]
    assert SLICE_INDEXES == len(town.records.current)
    town.queues.down = False
    assert 1_000 == town.send()["accepted"]


def test_time_is_reserved_for_the_timers_of_a_slice():
    """A slice may take longer than the call has. Every record that it wrote still gets its timer."""
    town = Town(150, write_ms=300)
    answer = town.send()
    assert 0 < answer["accepted"] < 150
    assert town.everything_has_its_timer()
    town.send()
    assert 150 == town.send()["accepted"]


def test_a_repeat_begins_the_next_slice_even_after_slow_reads():
    """With slow reads, every call has less time left than the first slice took."""
    town = Town(2 * SLICE_INDEXES, write_ms=60)
    assert SLICE_INDEXES == town.send()["accepted"]
    town.records.read_ms = 5_000
    assert SLICE_INDEXES < town.send()["accepted"]
    assert town.everything_has_its_timer()


def test_all_members_with_one_name_are_in_one_slice():
    """The last of them stays and has the timer, however far apart they are."""
    town = Town(3 * SLICE_INDEXES)
    town.members[-1] = {**town.members[0], "data": "last"}
    answer = town.send()
    assert "last" == town.records.current["name/0"].schedule.data
    assert ["created", "replaced"] == [answer["results"][index]["result"] for index in (0, -1)]
    again = town.send()
    assert len(town.members) == again["accepted"]
    assert "last" == town.records.current["name/0"].schedule.data
    assert town.everything_has_its_timer()


def test_schedules_without_a_name_are_accepted_next_to_many_names():
    """They go first, so that the names do not take all the time."""
    town = Town(2_000)
    town.members.append({"timestamp": NOON_MS / 1000 + NEAR_S, "data": "unnamed"})
    assert "id" in town.send()["results"][-1]
    assert "unnamed" in town.queues.data


def test_many_names_are_accepted_in_two_receives_of_the_input_queue():
    """The function puts back what the first receive did not reach, and does not report it."""
    town, back = Town(1_500), []

    def requeue(part, pause_s):
        back.append(part)
        return True

    dependencies = InputQueueDependencies(
        accept=functools.partial(scheduling.accept_message, dependencies=town.scheduling_dependencies),
        requeue=requeue,
        report=town.queues.report,
        notify=lambda target, refusal: None,
        allows=lambda target: True,
        pool=SerialPool(),
    )
    facts = {"SentTimestamp": str(NOON_MS), "ApproximateReceiveCount": "1"}
    record = {"messageId": "m", "body": json.dumps(town.members), "attributes": facts}
    assert {"batchItemFailures": []} == receiving.receive([record], town.clock.deadline(DIRECT_S), dependencies)
    assert town.everything_has_its_timer()
    (part,) = back
    attributes = {"punctual-again": {"stringValue": part.again, "dataType": "String"}}
    record = {**record, "messageId": "n", "body": part.body, "messageAttributes": attributes}
    assert {"batchItemFailures": []} == receiving.receive([record], town.clock.deadline(DIRECT_S), dependencies)
    assert (1, 0) == (len(back), len(town.queues.reports))
    assert 1_500 == len(town.names_with_timers)


def test_a_failed_read_loses_no_timer():
    """The state of the next slice is then unknown, so the repeat writes every record and timer again."""
    town = Town(3 * SLICE_INDEXES, NEAR_S)
    town.send()
    town.queues.timers.clear()

    def fail(names, whole):
        raise NotConfirmed("throttled")

    town.records.batch = fail
    assert 3 * SLICE_INDEXES == town.send()["accepted"]
    assert town.everything_has_its_timer()
