"""docs/cli.md says what the command does."""

import io
import json
import re
import shlex
import sys
from pathlib import Path

import click
import pytest

from punctual.cli import group
from punctual.cli.app import SECTIONS
from punctual.cli.group import root
from punctual.cli.options import Command
from punctual.cli.reference import page
from punctual.cli.run import Run
from punctual.testing import Stack
from tests.cli.conftest import Punctual, World
from tests.cli.services import Aws

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"
CONTEXT = click.Context(root, info_name="punctual")
NAMES = root.list_commands(CONTEXT)
WIDTH = 80
RUN_HERE = {"apps", "cancel", "change", "completion", "failures", "fire", "forecast", "get"}
RUN_HERE |= {"list", "move", "redrive", "schedule", "tail"}
"""The commands that the virtual stack can serve. The tests of the other ones are elsewhere."""


def test_the_page_has_the_help_of_every_command() -> None:
    """`python -m punctual.cli.reference docs/cli.md` writes it."""
    written = PAGE.read_text(encoding="utf-8")
    assert page(written) == written


@pytest.mark.parametrize("name", NAMES)
def test_the_short_help_is_in_keeping_with_the_help(name: str) -> None:
    """Each command has an example that begins with itself, and its help fits a terminal."""
    entry = next(entries[name] for entries in SECTIONS.values() if name in entries)
    found = root.get_command(CONTEXT, name)
    assert isinstance(found, Command)
    assert name == found.name
    assert entry.help.endswith(".")
    assert all(line.strip().startswith(f"punctual {name}") for line in found.example.strip().splitlines())
    with click.Context(found, info_name=name, parent=CONTEXT) as context:
        assert max(map(len, found.get_help(context).splitlines())) <= WIDTH


@pytest.mark.parametrize("name", NAMES)
def test_every_example_is_a_command_line_that_parses(name: str) -> None:
    found = root.get_command(CONTEXT, name)
    assert isinstance(found, Command)
    for line in found.example.strip().splitlines():
        words = shlex.split(re.split(r" [<>|] ", line.strip())[0])
        found.make_context(name, words[2:], parent=CONTEXT)


def examples() -> list[str]:
    """Return the command lines of the page, without what the shell would do with them."""
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    lines = [re.split(r" [<>|] ", line)[0] for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith("punctual ") and line.split()[1] in RUN_HERE]


@pytest.mark.parametrize("line", examples())
def test_every_example_runs(
    line: str, stack: Stack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A failure or a key with the id of the example does not exist, and that is all that may be wrong with it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"data")))
    stack.schedule([{"delay": 3600, "data": "x", "name": name} for name in ("order/7", "reminder/1")])
    for name in ("warehouse", "billing") if "apps usage" in line else ("warehouse",):
        stack.administer("create", name=name, default_target="output")
    status = group.run(shlex.split(line)[1:], Run(world=World(stack)))
    assert (3 if "redrive 3-" in line or " 1f2e3d4c-" in line else 0) == status, capsys.readouterr().err


def documented_fields(command: str) -> set[str]:
    """Return the fields of the command's objects, as the page lists them."""
    (row,) = re.findall(rf"^\| .*`{command}`.* \| (.*) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return set(re.findall(r"`(\w+)`", re.sub(r"\(.*?\)", "", row)))


@pytest.mark.parametrize("line", [["doctor"], ["verify", "--yes"]])
def test_the_fields_of_what_inspects_a_stack_are_documented(
    line: list[str], stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    group.run([*line, "--json"], Run(world=Aws(stack)))
    rows = [json.loads(row) for row in capsys.readouterr().out.splitlines()]
    assert {frozenset(documented_fields(line[0]))} == {frozenset(row) for row in rows}


def test_the_fields_of_json_are_documented(punctual: Punctual, stack: Stack) -> None:
    """Fields are only ever added. So a field that is gone from this list breaks a user's script."""
    stack.answer("api.example.com", 500)
    hook = ["--target", "https://api.example.com/", "--attempts", "1"]
    calls = {
        "schedule": ["schedule", "x", "--in", "1h", "--name", "n"],
        "get": ["get", "n"],
        "list": ["list"],
        "explain": ["explain", "n"],
        "move": ["move", "n", "--in", "2h"],
        "change": ["change", "n", "--user", "u"],
        "forecast": ["forecast"],
        "fire": ["fire", "n"],
        "failures": ["failures"],
        "redrive": ["redrive", "--from", "-1h", "--yes"],
    }
    assert 0 == punctual("schedule", "x", "--in", "0", "--name", "f", *hook).status
    stack.advance(minutes=1)
    for command, line in calls.items():
        assert documented_fields(command) == set(punctual(*line, "--json").objects[0]), command


def test_the_fields_of_json_of_applications_are_documented(punctual: Punctual) -> None:
    made = punctual("apps", "create", "billing", "--default-target", "output", "--json").json
    calls = {
        "apps create": ["create", "shop"],
        "apps change": ["change", "billing", "--rate", "5"],
        "apps list": ["list"],
        "apps keys": ["keys", "billing"],
        "apps rotate": ["rotate", made["data"]["id"]],
        "apps disable": ["disable", made["control"]["id"]],
        "apps repair": ["repair"],
        "apps delete": ["delete", "billing"],
    }
    for command, line in calls.items():
        assert documented_fields(command) == set(punctual("apps", *line, "--json").objects[0]), command
