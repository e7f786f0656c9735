"""Local times: a timestamp without an offset, and the time zone whose clocks show it."""

import subprocess
import sys
import zoneinfo
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler import time_zones, timestamps
from scheduler.accepting import request
from scheduler.accepting.request import AcceptRules
from scheduler.errors import InvalidSchedule

NOON_MS = 1_893_456_000_000
FUNCTIONS = Path(__file__).parents[2] / "functions"


def due(timestamp, zone):
    raw = {"timestamp": timestamp, "zone": zone, "data": "x"}
    return request.parse(raw, NOON_MS, AcceptRules()).due_ms


def utc(text):
    return round(datetime.fromisoformat(f"{text}Z").timestamp() * 1000)


@pytest.fixture
def no_system_zones():
    """Hide the system's time zone database."""
    zoneinfo.reset_tzpath([])
    ZoneInfo.clear_cache()
    time_zones._find.cache_clear()
    yield
    zoneinfo.reset_tzpath()
    ZoneInfo.clear_cache()
    time_zones._find.cache_clear()


LOCAL_TIMES = [
    ("2030-01-31T09:00", "Europe/Berlin", "2030-01-31T08:00"),
    ("2030-07-31T09:00", "Europe/Berlin", "2030-07-31T07:00"),
    ("2030-07-31", "America/New_York", "2030-07-31T04:00"),
    ("2030-07-31 09:00:00.5", "Asia/Kathmandu", "2030-07-31T03:15:00.500"),
    ("20300731T090000", "Pacific/Kiritimati", "2030-07-30T19:00"),
    ("2030-01-31T09:00", "UTC", "2030-01-31T09:00"),
    ("2030-01-31T09:00", "Etc/GMT+5", "2030-01-31T14:00"),
    ("2150-07-31T09:00", "Europe/Berlin", "2150-07-31T07:00"),
    # The clocks skip an hour, and half an hour: the time moves forward by the gap.
    ("2030-03-31T02:30", "Europe/Berlin", "2030-03-31T01:30"),
    ("2030-03-31T02:00", "Europe/Berlin", "2030-03-31T01:00"),
    ("2030-03-31T03:00", "Europe/Berlin", "2030-03-31T01:00"),
    ("2030-10-06T02:15", "Australia/Lord_Howe", "2030-10-05T15:45"),
    # A whole day was skipped.
    ("2011-12-30T12:00", "Pacific/Apia", "2011-12-30T22:00"),
    # The clocks show this hour twice: it is the first.
    ("2030-10-27T02:30", "Europe/Berlin", "2030-10-27T00:30"),
    ("2030-11-03T01:59:59.999", "America/New_York", "2030-11-03T05:59:59.999"),
    ("9999-12-31T23:59:59", "Asia/Tokyo", "9999-12-31T14:59:59"),
]


@pytest.mark.parametrize(("timestamp", "zone", "at"), LOCAL_TIMES)
def test_a_local_time_is_the_moment_at_which_its_clocks_show_it(timestamp, zone, at):
    """A skipped time moves forward by the gap. A time that occurs twice is the first."""
    assert utc(at) == due(timestamp, zone)


@pytest.mark.parametrize(("timestamp", "zone", "at"), LOCAL_TIMES)
def test_zones_do_not_need_the_databases_of_the_system(timestamp, zone, at, no_system_zones):
    """Lambda's system may have none. The one in dateutil comes with boto3, and knows the rules of all years."""
    assert set() == zoneinfo.available_timezones()
    assert utc(at) == due(timestamp, zone)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("Europe/Berlni", "Europe/Berlin"),
        ("europe/berlin", "Europe/Berlin"),
        ("Berlin", "Europe/Berlin"),
        ("america/new york", "America/New_York"),
        ("Amerika/New_York", "America/New_York"),
        ("US/Pacfic", "US/Pacific"),
        ("Asia/Kolkatta", "Asia/Kolkata"),
        (" UTC", "UTC"),
        ("right/UTC", "UTC"),
        ("Asia/Istambul", "Asia/Istanbul"),
        ("Utcc", "UTC"),
    ],
)
def test_an_unknown_zone_is_refused_with_the_nearest_name(wrong, right):
    """It says which names are accepted. The suggestion is accepted."""
    with pytest.raises(InvalidSchedule) as refusal:
        due("2030-01-31", wrong)
    assert str(refusal.value) == (
        f"zone is {wrong!r}, which is not known; did you mean {right}?; wanted: {timestamps.ZONE_WANTED}"
    )
    assert due("2030-01-31", right)


NO_ZONES = [
    *(
        "",
        "Mars/Phobos",
        "America",
        "America/",
        "../UTC",
        "/etc/localtime",
        "localtime",
        "posix/UTC",
        "tzdata.zi",
        "+02",
    ),
    *(
        "leapseconds",
        "zone.tab",
        "METADATA",
        "Ü",
        "UTC\x00",
        "x" * 10_000,
        "\ud800",
        None,
        2,
        True,
        ["UTC"],
        {"UTC": 1},
    ),
]


@pytest.mark.parametrize("wrong", NO_ZONES)
def test_anything_else_is_no_zone(wrong, no_system_zones):
    """Files and folders of the database count as little as numbers. The value in the error is cut."""
    with pytest.raises(InvalidSchedule, match=r"^zone is .*which is not known.*; wanted: an IANA time zone") as refusal:
        due("2030-01-31", wrong)
    assert len(str(refusal.value)) < 400


def test_files_of_the_system_that_are_no_zones_are_refused():
    """Some systems have a second set of zones that counts leap seconds, and would be 27 seconds off."""
    for name in ("America", "posixrules", "leapseconds", "right/Europe/Berlin", "posix/Europe/Berlin", "localtime"):
        assert time_zones.find(name) is None


def test_a_suggestion_is_a_zone():
    """The database has files that are none."""
    assert time_zones.nearest("Factory") is None
    assert time_zones.nearest("posix/Berlin") == "Europe/Berlin"


def test_the_database_in_dateutil_comes_last(no_system_zones, monkeypatch):
    """A machine without a system's database may have the package tzdata, which is newer. ZoneInfo knows it."""
    monkeypatch.setattr(time_zones, "ZoneInfo", lambda name: (name, "from tzdata"))
    assert ("Europe/Berlin", "from tzdata") == time_zones.find("Europe/Berlin")


def test_many_unknown_zones_cost_little(monkeypatch):
    """A batch may have 10,000 of them, and other callers wait meanwhile. ZoneInfo takes half a millisecond for each."""
    searched, compared = [], []
    monkeypatch.setattr(time_zones, "ZoneInfo", searched.append)
    monkeypatch.setattr(time_zones, "_distance", lambda known, *_: compared.append(known))
    for number in range(200):
        assert time_zones.find(f"America/San_{number:05}") is None
        assert time_zones.nearest(f"America/San_{number:05}") is None
    assert (searched, compared) == ([], [])


def test_a_long_name_of_a_zone_does_not_stay_in_memory():
    """A caller may send a megabyte of it, again and again."""
    time_zones._find.cache_clear()
    for number in range(100):
        with pytest.raises(InvalidSchedule):
            due("2030-01-31", f"{number}/" + "x" * 1_000_000)
    assert time_zones._find.cache_info().currsize == 0


ZONES = (
    *("Europe/Berlin", "Europe/Dublin", "America/New_York", "America/Sao_Paulo", "Africa/Casablanca", "Asia/Gaza"),
    *("Asia/Kathmandu", "Asia/Tehran", "Australia/Lord_Howe", "Pacific/Apia", "Pacific/Chatham", "Antarctica/Troll"),
)

BESIDE = [
    ({"timestamp": "2030-01-31T08:00Z"}, "zone is given, and timestamp '2030-01-31T08:00Z' has an offset"),
    ({"timestamp": "2030-01-31T08:00+02:00"}, "zone is given, and timestamp '2030-01-31T08:00+02:00' has an offset"),
    ({"timestamp": 1_893_456_000}, "zone is 'UTC', and timestamp is a number"),
    ({"timestamp": 1.5}, "zone is 'UTC', and timestamp is a number"),
    ({"delay": 5}, "zone is given beside a delay"),
    ({}, "zone is given without a timestamp"),
    ({"timestamp": 5, "delay": 5}, "timestamp and delay are both given"),
    ({"timestamp": None}, "timestamp is null"),
    ({"timestamp": "tomorrow"}, "timestamp is 'tomorrow', no date that exists"),
    ({"timestamp": "1969-12-31T23:00"}, "timestamp is '1969-12-31T23:00', before 1970"),
]


@pytest.mark.parametrize(("time", "says"), BESIDE, ids=[says for _, says in BESIDE])
def test_a_zone_stands_only_beside_a_local_time(time, says):
    """Anything else has a moment of its own, and the caller would not know which one counts."""
    with pytest.raises(InvalidSchedule) as refusal:
        request.parse({**time, "zone": "UTC", "data": "x"}, NOON_MS, AcceptRules())
    assert str(refusal.value).startswith(says)
    assert "; wanted: " in str(refusal.value)


def test_the_end_of_time_is_the_same_in_every_zone():
    """West of Greenwich the last day of the year 9999 ends too late."""
    with pytest.raises(InvalidSchedule, match="past the year 9999"):
        due("9999-12-31T23:59:59", "America/New_York")
    with pytest.raises(InvalidSchedule, match="before 1970"):
        due("0001-01-01", "Asia/Tokyo")


@given(
    st.integers(3_650, 150_000).map(lambda day: datetime.fromtimestamp(day * 86_400, UTC).replace(tzinfo=None)),
    st.integers(0, 95).map(lambda number: timedelta(minutes=number * 15)),
    st.sampled_from(ZONES),
)
def test_the_clocks_of_the_zone_show_the_time(day, time, zone):
    """They do at that moment, unless they skip the time. Then they show a later one. No earlier moment shows it."""
    written, there = day + time, ZoneInfo(zone)
    shown = datetime.fromtimestamp(due(written.isoformat(), zone) / 1000, there)
    gap = shown.replace(tzinfo=None) - written
    assert gap.total_seconds() == 0 or (gap.total_seconds() > 0 and shown.utcoffset() != _before(shown, there))
    assert shown.fold == 0


def _before(moment, there):
    """Return the offset a day and an hour earlier."""
    return datetime.fromtimestamp(moment.timestamp() - 90_000, there).utcoffset()


def test_zones_do_not_slow_down_a_cold_start():
    """The module is imported with the first request that names a zone."""
    code = (
        "import sys; from scheduler.accepting import scheduling, request; rules = request.AcceptRules();"
        "request.parse({'timestamp': '2030-01-31', 'data': 'x'}, 0, rules);"
        "assert not {'zoneinfo', 'scheduler.time_zones', 'dateutil'} & set(sys.modules);"
        "request.parse({'timestamp': '2030-01-31', 'data': 'x', 'zone': 'UTC'}, 0, rules);"
        "assert {'zoneinfo', 'scheduler.time_zones'} <= set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=FUNCTIONS, check=True)
