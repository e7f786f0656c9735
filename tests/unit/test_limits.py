"""The limits: numbers that others set stand in the code once."""

import ast
from pathlib import Path

from scheduler import limits


def test_each_limit_stands_once():
    """Of two, whoever corrects one leaves the other."""
    body = ast.parse(Path(limits.__file__).read_text(encoding="utf-8")).body
    names = [target.id for each in body if isinstance(each, ast.Assign) for target in each.targets]
    assert len(names) == len(set(names)) > 20
