"""The wheel has everything: it works in a folder without the repository."""

import email
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
IN_IT = ("pyproject.toml", "README.md", "LICENSE", "template.yml", "requirements", "functions", "punctual")
LEFT_OUT = shutil.ignore_patterns("__pycache__", ".*_cache")
pytestmark = pytest.mark.slow

USE = """
from punctual import Scheduler, __version__
from punctual.testing import Stack

stack = Stack()
assert __version__ == stack.output("Version")
scheduled = Scheduler(stack).schedule("from the wheel", delay=86_400)
stack.advance(days=1, minutes=1)
(released,) = stack.released()
assert (released.id, released.data) == (scheduled.id, "from the wheel")
served = Stack(ApiEnabled=True)
assert [200, 200] == [served.request("GET", path).status for path in ("/openapi.json", "/console")]
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build the wheel from a copy, so that nothing is left in the repository."""
    copy = tmp_path_factory.mktemp("copy")
    for name in IN_IT:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=LEFT_OUT)
        else:
            shutil.copy(ROOT / name, copy / name)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", copy / "built", copy]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert 0 == ended.returncode, ended.stderr
    (built,) = (copy / "built").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Unpack the wheel, as an installation does."""
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture
def python(installed, tmp_path):
    """Run Python in an empty folder, where `punctual` is the one of the wheel."""

    def python(*arguments):
        environment = {**os.environ, "PYTHONPATH": str(installed), "COLUMNS": "80"}
        command = [sys.executable, "-P", *arguments]
        ended = subprocess.run(
            command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300
        )
        assert 0 == ended.returncode, ended.stderr
        return ended.stdout

    return python


def test_it_needs_boto3_alone(installed):
    """Everything else belongs to an extra."""
    (metadata,) = installed.glob("punctual_aws-*.dist-info/METADATA")
    wanted = email.message_from_string(metadata.read_text()).get_all("Requires-Dist")
    assert ["boto3"] == [each for each in wanted if "extra ==" not in each]


def test_it_has_every_module_the_console_and_the_template(installed):
    """A package that pyproject.toml forgets would be missing here."""
    modules = {path.relative_to(ROOT) for path in (ROOT / "punctual").rglob("*.py")}
    modules |= {Path("punctual", "stack", path.relative_to(ROOT)) for path in (ROOT / "functions").rglob("*.py")}
    pages = (path for path in (ROOT / "functions" / "scheduler" / "console").rglob("*") if path.is_file())
    modules |= {Path("punctual", "stack", path.relative_to(ROOT)) for path in pages if path.suffix != ".pyc"}
    modules |= {Path("punctual", "stack", "template.yml"), Path("punctual", "py.typed")}
    assert set() == {module for module in modules if not (installed / module).exists()}


def test_client_and_virtual_stack_work(python):
    """They run the functions that are in the wheel."""
    python("-c", USE)


def test_the_command_works(python):
    """It lists its subcommands and shows its version."""
    assert "schedule" in python("-m", "punctual", "--help")
    assert python("-m", "punctual", "--version").startswith("punctual ")
