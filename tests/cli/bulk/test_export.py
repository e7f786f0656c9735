"""`punctual export`, and its way back through `punctual import`."""

from __future__ import annotations

import io
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from punctual.cli import group
from punctual.cli.run import Run
from punctual.testing import Stack

START = 1_893_456_000
HOOK = {"url": "https://api.example.com/hook", "method": "PUT", "headers": {"X-Key": "7"}, "cookies": {"a": "b"}}


def new_stack() -> Stack:
    stack = Stack(start=START, WebhookHosts="api.example.com")
    for name, kind in (("worker", "sqs"), ("failures", "sqs"), ("bus", "events")):
        stack.add_target(name, kind)
    return stack


@pytest.fixture
def stack() -> Stack:
    return new_stack()


def punctual(stack: Stack, *arguments: object) -> int:
    return group.run([str(each) for each in arguments], Run(world=stack))


def every_kind(stack: Stack) -> list[dict[str, Any]]:
    arns = [f"arn:aws:{each}" for each in ("sqs:{0}:worker", "sqs:{0}:failures", "events:{0}:event-bus/bus")]
    worker, failures, bus = (each.format("eu-central-1:123456789012") for each in arns)
    far = START + 90_000
    return [
        {"timestamp": far, "data": "text"},
        {"timestamp": far + 0.125, "data": {"order": 7, "text": "ö" * 300}},
        *({"timestamp": far + number, "data": f"member {number}", "user": "customer-12"} for number in range(40)),
        {"timestamp": far, "data": "named", "name": "order/7", "expires_after": 60.5},
        {"timestamp": far, "target": HOOK, "name": "order/8", "retry": {"attempts": 3}, "failure_target": failures},
        {"timestamp": far, "data": "x", "target": worker},
        {"timestamp": far, "data": "x", "target": {"arn": bus, "envelope": True}, "retry": {"max_age_s": 60}},
        {"timestamp": START + 60, "data": "near", "name": "order/9"},
    ]


def released(stack: Stack) -> list[str]:
    stack.advance(days=3)
    queued = [(each.due, each.data, each.name, each.user, each.queue) for each in stack.released()]
    return sorted(map(str, queued)) + sorted(f"{each.target} {without_id(each.data)}" for each in stack.delivered())


def without_id(data: str) -> str:
    """Return an envelope without the id, which is new in another stack."""
    try:
        content = json.loads(data)
    except ValueError:
        return data
    return str({**content, "id": None}) if isinstance(content, dict) else data


def test_an_export_imported_elsewhere_makes_the_same_schedules(stack, tmp_path):
    for request in every_kind(stack):
        stack.schedule(request)
    file, other = tmp_path / "schedules.ndjson", new_stack()
    assert 0 == punctual(stack, "export", file)
    assert 0 == punctual(other, "import", file)
    assert released(stack) == released(other)


def test_every_field_of_a_request_is_in_the_export(stack, tmp_path):
    requests = every_kind(stack)
    stack.schedule(requests)
    file = tmp_path / "schedules.ndjson"
    punctual(stack, "export", file)
    exported = [json.loads(line) for line in file.read_text().splitlines()]
    assert len(requests) == len(exported)
    (hook,) = (each for each in exported if each.get("name") == "order/8")
    wanted = next(each for each in requests if each.get("name") == "order/8")
    assert {**wanted, "timestamp": "2030-01-02T01:00:00Z"} == hook
    long = next(each for each in exported if "ö" in each.get("data", ""))
    assert {"order": 7, "text": "ö" * 300} == json.loads(long["data"])
    assert "2030-01-02T01:00:00.125Z" == long["timestamp"]


def test_through_a_pipe_into_another_stack(stack, tmp_path, monkeypatch, capsys):
    stack.schedule(every_kind(stack))
    assert 0 == punctual(stack, "export")
    written = capsys.readouterr()
    assert "Exported 47 schedules" in written.err
    other = new_stack()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(written.out.encode())))
    assert 0 == punctual(other, "import", "-", "--journal", tmp_path / "journal")
    assert released(stack) == released(other)


def test_range_and_prefix_choose(stack, capsys):
    stack.schedule(every_kind(stack))
    for arguments, count in ((["--prefix", "order/"], 3), (["--to", "+1h"], 1), (["--from", "+2d"], 0)):
        assert 0 == punctual(stack, "export", *arguments)
        assert count == len(capsys.readouterr().out.splitlines())


def test_only_the_owner_may_read_the_file(stack, tmp_path):
    file = tmp_path / "schedules.ndjson"
    stack.schedule({"delay": 90_000, "data": "secret"})
    before = os.umask(0)
    try:
        punctual(stack, "export", file)
    finally:
        os.umask(before)
    assert 0o600 == stat.S_IMODE(file.stat().st_mode)
    assert [file] == list(tmp_path.iterdir())


def test_an_existing_file_stays_unless_it_may_be_replaced(stack, tmp_path, capsys):
    file = tmp_path / "schedules.ndjson"
    file.write_text("mine")
    stack.schedule({"delay": 90_000, "data": "x"})
    assert 2 == punctual(stack, "export", file)
    assert "exists; give another name, or replace it with --overwrite" in capsys.readouterr().err
    assert "mine" == file.read_text()
    assert 0 == punctual(stack, "export", file, "--overwrite", "--json")
    assert {"schedules": 1, "file": str(file)}.items() <= json.loads(capsys.readouterr().out).items()
    assert 1 == len(file.read_text().splitlines())


def test_a_device_or_a_pipe_is_never_replaced_by_a_file(stack, tmp_path, capsys):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert 2 == punctual(stack, "export", pipe, "--overwrite")
    assert f"error: {pipe} is no file; give the name of a file" in capsys.readouterr().err
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_an_export_that_fails_leaves_the_old_file_and_nothing_else(stack, tmp_path, capsys):
    file = tmp_path / "schedules.ndjson"
    file.write_text("mine")
    stack._cloud.functions.functions.pop(stack.output("ManageFunction"))
    assert 3 == punctual(stack, "export", file, "--overwrite")
    assert 1 == len(capsys.readouterr().err.splitlines())
    assert "mine" == file.read_text()
    assert [file] == list(tmp_path.iterdir())


def test_it_says_what_it_cannot_contain(stack, tmp_path, capsys):
    """SQS has no way to read a message that is not yet due."""
    stack.schedule([{"delay": 60, "data": "x"}] * 3)
    assert 0 == punctual(stack, "export", tmp_path / "schedules.ndjson")
    errors = capsys.readouterr().err
    assert "Not in the export: unnamed schedules that are already in a queue (about 3 in the output queue" in errors


def test_a_folder_that_does_not_exist_is_one_line(stack, capsys):
    assert 1 == punctual(stack, "export", Path("/nonexistent/schedules.ndjson"))
    (line,) = capsys.readouterr().err.splitlines()
    assert "cannot write /nonexistent/schedules.ndjson: No such file or directory" in line
