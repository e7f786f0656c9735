"""An import into the local AWS, killed in the middle. `python -m bench.import_lines` does it with 100,000 lines."""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path

import pytest

from bench.import_lines import import_file, orders, write_lines
from punctual.local.deployment import deploy
from punctual.local.emulation.emulator import Emulator

TEMPLATE = Path(__file__).parents[3] / "template.yml"
LINES = 5_000


@pytest.mark.slow
def test_a_killed_import_goes_on_and_has_every_line_once(tmp_path, monkeypatch):
    with Emulator(auth=True) as emulator:
        stack = deploy(emulator, TEMPLATE)
        monkeypatch.delenv("PUNCTUAL_STACK", raising=False)
        path = write_lines(tmp_path / "orders.ndjson", LINES)
        killed = import_file(emulator, path, "--batch-size", "250", "--workers", "4", killed_after=3)
        assert -signal.SIGKILL == killed.status
        again = import_file(emulator, path, "--workers", "4")
        assert (0, "") == (again.status, again.errors)
        assert Counter(range(LINES)) == orders(stack)
