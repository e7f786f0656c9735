"""The functions stay small: a reader finds a place within a minute, and sees it whole."""

import ast
from pathlib import Path

FUNCTIONS = Path(__file__).parents[2] / "functions"
FILE_LINES_MAX = 300
FOLDER_MODULES_MAX = 13
FUNCTION_LINES_MAX = 35
HANDLER_LINES = range(10, 26)


def test_no_file_is_long():
    found = [f"{named(file)}: {count}" for file in files() if (count := line_count(file)) > FILE_LINES_MAX]
    assert not found, found


def test_no_folder_has_many_modules():
    folders = sorted({file.parent for file in files()})
    found = [f"{named(each)}: {count}" for each in folders if (count := module_count(each)) > FOLDER_MODULES_MAX]
    assert not found, found


def test_no_function_is_long():
    """Decorators do not count."""
    counts = [(file, name, count) for file in files() for name, count in function_line_counts(file)]
    found = [f"{named(file)}, {name}: {count}" for file, name, count in counts if count > FUNCTION_LINES_MAX]
    assert not found, found


def test_handlers_only_connect():
    """A handler takes its dependencies, makes one call, and returns."""
    handlers = sorted(FUNCTIONS.glob("*.py"))
    found = [f"{named(file)}: {count}" for file in handlers if (count := line_count(file)) not in HANDLER_LINES]
    assert not found, found


def files():
    return sorted(FUNCTIONS.rglob("*.py"))


def named(path):
    return str(path.relative_to(FUNCTIONS.parent))


def line_count(file):
    return len(file.read_text().splitlines())


def module_count(folder):
    return sum(file.name != "__init__.py" for file in folder.glob("*.py"))


def function_line_counts(file):
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, node.end_lineno - node.lineno + 1
