"""Random requests that follow the document, and random ones that break it, get only answers that it describes.

`make soak TESTS=tests/api/test_schemathesis.py` sends more than 10,000.
"""

import subprocess
import sys

import pytest

from punctual.local.api_server import ApiServer
from punctual.local.emulation.isolation import HOST
from punctual.testing import Stack
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


def requests_without_a_fault(phases, examples, folder):
    """Send requests, check every answer, and return how many requests reached the function."""
    with ApiServer(lambda: Stack(ApiEnabled=True)) as server:
        options = {
            "--url": server.url,
            "--header": f"X-Api-Key: {server.new_key()}",
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
        return server.run(lambda stack: sum(line["outcome"] == "served" for line in stack.log()))


@pytest.mark.slow
def test_no_answer_is_a_fault_or_unknown_to_the_document(tmp_path):
    """A few random requests of each kind."""
    assert requests_without_a_fault("fuzzing", 10, tmp_path) > 100


@pytest.mark.soak
def test_of_ten_thousand_requests_no_answer_is_a_fault_or_unknown(tmp_path):
    """Also the examples of the document, and values at the bounds of each field."""
    assert requests_without_a_fault("examples,coverage,fuzzing", 600, tmp_path) >= 10_000
