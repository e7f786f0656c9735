"""List by prefix: in order of time if the names can be read in time, and otherwise with progress on every page."""

import base64
import json

import pytest

from fakes import Clock, FakeRecords
from manage_fakes import FAR_MS, FakeManageTable, manage_dependencies
from scheduler.errors import InvalidRequest
from scheduler.managing import request
from scheduler.managing.listing import by_prefix
from scheduler.model.name_record import CANCELLED, NAME_PARTITIONS
from scheduler.model.schedule import Key, Schedule, sort_from


class SlowRecords(FakeRecords):
    """Records in memory, with small pages. Each call takes its time."""

    def __init__(self, clock, call_s=0.0, page_items=4):
        super().__init__(page_items=page_items)
        self.clock, self.call_s, self.pages = clock, call_s, 0

    def take(self, name, due_ms, **fields):
        key = Key("0", f"{sort_from(due_ms)}#{len(self.current):016x}")
        self.add(Schedule(key, due_ms, f"data of {name}", name=name), **fields)

    def page(self, *bounds):
        self.clock.sleep(self.call_s)
        self.pages += 1
        return super().page(*bounds)

    def batch(self, names, whole):
        self.clock.sleep(self.call_s)
        return super().batch(names, whole)


def everything(records, clock, limit=7, seconds=24, **fields):
    """Return the names of all pages and the number of pages. A page may take its time plus one call."""
    names, value = [], None
    for pages in range(1, 5_000):
        begun_s = clock()
        asked = request.ManageRequest("list", {"limit": limit, **fields} | ({"next": value} if value else {}))
        answer = by_prefix.list_(asked, manage_dependencies(FakeManageTable(), records), clock.deadline(seconds))
        assert clock() - begun_s <= seconds + 2 * records.call_s
        assert len(answer["schedules"]) <= limit
        names += [each["name"] for each in answer["schedules"]]
        value = answer["next"]
        if value is None:
            return names, pages
    raise AssertionError("it never ends")


@pytest.mark.slow
@pytest.mark.parametrize("call_s", [0.0, 0.3, 2.0, 4.9])
def test_every_name_is_on_exactly_one_page_however_slow_the_table_is(call_s):
    """Names are in order of time if all could be read in time, and otherwise in the order of their keys."""
    clock = Clock()
    records = SlowRecords(clock, call_s)
    for number in range(300):
        records.take(f"a/{number}", FAR_MS + number * 7919 % 300)
    records.take("b", FAR_MS)
    records.take("a/gone", FAR_MS, state=CANCELLED)
    names, _ = everything(records, clock, prefix="a/")
    assert 300 == len(names) == len(set(names))
    if call_s == 0.0:
        assert sorted(names, key=lambda name: records.current[name].schedule.due_ms) == names


def test_a_page_makes_progress_even_without_time():
    """The function makes one call even after its deadline, so a caller who continues reaches the end."""
    clock = Clock()
    records = SlowRecords(clock, 1.0, page_items=2)
    for number in range(20):
        records.take(f"a/{number}", FAR_MS + number)
    names, pages = everything(records, clock, seconds=0, prefix="a/")
    assert {f"a/{number}" for number in range(20)} == set(names)
    assert 20 == len(names)
    assert pages <= len(NAME_PARTITIONS) + 20


def test_only_a_counted_number_asks_for_a_longer_prefix(monkeypatch):
    """A timeout says nothing about the number of names."""
    clock = Clock()
    records = SlowRecords(clock, page_items=1_000)
    for number in range(200):
        records.take(f"a/{number}", FAR_MS + number)
    monkeypatch.setattr(by_prefix, "LOOKED_AT_MAX", 100)
    records.page_items = 2
    with pytest.raises(InvalidRequest, match="wanted: a longer prefix"):
        everything(records, clock, prefix="a/")


@pytest.mark.parametrize(
    "place",
    [
        [-1, "", 0, "a"],
        [5, "", 16, "a"],
        [5, "", -1, "a"],
        [5, "", 0, "b"],
        [5, "", 0, "a\u00fc"],
        [5, "", "0", "a"],
        [5, "", 0],
    ],
)
def test_a_foreign_cursor_is_refused(place):
    """Any caller could have changed the cursor."""
    value = base64.urlsafe_b64encode(json.dumps([by_prefix.BY_NAME, *place]).encode()).decode()
    with pytest.raises(InvalidRequest, match=r"next is .*; wanted: the next of the answer before"):
        everything(SlowRecords(Clock()), Clock(), prefix="a", next=value)
