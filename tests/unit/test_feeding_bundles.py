"""The feed and bundles: every member comes out once, whatever becomes of its fellows."""

import json
import random
import zlib

import pytest

from fakes import NOON_MS, OTHER, OTHER_ARN, Clock, FakeQueues, FakeTable, desk
from scheduler.accepting.request import AcceptRules
from scheduler.accepting.scheduling import accept
from scheduler.execution.batch_result import BatchResult
from scheduler.feeding.mover import CLOSED_MS_MAX
from scheduler.feeding.reader import PAGE_BYTES_AIM
from scheduler.model.bundle import Bundle
from scheduler.model.schedule import Request
from scheduler.model.targets import AllowedTargets
from scheduler.placing.keys import KeyGenerator
from test_feeding import Feeding


@pytest.fixture
def feeding_():
    return Feeding()


def put(feeding_, *requests):
    """One bundle of these in partition 0."""
    ((packed, members),) = KeyGenerator(1, random.Random(len(requests)), 60_000).bundles(
        dict(enumerate(requests)), None
    )
    feeding_.table.put([packed])
    return packed, list(members.values())


def data(*numbers, due_ms=NOON_MS, **fields):
    return [Request(due_ms, f"data {number}", **fields) for number in numbers]


def test_all_members_go_out_at_their_own_moments_and_the_bundle_goes(feeding_):
    """The delay is each one's own; the key told only the latest."""
    put(feeding_, *data(1, due_ms=NOON_MS + 100_000), *data(2, due_ms=NOON_MS + 130_000))
    counts = feeding_.feed()
    assert {("data 1", 100), ("data 2", 130)} == {(data, delay_s) for _, data, delay_s in feeding_.queues.sent}
    assert (2, 1, {}) == (counts.sent, counts.deleted, feeding_.table.items)


def test_of_a_partly_confirmed_bundle_only_what_is_left_is_written_back(feeding_):
    """No confirmed member is sent again, and the one that was not keeps its id. A feed that got so far goes on at once:
    Lambda's retries, minutes apart and three at most, would make the rest of a large bundle late."""
    packed, members = put(feeding_, *data(1, 2, 3))
    feeding_.queues.failing = {"data 2": 1000}
    feeding_.feed()
    assert [members[1]] == feeding_.table.items[packed.key].members()

    feeding_.queues.failing = {}
    feeding_.feed(json.loads(feeding_.invoked.pop()))
    assert ["data 1", "data 2", "data 3"] == sorted(feeding_.queues.data)
    assert {} == feeding_.table.items


def test_a_bundle_that_is_not_as_it_was_read_is_not_written_back(feeding_):
    """Another feed has sent the rest meanwhile, or somebody has taken a member out: theirs stands."""
    packed, _ = put(feeding_, *data(1, 2))
    feeding_.queues.failing = {"data 2": 1000}
    write_back = feeding_.table.write_back

    def too_late(read, kept):
        del feeding_.table.items[packed.key]
        return write_back(read, kept)

    feeding_.table.write_back = too_late
    feeding_.feed()
    assert {} == feeding_.table.items


def test_one_bad_member_is_put_aside_without_its_neighbours(feeding_):
    """As a schedule of its own, with its id and its moment."""
    _, members = put(feeding_, *data(1, 2, 3))
    feeding_.queues.refused = {"data 2"}
    counts = feeding_.feed()
    assert [members[1]] == [aside.content for aside in feeding_.table.aside]
    assert (["data 1", "data 3"], {}, 1) == (feeding_.queues.data, feeding_.table.items, counts.quarantined)


def test_an_expired_member_is_reported_and_the_others_go_out(feeding_):
    """Each by its own expires_after."""
    put(feeding_, *data(1, due_ms=NOON_MS - 9_000, expires_after_ms=5_000), *data(2, due_ms=NOON_MS - 9_000))
    feeding_.feed()
    (report,) = [json.loads(report.body()) for report in feeding_.queues.reports]
    assert ("expired", "data 1", ["data 2"]) == (report["reason"], report["schedule"]["data"], feeding_.queues.data)
    assert {} == feeding_.table.items


def test_a_bundle_for_a_closed_queue_waits_whole_and_is_put_aside_after_a_day(feeding_):
    """As each of its members would."""
    packed, members = put(feeding_, *data(1, 2, target=OTHER_ARN, due_ms=NOON_MS - CLOSED_MS_MAX))
    feeding_.queues.closed = {OTHER}
    assert 2 == feeding_.feed().closed
    assert [packed] == list(feeding_.table.items.values())

    feeding_.clock.now_ms += 1
    assert 2 == feeding_.feed().quarantined
    assert (members, {}) == ([aside.content for aside in feeding_.table.aside], feeding_.table.items)


def test_what_is_no_bundle_is_put_aside_whole(feeding_):
    """And the feed goes on."""
    packed, _ = put(feeding_, *data(1, 2))
    feeding_.table.items[packed.key] = Bundle(packed.key, b"junk", 2)
    put(feeding_, *data(3, 4, 5))
    feeding_.feed()
    assert ([b"junk"], ["data 3", "data 4", "data 5"]) == (
        [aside.content.packed for aside in feeding_.table.aside],
        feeding_.queues.data,
    )


def with_broken(feeding_, *texts):
    """A bundle of three good members and these."""
    packed, members = put(feeding_, *data(1, 2, 3))
    feeding_.table.put([packed.holding(members, texts)])
    return packed.key, members


def test_a_member_that_is_none_is_put_aside_by_itself(feeding_):
    """As it lay there, with its reason; the others go out, and the bundle goes."""
    key, _ = with_broken(feeding_, '[3,5,"x",7]', '"junk"', '[4,5,"x",null,null,"soon"]', '"junk"')
    counts = feeding_.feed()
    assert (["data 1", "data 2", "data 3"], {}) == (feeding_.queues.data, feeding_.table.items)
    assert (3, 3, 1) == (counts.sent, counts.quarantined, counts.deleted)
    assert ['[3,5,"x",7]', '"junk"', '[4,5,"x",null,null,"soon"]'] == [
        aside.content["text"]["S"] for aside in feeding_.table.aside
    ]
    assert 3 == len({aside.key for aside in feeding_.table.aside} - {key})


def test_a_bundle_of_more_members_than_one_can_have_is_put_aside_whole(feeding_):
    """Not member by member: ten thousands of them would take longer than a feed has."""
    packed, _ = put(feeding_, *data(1, 2))
    members = ",".join(f"[{number}]" for number in range(30_000))
    foreign = Bundle(packed.key, zlib.compress(f'[[0,{NOON_MS},"data 1"],{members}]'.encode()), 1)
    feeding_.table.items[packed.key] = foreign
    counts = feeding_.feed()
    assert (1, {}) == (counts.quarantined, feeding_.table.items)
    assert [foreign] == [aside.content for aside in feeding_.table.aside]
    assert "30001 members" in feeding_.table.aside[0].reason


def test_a_member_that_is_none_stays_where_it_cannot_be_put_aside(feeding_):
    """Nothing is lost, and nobody is sent twice: what stays is put aside the next time."""
    key, _ = with_broken(feeding_, '"junk"')
    put_aside, feeding_.table.put_aside = feeding_.table.put_aside, lambda things: BatchResult(unconfirmed=list(things))
    feeding_.feed()
    assert ({key}, 1) == (set(feeding_.table.items), feeding_.table.items[key].count)

    feeding_.table.put_aside = put_aside
    feeding_.feed(json.loads(feeding_.invoked.pop()))
    assert (["data 1", "data 2", "data 3"], {}) == (feeding_.queues.data, feeding_.table.items)
    assert [key] == [aside.key for aside in feeding_.table.aside]


def test_a_member_that_is_none_stays_with_those_that_are_not_sent(feeding_):
    """Where the queue takes nothing the bundle lightens by what is put aside."""
    key, members = with_broken(feeding_, '"junk"')
    feeding_.queues.failing = dict.fromkeys(["data 1", "data 2", "data 3"], 1000)
    feeding_.feed()
    assert members == feeding_.table.items[key].members()
    assert 1 == len(feeding_.table.aside)


def test_a_million_bytes_of_one_letter_are_unpacked_one_bundle_at_a_time(feeding_):
    """A page of bundles is held packed."""
    requests = [Request(NOON_MS, "x" * 130_000)] * 40
    for packed, _ in KeyGenerator(1, random.Random(1), 60_000).bundles(dict(enumerate(requests)), None):
        feeding_.table.put([packed])
    assert sum(len(each.packed) for each in feeding_.table.items.values()) < 20_000
    assert 40 == feeding_.feed().sent


def test_a_batch_is_packed_stored_fed_and_comes_out_under_the_ids_of_its_answer():
    """The whole way, with two moments in it."""
    clock, table, queues = Clock(), FakeTable(), FakeQueues()
    taking = desk(table, queues, AcceptRules(AllowedTargets(frozenset({OTHER_ARN}), "eu-central-1")), partition_count=1)
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


def test_a_batch_sent_again_when_part_of_it_has_come_near_keeps_its_ids():
    """Under its token: stored ones overwrite themselves, near ones go out under the ids that they had."""
    clock, table, queues = Clock(), FakeTable(), FakeQueues()
    taking = desk(table, queues, partition_count=4)
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


def test_a_bundle_that_is_not_confirmed_is_not_accepted_and_each_member_is_told_so():
    """Its members are in one item: they came through together or not at all."""
    table, queues = FakeTable(), FakeQueues()
    taking = desk(table, queues)
    table.undone = lambda key: True
    answer = accept([{"delay": 5000, "data": "x"}] * 3, taking, Clock().deadline())
    assert ["NotConfirmed"] * 3 == [result["error"] for result in answer["results"]]


def test_schedules_with_a_token_of_their_own_and_single_ones_stay_plain():
    """A repeat of one must find itself."""
    table = FakeTable()
    taking = desk(table, FakeQueues())
    accept(
        [{"timestamp": NOON_MS / 1000 + 5000, "data": "x", "token": str(n)} for n in range(3)],
        taking,
        Clock().deadline(),
    )
    accept({"delay": 5000, "data": "x"}, taking, Clock().deadline())
    assert [None] * 4 == [each.index for each in table.items.values()]


def test_bales_are_of_one_size_or_nearly(feeding_):
    """An odd bundle would be sent before all others; what its delete meets says little of what they will."""
    for number in range(17):
        put(feeding_, *data(number, 100 + number, due_ms=NOON_MS + number))
    deleted = []
    delete = feeding_.table.delete
    feeding_.table.delete = lambda keys: deleted.append(len(keys)) or delete(keys)
    feeding_.feed()
    assert [5, 6, 6] == deleted


def test_a_page_of_full_bundles_has_no_more_than_memory_is_meant_for(feeding_):
    """A thousand of them would be four megabytes, and DynamoDB ends a page at one."""
    chance = random.Random(1)
    requests = dict(enumerate(Request(NOON_MS, chance.randbytes(50).hex()) for _ in range(15_000)))
    feeding_.table.put([bundle for bundle, _ in KeyGenerator(1, chance, 60_000).bundles(requests, None)])
    feeding_.feed(seconds=10**6)
    full = [page for _, page in feeding_.table.pages if page.next_sort is not None]
    assert len(full) > 3
    assert all(0.5 * PAGE_BYTES_AIM < page.size_bytes <= PAGE_BYTES_AIM for page in full)
    assert ({}, 15_000) == (feeding_.table.items, len(feeding_.queues.sent))
