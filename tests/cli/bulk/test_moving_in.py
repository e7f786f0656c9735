"""Every example of docs/moving-in.md runs as it stands there, in the order of the page."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from punctual.cli import group
from punctual.cli.run import Run
from punctual.testing import Stack
from tests.cli.bulk.scheduler_account import REGION, Account

PAGE = (Path(__file__).parents[3] / "docs" / "moving-in.md").read_text()
FILES = re.findall(r"Save this as\s`([\w.]+)`:\n\n```\w+\n(.*?)```", PAGE, re.DOTALL)
EXAMPLES = re.findall(r"```sh\n(.*?)\n```\n((?:\n(?:    [^\n]*\n)+)?)", PAGE)
VARYING = re.compile(r"[0-9.]+ s \([0-9,]+ a second\)")

IMPORTED = {"lines", "accepted", "rejected", "unconfirmed", "complete", "seconds", "journal", "rejected_file"}


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Account]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.chdir(tmp_path)
    with mock_aws():
        account = Account(
            Stack(start="2030-01-01T00:00:00Z", WebhookHosts="api.example.com"),
            boto3.client("scheduler", region_name=REGION),
        )
        account.scheduler.create_schedule_group(Name="reminders")
        target = account.stack.add_target("worker")
        account.put("daily", at="rate(1 day)", GroupName="reminders")
        account.put("renew-7", at="2030-06-01T09:00:00", zone="Europe/Berlin", target=target, GroupName="reminders")
        yield account


def test_the_examples_work_and_print_what_the_page_shows(account, capsys):
    for name, content in FILES:
        Path(name).write_text(content)
    assert {"reminders.ndjson", "reminders.csv"} == {name for name, _ in FILES}
    assert 8 == len(EXAMPLES)
    for command, shown in EXAMPLES:
        program, *arguments = shlex.split(command)
        assert "punctual" == program
        status = group.run(arguments, Run(world=account))
        captured = capsys.readouterr()
        assert 0 == status, captured.err
        wanted = [line[4:] for line in shown.strip("\n").splitlines()]
        found = captured.out.splitlines()
        assert [VARYING.sub("", line) for line in wanted] == [VARYING.sub("", line) for line in found] or not wanted


def test_the_fields_of_json_are_documented(account, capsys):
    """Fields are only ever added. So a field that is gone from this list breaks a user's script."""
    Path("a.ndjson").write_text('{"delay": 90000, "data": "x"}\nno json\n')
    calls = {
        "import": (["import", "a.ndjson"], ["import", "a.ndjson", "--dry-run"]),
        "export": (["export", "b.ndjson"],),
        "adopt": (["adopt", "--apply", "--disable-originals"],),
    }
    reference = (Path(__file__).parents[3] / "docs" / "cli.md").read_text()
    for command, lines in calls.items():
        (row,) = re.findall(rf"^\| `{command}` \| (.*) \|$", reference, re.MULTILINE)
        shown: set[str] = set()
        for line in lines:
            group.run([*line, "--json"], Run(world=account))
            shown.update(*map(json.loads, capsys.readouterr().out.splitlines()))
        documented = set(re.findall(r"`(\w+)`", row)) - {"import"}
        assert documented | (set() if command != "adopt" else IMPORTED) == shown, command
