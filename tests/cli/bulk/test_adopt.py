"""`punctual adopt`: from moto's EventBridge Scheduler into the virtual stack."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from punctual.cli import group, times
from punctual.cli.bulk import adopting
from punctual.cli.bulk.adoption.conversion import Conversion, due_of
from punctual.cli.run import Run
from punctual.testing import Stack
from tests.cli.bulk.scheduler_account import REGION, Account

START = "2030-01-01T00:00:00+00:00"


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Account]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.chdir(tmp_path)
    with mock_aws():
        yield Account(Stack(start=START), boto3.client("scheduler", region_name=REGION))


def punctual(account: Account, *arguments: str) -> int:
    return group.run(["adopt", *arguments], Run(world=account))


def plan(account: Account, capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert 0 == punctual(account, "--json", *arguments)
    return {each["name"]: each for each in map(json.loads, capsys.readouterr().out.splitlines())}


def test_without_apply_it_shows_the_plan_and_changes_nothing(account, capsys):
    account.put("renew")
    account.put("daily", at="rate(1 day)")
    assert 0 == punctual(account)
    shown = capsys.readouterr().out
    assert "Punctual would take 1 and leave 1. Add --apply to take them over." in shown
    assert "default/renew  2030-06-01T09:00:00Z" in shown
    assert "leave: it repeats: rate(1 day)" in shown
    assert [] == list(Path().iterdir())
    assert (
        0 == account.stack.manage("forecast", **{"from": "2030-01-01", "to": "2031-01-01", "bucket": 864000})["total"]
    )


def test_apply_schedules_each_at_its_time_under_group_and_name(account, capsys):
    account.scheduler.create_schedule_group(Name="reminders")
    account.put("renew", GroupName="reminders")
    account.put("summer", at="2030-07-01T09:00:00", zone="Europe/Berlin")
    assert 0 == punctual(account, "--apply")
    assert "Accepted 2 of 2 lines" in capsys.readouterr().out
    assert 1906534800 == account.stack.manage("get", name="reminders/renew")["timestamp"]
    account.stack.advance(days=200)
    assert [("reminders/renew", "renew", 1906534800.0), ("default/summer", "summer", 1909119600.0)] == [
        (each.name, each.data, each.due) for each in account.stack.released()
    ]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"at": "2029-12-31T23:59:59"}, "it is past, or completed"),
        ({"at": "2030-01-01T00:10:00"}, "it is due within 15 minutes"),
        ({"State": "DISABLED"}, "it is disabled"),
        ({"has_input": False}, "it has no Input, so there is no data to send"),
        ({"Input": '{"id": "<aws.scheduler.execution-id>"}'}, "its Input has placeholders"),
        ({"target": "arn:aws:scheduler:::aws-sdk:sqs:sendMessage"}, "its target is universal: a call of AWS's API"),
        ({"target": "arn:aws:sqs:eu-central-1:123456789012:orders.fifo"}, "its target is FIFO"),
        ({"target": "arn:aws:kinesis:eu-central-1:123456789012:stream/x"}, "Punctual has no targets of kinesis"),
        ({"target": "arn:aws:sqs:eu-central-1:123456789012:unlisted"}, "TargetArns"),
        ({"at": "cron(0 9 * * ? *)"}, "it repeats: cron(0 9 * * ? *)"),
        (
            {
                "target": "arn:aws:events:eu-central-1:123456789012:event-bus/orders",
                "EventBridgeParameters": {"DetailType": "x", "Source": "y"},
            },
            "its event has another source or detail type",
        ),
        ({"DeadLetterConfig": {"Arn": "arn:aws:sqs:eu-central-1:123456789012:unlisted"}}, "failure_target"),
    ],
)
def test_what_cannot_be_taken_is_left_with_its_reason(account, capsys, fields, reason):
    account.put("left", **fields)
    found = plan(account, capsys)["default/left"]
    assert not found["taken"]
    assert reason in found["reason"]


def test_retries_and_dead_letters_go_along(account, capsys):
    """The role is dropped: the functions have their own."""
    target, failures = account.stack.add_target("worker"), account.stack.add_target("failures")
    policy = {"MaximumRetryAttempts": 3, "MaximumEventAgeInSeconds": 3600}
    account.put("few", target=target, RetryPolicy=policy, DeadLetterConfig={"Arn": failures})
    account.put("many", target=target)
    assert 0 == punctual(account, "--apply")
    few, many = map(json.loads, sorted(Path("adopt-punctual.ndjson").read_text().splitlines()))
    assert few == {
        "timestamp": "2030-06-01T09:00:00Z",
        "data": "few",
        "name": "default/few",
        "if_exists": "keep",
        "retry": {"attempts": 4, "max_age_s": 3600},
        "target": target,
        "failure_target": failures,
    }
    assert {"attempts": 20, "max_age_s": 86400} == many["retry"]


def test_the_plan_is_private_and_has_a_journal(account):
    account.put("renew")
    punctual(account, "--apply")
    assert {"adopt-punctual.ndjson", "adopt-punctual.ndjson.journal"} == {each.name for each in Path().iterdir()}
    assert {0o600} == {stat.S_IMODE(each.stat().st_mode) for each in Path().iterdir()}


def test_a_second_run_takes_only_what_is_new(account, capsys):
    account.put("first")
    punctual(account, "--apply")
    account.put("second")
    capsys.readouterr()
    assert 0 == punctual(account, "--apply")
    assert "Accepted 1 of 1 lines" in capsys.readouterr().out
    account.stack.advance(days=200)
    assert ["first", "second"] == sorted(each.data for each in account.stack.released())


def test_what_an_earlier_run_has_planned_and_not_sent_is_planned_anew(account, capsys, monkeypatch):
    """The run was killed. Since then one original has fired, and one was deleted: neither must come out now."""
    account.put("sent")
    punctual(account, "--apply")
    account.put("fired", at="2030-02-01T09:00:00")
    account.put("deleted")
    with monkeypatch.context() as killed:
        killed.setattr(adopting, "_apply", lambda run, path: 1)
        punctual(account, "--apply")
    assert 3 == len(Path("adopt-punctual.ndjson").read_text().splitlines())
    with Path("adopt-punctual.ndjson").open("ab") as file:
        file.write(b'{"timestamp": "20')  # It was killed in the middle of a line.
    account.stack.advance(days=40)
    account.scheduler.delete_schedule(Name="deleted")
    account.put("new")
    capsys.readouterr()
    assert 0 == punctual(account, "--apply")
    assert "Accepted 1 of 1 lines" in capsys.readouterr().out
    account.stack.advance(days=200)
    assert ["default/new", "default/sent"] == sorted(each.name for each in account.stack.released())


@pytest.mark.parametrize("lines", [b'{"timestamp": "2030-03-01", "data": "mine"}\n', b"notes", b"notes\n"])
def test_a_file_of_somebody_else_is_left_alone(account, capsys, lines):
    Path("mine.ndjson").write_bytes(lines)
    account.put("renew")
    assert 2 == punctual(account, "--apply", "--file", "mine.ndjson")
    assert "name another file with --file" in capsys.readouterr().err
    assert lines == Path("mine.ndjson").read_bytes()


def test_a_schedule_of_that_name_is_kept(account):
    account.stack.schedule({"timestamp": "2030-03-01", "data": "ours", "name": "default/renew"})
    account.put("renew")
    assert 0 == punctual(account, "--apply")
    assert "ours" == account.stack.manage("get", name="default/renew")["data"]


def test_group_and_prefix_choose(account, capsys):
    account.scheduler.create_schedule_group(Name="reminders")
    account.put("a-1", GroupName="reminders")
    account.put("b-1", GroupName="reminders")
    account.put("a-2")
    assert {"reminders/a-1"} == set(plan(account, capsys, "--group", "reminders", "--prefix", "a-"))


def test_originals_are_disabled_only_if_punctual_has_their_schedules(account, capsys):
    account.stack.schedule({"timestamp": "2030-03-01", "data": "ours", "name": "default/other"})
    for name in ("taken", "other"):
        account.put(name)
    account.put("daily", at="rate(1 day)")
    assert 1 == punctual(account, "--apply", "--disable-originals")
    assert ("DISABLED", "ENABLED", "ENABLED") == tuple(map(account.state, ("taken", "other", "daily")))
    captured = capsys.readouterr()
    assert "Disabled 1 originals. 1 stay enabled." in captured.out
    assert "default/other stays enabled: Punctual has no schedule of that name at that time" in captured.err


def test_a_disabled_original_keeps_everything_else(account):
    account.put("taken", at="2030-07-01T09:00:00", zone="Europe/Berlin", RetryPolicy={"MaximumRetryAttempts": 3})
    before = account.scheduler.get_schedule(Name="taken")
    assert 0 == punctual(account, "--apply", "--disable-originals")
    after = account.scheduler.get_schedule(Name="taken")
    for changing in ("State", "LastModificationDate", "ResponseMetadata"):
        before.pop(changing), after.pop(changing)
    assert before == after


def test_originals_are_not_disabled_without_apply(account, capsys):
    assert 2 == punctual(account, "--disable-originals")
    assert "--disable-originals needs --apply" in capsys.readouterr().err


def test_a_group_that_is_not_there_is_one_line(account, capsys):
    assert 0 != punctual(account, "--group", "missing") or "there are no such schedules" in capsys.readouterr().err


class AnyRules:
    """Rules that accept every request."""

    def verdict(self, row: object) -> None:
        """Accept it."""


@pytest.mark.parametrize(
    ("window", "spread"),
    [({"Mode": "OFF"}, None), ({"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 15}, 900)],
)
def test_a_flexible_window_becomes_a_spread(window, spread):
    original = {
        "GroupName": "default",
        "Name": "renew",
        "ScheduleExpression": "at(2030-06-01T09:00:00)",
        "FlexibleTimeWindow": window,
        "Target": {"Arn": "arn:aws:sqs:eu-central-1:123456789012:output", "Input": "x"},
    }
    conversion = Conversion(AnyRules(), original["Target"]["Arn"], datetime(2030, 1, 1, tzinfo=UTC))
    taken = conversion.taken(original)
    assert spread == taken.request.get("spread")
    assert (spread or 0) == (taken.latest - taken.due).total_seconds()


@pytest.mark.parametrize(
    ("time", "zone", "utc"),
    [
        ("2030-03-31T02:30:00", "Europe/Berlin", "2030-03-31T01:30:00Z"),
        ("2030-10-27T02:30:00", "Europe/Berlin", "2030-10-27T00:30:00Z"),
        ("2030-06-01T09:00:00", "America/New_York", "2030-06-01T13:00:00Z"),
    ],
)
def test_times_are_those_of_their_zone(time, zone, utc):
    """A time that the clocks skip moves forward, and of two equal times it is the first."""
    original = {"ScheduleExpression": f"at({time})", "ScheduleExpressionTimezone": zone}
    assert utc == times.iso(due_of(original))
