"""Random requests to the HTTP API on the local AWS get only answers that its document describes.

`make soak TESTS=tests/stack/test_fuzzing.py` sends more than 10,000, through the local API Gateway to real functions.
"""

from pathlib import Path

import pytest

from punctual.local.deployment import deploy
from tests.api.fuzzing import fuzz

TEMPLATE_PATH = Path(__file__).parents[2] / "template.yml"
PARAMETERS = {"FeedIntervalMinutes": 10, "DeliveryLeadSeconds": 3, "ApiEnabled": True}
PHASES, EXAMPLES = "examples,coverage,fuzzing", 750
REQUESTS_MIN = 10_000


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_of_ten_thousand_requests_no_answer_is_a_fault_or_unknown(emulator, tmp_path):
    stack = deploy(emulator, TEMPLATE_PATH, "fuzzed", PARAMETERS)
    try:
        key = stack.invoke("AdminFunction", {"operation": "create", "name": "owner"})["control"]["key"]
        assert fuzz(stack.outputs["ApiUrl"], key, PHASES, EXAMPLES, tmp_path) >= REQUESTS_MIN
    finally:
        stack.delete()
