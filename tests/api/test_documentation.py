"""The examples of docs/http-api.md run as they stand, one after the other, and its tables are those of the code."""

import json
import re
import shutil
import subprocess

import pytest

from punctual.local.api_server import ApiServer
from punctual.local.emulation.isolation import HOST
from punctual.testing import Stack
from scheduler.serving import problems
from tools.api_definition import ROOT

PAGE = (ROOT / "docs" / "http-api.md").read_text()
EXAMPLES = re.findall(r"^```bash\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
ANSWERS = re.findall(r"^```json\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_examples_run_one_after_the_other():
    """Each of them succeeds. `curl` fails on a status of an error, and shows nothing but the answer."""
    wrapped = 'curl() { command curl --silent --show-error --fail-with-body "$@" && echo; }\nset -e\n'
    with ApiServer(lambda: Stack(ApiEnabled=True)) as server:
        variables = {
            "URL": server.url,
            "KEY": server.new_key(),
            "NO_PROXY": HOST,
            "PATH": "/usr/local/bin:/usr/bin:/bin",
        }
        ended = subprocess.run(
            ["bash", "-c", wrapped + "".join(EXAMPLES)], env=variables, capture_output=True, text=True, check=False
        )
    assert 0 == ended.returncode, ended.stdout + ended.stderr
    answers = [json.loads(line) for line in ended.stdout.splitlines() if line]
    assert len(answers) == sum(line.startswith("curl ") for example in EXAMPLES for line in example.splitlines())
    assert json.loads(ANSWERS[0]).keys() == answers[0].keys()
    assert json.loads(ANSWERS[0])["timestamp"] == answers[0]["timestamp"]


def test_the_problem_on_the_page_is_the_one_that_the_api_answers(api):
    """Word by word."""
    answer = api("POST", "/schedules", {"delay": -1, "data": "x"})
    assert json.loads(ANSWERS[1]) == answer.json


def test_the_table_of_errors_has_every_error_with_its_status():
    """No error is missing, and none is invented."""
    told = {
        (int(status), name)
        for status, names in re.findall(r"^\| (\d{3}) \| (.+?) \|", PAGE, re.MULTILINE)
        for name in re.findall(r"`(\w+)`", names)
    }
    assert {(kind.status, name) for name, kind in problems.KINDS.items()} == told
