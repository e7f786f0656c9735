"""Random requests to an API: those that follow the document, and those that break it."""

import re
import subprocess
import sys
from pathlib import Path

from punctual.local.emulation.isolation import HOST
from tools.api_definition import DOCUMENT_PATH

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
SEED = 1
REQUEST_S_MAX = 120
"""A request of a slow and busy machine. The function itself ends after 28 virtual seconds."""
REPORT_CHARACTERS = 10_000


def fuzz(url: str, key: str, phases: str, examples: int, folder: Path) -> int:
    """Send requests and check every answer. Return how many requests were sent."""
    options = {
        "--url": url,
        "--header": f"X-Api-Key: {key}",
        "--checks": ",".join(CHECKS),
        "--phases": phases,
        "--max-examples": str(examples),
        "--seed": str(SEED),
        "--request-timeout": str(REQUEST_S_MAX),
        "--generation-database": "none",
        "--suppress-health-check": "all",
        "--warnings": "off",
    }
    command = [sys.executable, "-m", "schemathesis.cli", "run", str(DOCUMENT_PATH), "--no-color"]
    ended = subprocess.run(
        [*command, *(word for option in options.items() for word in option)],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={"HOME": str(folder), "NO_PROXY": HOST, "PYTHONIOENCODING": "utf-8"},
    )
    assert 0 == ended.returncode, ended.stdout[-REPORT_CHARACTERS:] + ended.stderr[-REPORT_CHARACTERS:]
    found = re.findall(r"([\d,]+) generated", ended.stdout)
    return sum(int(each.replace(",", "")) for each in found)
