"""An update from each earlier version, and the way back, on the virtual AWS: nothing is lost, and nothing comes twice.

The code of the earlier version runs in a process of its own, on the virtual AWS that this version had.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import under_way
import versions
from under_way import LATER_S

pytestmark = pytest.mark.slow

SCRIPT = Path(under_way.__file__)
RUNS_S_MAX = 300


@pytest.fixture(scope="module", params=versions.known())
def earlier(request, tmp_path_factory):
    """Return the folder of an earlier version."""
    folder = versions.unpacked(request.param, tmp_path_factory.mktemp("earlier"))
    if not (folder / "punctual" / "testing" / "services").is_dir():
        pytest.skip(f"{request.param} has no virtual AWS of this form; its recording stands for it")
    return folder


@pytest.fixture(scope="module")
def ours():
    """Return what this version stores and queues, and then sends."""
    return under_way.record()


def test_an_update_sends_everything_as_the_earlier_version_would(earlier, tmp_path):
    path = tmp_path / "recording.json"
    path.write_text(_run(earlier))
    recording = under_way.read(path)
    updated = under_way.replayed(recording)
    updated.stack.advance_to(LATER_S)
    assert recording["outcome"] == updated.outcome()


def test_the_earlier_version_sends_everything_that_this_one_stored(earlier, ours, tmp_path):
    """An update that goes wrong can be taken back, with schedules under way."""
    path = tmp_path / "recording.json"
    path.write_text(under_way.written(ours))
    assert ours["outcome"] == json.loads(_run(earlier, str(path)))


def _run(folder: Path, *arguments: str) -> str:
    """Run the script with the code of the folder and return what it prints."""
    command = [sys.executable, str(SCRIPT), *arguments]
    code = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, cwd=folder, env=code, timeout=RUNS_S_MAX
    )
    assert 0 == done.returncode, done.stderr
    return done.stdout
