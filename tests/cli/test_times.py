"""Times as people write them on the command line."""

from datetime import UTC, datetime, timedelta

import pytest

from punctual.cli import times
from punctual.cli.errors import WrongUsage

NOW = datetime(2030, 6, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90m", 5400), ("1h30m", 5400), ("1.5h", 5400), ("2w", 1_209_600), ("1d 2h", 93_600), ("10S", 10), ("0", 0)],
)
def test_a_duration_is_numbers_with_units(text: str, seconds: int) -> None:
    assert timedelta(seconds=seconds) == times.duration(text)


@pytest.mark.parametrize("text", ["", "90", "-5m", "m", "5y", "1h30", "nan", "5 minutes", "9" * 400 + "w"])
def test_an_impossible_duration_is_wrong_usage(text: str) -> None:
    with pytest.raises(WrongUsage):
        times.duration(text)


@pytest.mark.parametrize(
    ("text", "zone", "expected"),
    [
        ("2030-06-01 09:00", "Europe/Berlin", "2030-06-01T07:00:00Z"),
        ("2030-06-01T09:00:00+02:00", None, "2030-06-01T07:00:00Z"),
        ("2030-06-01T07:00Z", None, "2030-06-01T07:00:00Z"),
        ("20300601", "UTC", "2030-06-01T00:00:00Z"),
        ("1893456000", None, "2030-01-01T00:00:00Z"),
        ("1893456000.25", None, "2030-01-01T00:00:00.250Z"),
    ],
)
def test_a_time_is_iso_or_epoch_seconds(text: str, zone: str | None, expected: str) -> None:
    assert expected == times.iso(times.moment(text, times.zone(zone) if zone else None))


def test_a_time_that_the_clocks_skip_moves_forward_by_the_gap() -> None:
    moved = times.moment("2030-03-31 02:30", times.zone("Europe/Berlin"))
    assert "2030-03-31T01:30:00Z" == times.iso(moved)
    assert "2030-03-31 03:30:00 +02:00" == times.zone("Europe/Berlin").shown(moved)


def test_a_time_that_occurs_twice_is_the_first() -> None:
    assert "2030-10-27T00:30:00Z" == times.iso(times.moment("2030-10-27 02:30", times.zone("Europe/Berlin")))


def test_a_time_without_offset_and_zone_is_wrong_usage() -> None:
    """The message shows both ways out."""
    with pytest.raises(WrongUsage, match=r"no offset: add --tz Europe/Berlin or --tz local, or write Z"):
        times.moment("2030-06-01 09:00")


def test_a_zone_beside_a_complete_time_is_wrong_usage() -> None:
    for text in ("2030-06-01T09:00Z", "1893456000"):
        with pytest.raises(WrongUsage, match="leave --tz out"):
            times.only_moment(text, times.zone("Europe/Berlin"))


@pytest.mark.parametrize("text", ["", "soon", "2030-13-01", "-5", "12", "inf", "9" * 30, "1893456000x"])
def test_an_impossible_time_is_wrong_usage(text: str) -> None:
    with pytest.raises(WrongUsage):
        times.moment(text, times.zone("UTC"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", NOW),
        ("+2d", NOW + timedelta(days=2)),
        ("-1h30m", NOW - timedelta(minutes=90)),
        ("2030-06-01T12:00Z", NOW),
    ],
)
def test_a_range_may_be_relative(text: str, expected: datetime) -> None:
    assert expected == times.moment_or_distance(text, NOW)


def test_a_distance_needs_its_direction() -> None:
    with pytest.raises(WrongUsage, match=r"write \+2d for later than now, or -2d for earlier"):
        times.moment_or_distance("2d", NOW)


@pytest.mark.parametrize(
    ("name", "meant"), [("Europe/Berln", "Europe/Berlin"), ("berlin", "Europe/Berlin"), ("../../etc/passwd", "IANA")]
)
def test_an_unknown_zone_suggests_the_nearest(name: str, meant: str) -> None:
    with pytest.raises(WrongUsage, match=meant):
        times.zone(name)


def test_a_zone_is_found_without_the_database_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore's dateutil brings one."""
    monkeypatch.setattr("zoneinfo.ZoneInfo", _WithoutDatabase)
    found = times.zone("Europe/Berlin")
    assert "2030-06-01T07:00:00Z" == times.iso(times.moment("2030-06-01 09:00", found))


class _WithoutDatabase(times.zoneinfo.ZoneInfo):
    def __new__(cls, key: str) -> "_WithoutDatabase":
        raise times.zoneinfo.ZoneInfoNotFoundError(key)


def test_the_zone_of_the_machine_is_named_local() -> None:
    placed = times.moment("2030-06-01 09:00", times.zone("local"))
    assert datetime(2030, 6, 1, 9) == placed.astimezone().replace(tzinfo=None)  # noqa: DTZ001 (as a wall shows it)


@pytest.mark.parametrize(("seconds", "words"), [(0, "0s"), (65, "1m 5s"), (-3600, "1h"), (183_845, "2d 3h")])
def test_a_duration_is_shown_in_two_units(seconds: int, words: str) -> None:
    assert words == times.words(timedelta(seconds=seconds))
