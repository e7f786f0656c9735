"""An import whose process ends by SIGKILL or Ctrl-C, as a shell and a tired user do it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LINES, BATCH = 3_000, 20
END_S_MAX = 120.0
POLL_S = 0.002


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "orders.ndjson"
    path.write_text("".join(json.dumps({"delay": 90_000, "data": f"{number}"}) + "\n" for number in range(LINES)))
    return path


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "store"
    path.touch()
    return path


def started(store: Path, file: Path, pause_at: int = sys.maxsize) -> subprocess.Popen[str]:
    stand_in = Path(__file__).with_name("recording_stack.py")
    return subprocess.Popen(
        [sys.executable, str(stand_in), str(store), "import", str(file), "--batch-size", str(BATCH), "--workers", "4"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PAUSE_AT": str(pause_at)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def accepted(store: Path) -> list[tuple[str, ...]]:
    return [tuple(line.split(" ")) for line in store.read_text().splitlines()]


def ended_by(signal_number: int, store: Path, file: Path, count: int) -> tuple[int, str]:
    """Start an import, send a signal once the stack has so many schedules, and return status and standard error."""
    process = started(store, file, count)
    try:
        deadline_s = time.monotonic() + END_S_MAX
        while len(accepted(store)) < count and process.poll() is None and time.monotonic() < deadline_s:
            time.sleep(POLL_S)
        process.send_signal(signal_number)
        store.with_suffix(".go").touch()
        _, errors = process.communicate(timeout=END_S_MAX)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
        store.with_suffix(".go").unlink(missing_ok=True)
    return process.returncode, errors


def finished(store: Path, file: Path) -> None:
    process = started(store, file)
    _, errors = process.communicate(timeout=END_S_MAX)
    assert (0, "") == (process.returncode, errors)


def check_once(store: Path) -> None:
    """Every line is there, under one token and place. A batch that was under way at the kill may have come twice."""
    found = accepted(store)
    assert LINES == len(set(found))
    assert {f"{number}" for number in range(LINES)} == {data for _, _, data in found}


@pytest.mark.slow
def test_kills_in_the_middle_lose_and_double_nothing(store, file):
    for count in (1, LINES // 3, 2 * LINES // 3):
        status, _ = ended_by(signal.SIGKILL, store, file, count)
        assert -signal.SIGKILL == status
    assert len(set(accepted(store))) < LINES
    finished(store, file)
    check_once(store)


def test_an_interrupted_import_ends_cleanly_and_says_how_to_go_on(store, file):
    """Nothing is under way any more, so the second run sends no line twice."""
    status, errors = ended_by(signal.SIGINT, store, file, LINES // 3)
    assert 130 == status
    assert "Run the same command again: it sends only what is missing." in errors
    finished(store, file)
    check_once(store)
    assert LINES == len(accepted(store))
