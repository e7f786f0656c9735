"""Every example of docs/moving-in.md runs as it stands there, in the order of the page."""

from __future__ import annotations

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
from tests.cli.scheduler_account import REGION, Account

PAGE = (Path(__file__).parents[2] / "docs" / "moving-in.md").read_text()
FILES = re.findall(r"Save this as\s`([\w.]+)`:\n\n```\w+\n(.*?)```", PAGE, re.DOTALL)
EXAMPLES = re.findall(r"```sh\n(.*?)\n```\n((?:\n(?:    [^\n]*\n)+)?)", PAGE)
VARYING = re.compile(r"[0-9.]+ s \([0-9,]+ a second\)")


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
