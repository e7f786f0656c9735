"""What the parts of the repository import of each other. `make lint` checks the packages of the functions."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
IN_LAMBDA = {"botocore", "dateutil", "urllib3"}
"""Libraries of the Lambda runtime: boto3 builds on the first, which needs the others."""
OURS = {"scheduler", "punctual", "simulator", "bench", "tests", "tools"}


def imports_of(folder):
    """Return the top-level modules that the files of a folder import, each with one file that does."""
    found = {}
    for path in sorted((ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names = [each.name for each in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            else:
                continue
            found |= {name.partition(".")[0]: str(path.relative_to(ROOT)) for name in names}
    return found


def test_the_functions_import_nothing_that_lambda_lacks():
    allowed = {"scheduler", *IN_LAMBDA, *sys.stdlib_module_names}
    assert {} == {name: path for name, path in imports_of("functions").items() if name not in allowed}


@pytest.mark.parametrize(
    ("folder", "allowed"),
    [("functions", {"scheduler"}), ("punctual", {"punctual"}), ("simulator", {"simulator", "punctual"})],
)
def test_a_part_imports_only_the_parts_below_it(folder, allowed):
    """So the package on PyPI works without the simulator, and the functions without the package."""
    assert {} == {name: path for name, path in imports_of(folder).items() if name in OURS - allowed}
