"""The feed sends every member of a bundle once, whatever happens to the others."""

import json
import random
import zlib

import pytest

from fakes import NOON_MS, OTHER, OTHER_ARN, Clock, FakeQueues, FakeTable, scheduling_dependencies
from feeds import Feeding
from scheduler.accepting.request import AcceptRules
from scheduler.accepting.scheduling import accept
from scheduler.execution.batch_result import BatchResult
from scheduler.feeding.mover import UNAVAILABLE_IN_TABLE_MS_MAX
from scheduler.feeding.reader import PAGE_BYTES_AIM
from scheduler.model.bundle import Bundle
from scheduler.model.schedule import Request
from scheduler.model.targets import AllowedTargets
from scheduler.placing.keys import KeyGenerator


@pytest.fixture
def feeding_():
    return Feeding()


def put(feeding_, *requests):
    """Store these requests as one bundle in partition 0."""
    ((packed, members),) = KeyGenerator(1, random.Random(len(requests)), 60_000).bundles(
        dict(enumerate(requests)), None
    )
    feeding_.table.put([packed])
    return packed, list(members.values())


def data(*numbers, due_ms=NOON_MS, **fields):
    return [Request(due_ms, f"data {number}", **fields) for number in numbers]


def test_each_member_is_sent_at_its_own_time_and_the_bundle_is_deleted(feeding_):
    """Each member has its own delay. The key holds only the latest time."""
    put(feeding_, *data(1, due_ms=NOON_MS + 100_000), *data(2, due_ms=NOON_MS + 130_000))
    counts = feeding_.feed()
    assert {("data 1", 100), ("data 2", 130)} == {(data, delay_s) for _, data, delay_s in feeding_.queues.sent}
    assert (2, 1, {}) == (counts.sent, counts.deleted, feeding_.table.items)


def test_only_the_unconfirmed_members_of_a_bundle_are_written_back(feeding_):
    """No confirmed member is sent again, and an unconfirmed member keeps its id.

    A feed with such progress continues at once. Lambda makes at most three attempts, minutes apart, which would delay
    the rest of a large bundle.
    """
    packed, members = put(feeding_, *data(1, 2, 3))
    feeding_.queues.failing = {"data 2": 1000}
    feeding_.feed()
    assert [members[1]] == feeding_.table.items[packed.key].members()

    feeding_.queues.failing = {}
    feeding_.feed(json.loads(feeding_.invoked.pop()))
    assert ["data 1", "data 2", "data 3"] == sorted(feeding_.queues.data)
    assert {} == feeding_.table.items


def test_a_changed_bundle_is_not_overwritten(feeding_):
    """Another feed sent the rest meanwhile, or a caller deleted a member. Their version stays."""
    packed, _ = put(feeding_, *data(1, 2))
    feeding_.queues.failing = {"data 2": 1000}
    write_back = feeding_.table.write_back

    def too_late(read, kept):
        del feeding_.table.items[packed.key]
        return write_back(read, kept)

    feeding_.table.write_back = too_late
    feeding_.feed()
    assert {} == feeding_.table.items


def test_one_bad_member_is_quarantined_without_its_neighbours(feeding_):
    """It becomes a schedule of its own, with its id and its time."""
    _, members = put(feeding_, *data(1, 2, 3))
    feeding_.queues.refused = {"data 2"}
    counts = feeding_.feed()
    assert [members[1]] == [quarantined.content for quarantined in feeding_.table.quarantined]
    assert (["data 1", "data 3"], {}, 1) == (feeding_.queues.data, feeding_.table.items, counts.quarantined)


def test_an_expired_member_is_reported_and_the_others_are_sent(feeding_):
    """Each member has its own expires_after."""
    put(feeding_, *data(1, due_ms=NOON_MS - 9_000, expires_after_ms=5_000), *data(2, due_ms=NOON_MS - 9_000))
    feeding_.feed()
    (report,) = [json.loads(report.body()) for report in feeding_.queues.reports]
    assert ("expired", "data 1", ["data 2"]) == (report["reason"], report["schedule"]["data"], feeding_.queues.data)
    assert {} == feeding_.table.items


def test_a_bundle_for_a_closed_queue_waits_and_is_quarantined_after_a_day(feeding_):
    """Single schedules do the same."""
    packed, members = put(feeding_, *data(1, 2, target=OTHER_ARN, due_ms=NOON_MS - UNAVAILABLE_IN_TABLE_MS_MAX))
    feeding_.queues.closed = {OTHER}
    assert 2 == feeding_.feed().closed
    assert [packed] == list(feeding_.table.items.values())

    feeding_.clock.now_ms += 1
    assert 2 == feeding_.feed().quarantined
    assert (members, {}) == ([quarantined.content for quarantined in feeding_.table.quarantined], feeding_.table.items)


def test_an_unreadable_bundle_is_quarantined_as_a_whole(feeding_):
    """The feed continues."""
    packed, _ = put(feeding_, *data(1, 2))
    feeding_.table.items[packed.key] = Bundle(packed.key, b"junk", 2)
    put(feeding_, *data(3, 4, 5))
    feeding_.feed()
    assert ([b"junk"], ["data 3", "data 4", "data 5"]) == (
        [quarantined.content.packed for quarantined in feeding_.table.quarantined],
        feeding_.queues.data,
    )


def with_broken(feeding_, *texts):
    """Store a bundle of three good members and these broken ones."""
    packed, members = put(feeding_, *data(1, 2, 3))
    feeding_.table.put([packed.holding(members, texts)])
    return packed.key, members


def test_an_unreadable_member_is_quarantined_by_itself(feeding_):
    """It keeps its text and a reason. The others are sent, and the bundle is deleted."""
    key, _ = with_broken(feeding_, '[3,5,"x",7]', '"junk"', '[4,5,"x",null,null,"soon"]', '"junk"')
    counts = feeding_.feed()
    assert (["data 1", "data 2", "data 3"], {}) == (feeding_.queues.data, feeding_.table.items)
    assert (3, 3, 1) == (counts.sent, counts.quarantined, counts.deleted)
    assert ['[3,5,"x",7]', '"junk"', '[4,5,"x",null,null,"soon"]'] == [
        quarantined.content["text"]["S"] for quarantined in feeding_.table.quarantined
    ]
    assert 3 == len({quarantined.key for quarantined in feeding_.table.quarantined} - {key})


def test_a_bundle_with_too_many_members_is_quarantined_as_a_whole(feeding_):
    """Handling tens of thousands of members one by one would outlast the feed."""
    packed, _ = put(feeding_, *data(1, 2))
    members = ",".join(f"[{number}]" for number in range(30_000))
    foreign = Bundle(packed.key, zlib.compress(f'[[0,{NOON_MS},"data 1"],{members}]'.encode()), 1)
    feeding_.table.items[packed.key] = foreign
    counts = feeding_.feed()
    assert (1, {}) == (counts.quarantined, feeding_.table.items)
    assert [foreign] == [quarantined.content for quarantined in feeding_.table.quarantined]
    assert "30001 members" in feeding_.table.quarantined[0].reason


def test_an_unreadable_member_stays_if_it_cannot_be_quarantined(feeding_):
    """Nothing is lost or sent twice. The next feed quarantines the member."""
    key, _ = with_broken(feeding_, '"junk"')
    quarantine, feeding_.table.quarantine = (
        feeding_.table.quarantine,
        lambda things: BatchResult(unconfirmed=list(things)),
    )
    feeding_.feed()
    assert ({key}, 1) == (set(feeding_.table.items), feeding_.table.items[key].count)

    feeding_.table.quarantine = quarantine
    feeding_.feed(json.loads(feeding_.invoked.pop()))
    assert (["data 1", "data 2", "data 3"], {}) == (feeding_.queues.data, feeding_.table.items)
    assert [key] == [quarantined.key for quarantined in feeding_.table.quarantined]


def test_the_unreadable_members_leave_a_bundle_whose_queue_is_down(feeding_):
    """The feed writes back the unsent members only."""
    key, members = with_broken(feeding_, '"junk"')
    feeding_.queues.failing = dict.fromkeys(["data 1", "data 2", "data 3"], 1000)
    feeding_.feed()
    assert members == feeding_.table.items[key].members()
    assert 1 == len(feeding_.table.quarantined)


def test_bundles_of_a_million_equal_characters_are_unpacked_one_at_a_time(feeding_):
    """A page keeps its bundles packed."""
    requests = [Request(NOON_MS, "x" * 130_000)] * 40
    for packed, _ in KeyGenerator(1, random.Random(1), 60_000).bundles(dict(enumerate(requests)), None):
        feeding_.table.put([packed])
    assert sum(len(each.packed) for each in feeding_.table.items.values()) < 20_000
    assert 40 == feeding_.feed().sent


def test_a_batch_is_packed_fed_and_sent_under_the_ids_of_its_answer():
    """The whole way, with two due times."""
    clock, table, queues = Clock(), FakeTable(), FakeQueues()
    taking = scheduling_dependencies(
        table, queues, AcceptRules(AllowedTargets(frozenset({OTHER_ARN}), "eu-central-1")), partition_count=1
    )
    batch = [{"timestamp": NOON_MS / 1000 + 1000 + number % 2, "data": f"data {number}"} for number in range(100)]
    answer = accept(batch, taking, clock.deadline())
    assert {"stored"} == {result["state"] for result in answer["results"]}

    feeding_ = Feeding()
    feeding_.table, feeding_.clock = table, Clock(NOON_MS + 400_000)
    ids = []
    send = feeding_.queues.send
    feeding_.queues.send = lambda url, schedules, now_ms: (
        ids.extend(s.id for s in schedules) or send(url, schedules, now_ms)
    )
    feeding_.feed()
    assert sorted(result["id"] for result in answer["results"]) == sorted(ids)
    assert sorted(member["data"] for member in batch) == feeding_.queues.data


def test_a_repeated_batch_keeps_its_ids_after_part_of_it_has_come_near():
    """With its token, stored members overwrite themselves, and near members are sent under their old ids."""
    clock, table, queues = Clock(), FakeTable(), FakeQueues()
    taking = scheduling_dependencies(table, queues, partition_count=4)
    dues_s = [NOON_MS / 1000 + seconds for seconds in (5, 6, 950, 951, 5000, 5001)]
    batch = {"schedules": [{"timestamp": due_s, "data": str(due_s)} for due_s in dues_s], "token": "t"}
    first = accept(batch, taking, clock.deadline())
    stored = dict(table.items)
    clock.now_ms += 100_000
    second = accept(batch, taking, clock.deadline())
    assert [result["id"] for result in first["results"]] == [result["id"] for result in second["results"]]
    assert ["queued"] * 2 + ["stored"] * 4 == [result["state"] for result in first["results"]]
    assert ["queued"] * 4 + ["stored"] * 2 == [result["state"] for result in second["results"]]
    assert stored == table.items


def test_every_member_of_an_unconfirmed_bundle_is_reported_as_unconfirmed():
    """The members share one item, so all of them are stored or none."""
    table, queues = FakeTable(), FakeQueues()
    taking = scheduling_dependencies(table, queues)
    table.undone = lambda key: True
    answer = accept([{"delay": 5000, "data": "x"}] * 3, taking, Clock().deadline())
    assert ["NotConfirmed"] * 3 == [result["error"] for result in answer["results"]]


def test_schedules_with_their_own_token_and_single_ones_stay_plain():
    """A repeat must find the stored schedule."""
    table = FakeTable()
    taking = scheduling_dependencies(table, FakeQueues())
    accept(
        [{"timestamp": NOON_MS / 1000 + 5000, "data": "x", "token": str(n)} for n in range(3)],
        taking,
        Clock().deadline(),
    )
    accept({"delay": 5000, "data": "x"}, taking, Clock().deadline())
    assert [None] * 4 == [each.index for each in table.items.values()]


def test_bundle_groups_are_of_similar_size(feeding_):
    """An odd bundle would be sent first, and its delete says little about the others."""
    for number in range(17):
        put(feeding_, *data(number, 100 + number, due_ms=NOON_MS + number))
    deleted = []
    delete = feeding_.table.delete
    feeding_.table.delete = lambda keys: deleted.append(len(keys)) or delete(keys)
    feeding_.feed()
    assert [5, 6, 6] == deleted


def test_a_page_of_full_bundles_fits_the_memory(feeding_):
    """A thousand full bundles would be four megabytes, and DynamoDB ends a page at one."""
    chance = random.Random(1)
    requests = dict(enumerate(Request(NOON_MS, chance.randbytes(50).hex()) for _ in range(15_000)))
    feeding_.table.add(*[bundle for bundle, _ in KeyGenerator(1, chance, 60_000).bundles(requests, None)])
    feeding_.feed(seconds=10**6)
    full = [page for _, page in feeding_.table.pages if page.next_sort is not None]
    assert len(full) > 3
    assert all(0.5 * PAGE_BYTES_AIM < page.size_bytes <= PAGE_BYTES_AIM for page in full)
    assert ({}, 15_000) == (feeding_.table.items, len(feeding_.queues.sent))
