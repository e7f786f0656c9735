"""`punctual list`, `forecast`, `failures`, `redrive` and `cancel --prefix`."""

import re
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from punctual.testing import Stack
from tests.cli.conftest import Punctual, Terminal

HOUR_S = 3600
HOOK = "https://api.example.com/hook"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def hourly(stack: Stack) -> Stack:
    """The stack has a named schedule in each of the next twelve hours, `job/0` to `job/11`."""
    stack.schedule([{"delay": HOUR_S * (hour + 1), "data": f"d{hour}", "name": f"job/{hour}"} for hour in range(12)])
    return stack


@pytest.fixture
def failed(stack: Stack) -> Stack:
    """The stack has a failure under the name `web`."""
    stack.answer("api.example.com", 500)
    stack.schedule({"delay": 1, "data": "x", "name": "web", "target": {"url": HOOK}, "retry": {"attempts": 1}})
    stack.advance(minutes=1)
    stack.answer("api.example.com", 200)
    return stack


def test_a_list_is_a_table_by_time(punctual: Punctual, hourly: Stack) -> None:
    lines = punctual("list", "--tz", "UTC").out.splitlines()
    assert ["due", "state", "name or id"] == re.split(r"  +", lines[0])
    assert ["2030-01-01 01:00:00Z", "stored", "job/0"] == re.split(r"  +", lines[1])
    assert 13 == len(lines)


def test_a_list_ends_at_its_limit_and_says_so(punctual: Punctual, hourly: Stack) -> None:
    ended = punctual("list", "--limit", "5", "--json")
    assert ["job/0", "job/1", "job/2", "job/3", "job/4"] == [each["name"] for each in ended.objects]
    assert "there are more: these are the first 5" in ended.err
    assert 12 == len(punctual("list", "--limit", "all", "--json").objects)
    assert "there are more" not in punctual("list", "--limit", "12").err


def test_a_list_has_a_hundred_by_default(punctual: Punctual, stack: Stack) -> None:
    stack.schedule([{"delay": HOUR_S, "data": "x", "name": f"n/{number}"} for number in range(101)])
    assert 100 == len(punctual("list", "--json").objects)


def test_a_list_takes_a_time_and_a_prefix(punctual: Punctual, hourly: Stack) -> None:
    ranged = punctual("list", "--from", "+2h", "--to", "2030-01-01T04:00Z", "--json").objects
    assert ["job/1", "job/2"] == [each["name"] for each in ranged]
    assert ["job/1", "job/10", "job/11"] == [
        each["name"] for each in punctual("list", "--prefix", "job/1", "--json").objects
    ]


def test_schedules_that_no_list_can_show_are_counted(punctual: Punctual, stack: Stack) -> None:
    """They are in a queue already. Without any there is no note."""
    assert "" == punctual("forecast").err
    stack.schedule({"delay": 60, "data": "x"})
    for line in (["list"], ["forecast"]):
        assert "note: unnamed schedules in a queue are not shown: about 1 in the output queue" in punctual(*line).err


def test_an_empty_list_prints_nothing_on_standard_output(punctual: Punctual) -> None:
    ended = punctual("list", "--prefix", "none")
    assert (0, "", "no pending schedule was found\n") == (ended.status, ended.out, ended.err)


def test_a_wide_terminal_shows_the_data(punctual: Punctual, hourly: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    assert "d0" in punctual("list").out


@pytest.mark.parametrize("line", [["list"], ["forecast"], ["failures"], ["get", "web"]])
def test_every_output_fits_80_columns(line: list[str], punctual: Punctual, failed: Stack) -> None:
    failed.schedule([{"delay": HOUR_S, "data": "x" * 500, "name": "n" * 128} for _ in range(3)])
    failed.schedule({"delay": HOUR_S, "data": "x"})
    ended = punctual(*line)
    assert 0 == ended.status
    assert 80 >= max(map(len, ended.out.splitlines()))


def test_a_forecast_is_a_bar_for_each_hour(punctual: Punctual, hourly: Stack) -> None:
    hourly.schedule({"delay": HOUR_S + 60, "data": "x"})
    lines = punctual("forecast", "--tz", "UTC").out.splitlines()
    assert "2030-01-01 00:00:00Z  0" == lines[0]
    assert lines[1].startswith("2030-01-01 01:00:00Z  2  █")
    assert 2 * lines[2].count("█") - lines[1].count("█") in (0, 1)
    assert "2030-01-01 13:00:00Z  0  and 10 more without any" == lines[13]
    assert "13 schedules, 1h a bar" == lines[-1]


def test_a_forecast_with_json_is_one_object(punctual: Punctual, hourly: Stack) -> None:
    fields = punctual("forecast", "--from", "now", "--to", "+1d", "--bucket", "12h", "--json").json
    assert (12, 43_200, [11, 1]) == (fields["total"], fields["bucket"], [each["count"] for each in fields["buckets"]])
    assert "2030-01-01T12:00:00Z" == fields["buckets"][1]["due"]


def test_a_forecast_of_days_begins_at_midnight_of_the_zone(punctual: Punctual, stack: Stack) -> None:
    fields = punctual("forecast", "--to", "+5d", "--bucket", "1d", "--tz", "America/New_York", "--json").json
    assert "2029-12-31T05:00:00Z" == fields["buckets"][0]["due"]


def test_a_forecast_is_drawn_into_a_file(punctual: Punctual, hourly: Stack, tmp_path: Path) -> None:
    ended = punctual("forecast", "--svg", str(tmp_path / "chart.svg"))
    assert "drawn into" in ended.err
    drawn = ElementTree.parse(tmp_path / "chart.svg").getroot()
    bars = drawn.findall(f"{SVG}rect")
    assert 12 == len(bars)
    assert all(bar.find(f"{SVG}title") is not None for bar in bars)


def test_a_chart_that_cannot_be_written_is_one_line(punctual: Punctual, tmp_path: Path) -> None:
    ended = punctual("forecast", "--svg", str(tmp_path / "none" / "chart.svg"))
    assert (1, 1) == (ended.status, len(ended.err.splitlines()))
    assert 2 == punctual("forecast", "--svg", str(tmp_path)).status


def test_failures_have_their_reason(punctual: Punctual, failed: Stack) -> None:
    ended = punctual("failures", "--from", "-1d")
    assert "web" in ended.out
    assert f"    answered 500, {HOOK}" in ended.out
    (fields,) = punctual("failures", "--json").objects
    assert ("web", "failed", "answered 500", 1) == tuple(
        fields[each] for each in ("name", "reason", "error", "attempts")
    )


def test_all_failures_of_a_time_are_redriven(punctual: Punctual, failed: Stack) -> None:
    assert {"redriven": 1, "left": 0} == punctual("redrive", "--from", "-1h", "--yes", "--json").json
    failed.advance(minutes=1)
    assert [HOOK] == [delivered.target for delivered in failed.delivered()]
    assert {"redriven": 0, "left": 0} == punctual("redrive", "--from", "-1h", "--yes", "--json").json


def test_one_failure_is_redriven_without_a_question(punctual: Punctual, failed: Stack) -> None:
    (fields,) = punctual("failures", "--json").objects
    assert {"redriven": 1, "left": 0} == punctual("redrive", fields["id"], "--json").json
    assert 3 == punctual("redrive", fields["id"]).status


def test_cancel_with_a_prefix_asks_first(
    punctual: Punctual, hourly: Stack, terminal: Callable[[str], Terminal]
) -> None:
    """It shows how many there are, and the first ones."""
    shown = terminal("n\n")
    assert 1 == punctual("cancel", "--prefix", "job/1").status
    assert "job/10" in shown.getvalue()
    assert "Cancel 3 pending schedules whose names begin with 'job/1'? [y/N]" in shown.getvalue()
    assert "nothing was done" in shown.getvalue()
    assert 12 == len(hourly.manage("list")["schedules"])

    terminal("y\n")
    assert "cancelled 3 of 3 schedules\n" == punctual("cancel", "--prefix", "job/1").out
    assert 9 == len(hourly.manage("list")["schedules"])


def test_the_end_of_input_is_no_answer(punctual: Punctual, hourly: Stack, terminal: Callable[[str], Terminal]) -> None:
    terminal("")
    assert 1 == punctual("cancel", "--prefix", "").status
    assert 12 == len(hourly.manage("list")["schedules"])


@pytest.mark.parametrize("line", [["cancel", "--prefix", "job/"], ["redrive", "--from", "-1d"]])
def test_a_dangerous_command_without_a_terminal_needs_yes(
    line: list[str], punctual: Punctual, hourly: Stack, failed: Stack
) -> None:
    ended = punctual(*line)
    assert (2, "", 1) == (ended.status, ended.out, len(ended.err.splitlines()))
    assert "Add --yes" in ended.err
    assert 12 == len(hourly.manage("list")["schedules"])


def test_a_dry_run_only_counts(punctual: Punctual, hourly: Stack) -> None:
    fields = punctual("cancel", "--prefix", "job/", "--from", "+6h", "--dry-run", "--json").json
    assert {"matched": 7, "cancelled": 0, "dry_run": True} == fields
    assert {"matched": 7, "cancelled": 7, "dry_run": False} == punctual(
        "cancel", "--prefix", "job/", "--from", "+6h", "--yes", "--json"
    ).json


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["list", "--limit", "0"], "write a number from 1, or --limit all"),
        (["list", "--limit", "-1"], "write a number from 1, or --limit all"),
        (["list", "--from", "2d"], "write +2d for later than now"),
        (["list", "--from", "tomorrow"], "'tomorrow' is not a time"),
        (["list", "--from", "+2d", "--to", "now"], "is not before --to now"),
        (["forecast", "--bucket", "60"], "'60' is not a duration"),
        (["forecast", "--from", "2030-01-01 09:00"], "has no offset"),
        (["failures", "--limit", "x"], "write a number from 1"),
        (["redrive"], "nothing says which failures"),
        (["redrive", "id", "--from", "-1d"], "give the id alone"),
        (["redrive", "--from", "-1d", "--spread", "soon"], "'soon' is not a duration"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_2(arguments: list[str], said: str, punctual: Punctual) -> None:
    ended = punctual(*arguments)
    assert (2, "", 1) == (ended.status, ended.out, len(ended.err.splitlines()))
    assert said in ended.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["forecast", "--bucket", "0"], "bucket"),
        (["forecast", "--to", "+1d", "--bucket", "1s"], "bucket"),
        (["redrive", "--from", "-1d", "--yes", "--spread", "60d"], "spread"),
    ],
)
def test_an_impossible_request_is_one_line_and_4(
    arguments: list[str], said: str, punctual: Punctual, failed: Stack
) -> None:
    ended = punctual(*arguments)
    assert (4, "", 1) == (ended.status, ended.out, len(ended.err.splitlines()))
    assert said in ended.err
