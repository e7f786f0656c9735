"""The code defines each limit of AWS once."""

import ast
from pathlib import Path

from scheduler import limits


def test_each_limit_is_defined_once():
    """A correction of one of two definitions would miss the other."""
    body = ast.parse(Path(limits.__file__).read_text(encoding="utf-8")).body
    names = [target.id for each in body if isinstance(each, ast.Assign) for target in each.targets]
    assert len(names) == len(set(names)) > 20
