"""The files from other projects are those that their notes name."""

import hashlib
import re
from pathlib import Path

VENDOR = Path(__file__).parent / "vendor"


def test_axe_core_is_the_one_that_its_note_names():
    note = (VENDOR / "axe.README.txt").read_text(encoding="utf-8")
    digest = re.search(r"SHA-256: ([0-9a-f]{64})", note)[1]
    assert hashlib.sha256((VENDOR / "axe.min.js").read_bytes()).hexdigest() == digest
    assert "Mozilla Public License" in (VENDOR / "axe.LICENSE.txt").read_text(encoding="utf-8")
