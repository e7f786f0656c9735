"""Random requests that follow the document, and random ones that break it, get only answers that it describes.

`make soak TESTS=tests/api/test_schemathesis.py` sends more than 10,000.
"""

import pytest

from punctual.local.api_server import ApiServer
from punctual.testing import Stack
from tests.api.fuzzing import fuzz


def requests_without_a_fault(phases, examples, folder):
    """Send requests, check every answer, and return how many requests reached the function."""
    with ApiServer(lambda: Stack(ApiEnabled=True)) as server:
        fuzz(server.url, server.new_key(), phases, examples, folder)
        return server.run(lambda stack: sum(line["outcome"] == "served" for line in stack.log()))


@pytest.mark.slow
def test_no_answer_is_a_fault_or_unknown_to_the_document(tmp_path):
    """A few random requests of each kind."""
    assert requests_without_a_fault("fuzzing", 10, tmp_path) > 100


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_of_ten_thousand_requests_no_answer_is_a_fault_or_unknown(tmp_path):
    """Also the examples of the document, and values at the bounds of each field."""
    assert requests_without_a_fault("examples,coverage,fuzzing", 750, tmp_path) >= 10_000
