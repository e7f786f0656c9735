"""A user's project under `mypy --strict`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import punctual

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PROJECT = Path(__file__).parent / "project" / "uses_everything.py"


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    """Return what mypy prints, once for all tests. It runs where no settings of this repository apply."""
    folder = tmp_path_factory.mktemp("project")
    copy = folder / PROJECT.name
    copy.write_text(PROJECT.read_text(encoding="utf-8"), encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", copy.name]
    environment = {**os.environ, "MYPYPATH": str(ROOT)}
    done = subprocess.run(command, cwd=folder, env=environment, check=False, capture_output=True, text=True)
    return done.stdout + done.stderr


def test_a_project_that_uses_every_public_name_has_no_error(checked):
    assert not re.search(r": error:", checked), checked
    assert "Success" in checked, checked


def test_no_result_holds_any(checked):
    revealed = re.findall(r'Revealed type is "(.*)"', checked)
    assert PROJECT.read_text(encoding="utf-8").count("reveal_type(") == len(revealed)
    assert [] == [each for each in revealed if "Any" in each]


def test_states_and_results_are_literals(checked):
    assert "Literal['stored']" in checked
    assert "Literal['created']" in checked


def test_the_project_uses_every_public_name():
    used = set(re.findall(r"\w+", PROJECT.read_text(encoding="utf-8")))
    assert [] == [name for name in punctual.__all__ if name not in used]


def test_every_public_name_has_a_docstring_that_an_editor_shows():
    for name in punctual.__all__:
        value = getattr(punctual, name)
        if isinstance(value, type):
            assert value.__doc__, name
            assert not value.__doc__.startswith(f"{name}("), f"{name} has only the docstring of its dataclass"
            for method, function in vars(value).items():
                if callable(function) and not method.startswith("_"):
                    assert function.__doc__, f"{name}.{method}"
