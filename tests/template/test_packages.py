"""The wheel has every package of the functions and of the command. Without one, the code would fail at import."""

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]


@pytest.mark.parametrize(("folder", "prefix"), [("functions/scheduler", "punctual.stack.functions."), ("punctual", "")])
def test_each_package_is_listed_for_the_wheel(folder, prefix):
    top = (ROOT / folder).parent
    found = {prefix + ".".join(each.parent.relative_to(top).parts) for each in (ROOT / folder).rglob("__init__.py")}
    assert found <= set(PACKAGES)
