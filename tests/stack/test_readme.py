"""The code of the README and of docs/getting-started.md works, here on the local AWS with the names filled in."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
FIRST_STEPS = (ROOT / "docs" / "getting-started.md").read_text()


def block(heading, language):
    """Return the only block of code in a section."""
    section = re.split(r"^## ", README.split(f"\n## {heading}\n")[1], flags=re.MULTILINE)[0]
    (code,) = re.findall(rf"```{language}\n(.*?)```", section, flags=re.DOTALL)
    return code


@pytest.fixture
def run(stack):
    """Run a command as a reader would, with the outputs of the stack as variables."""

    def run(*command, folder=None):
        variables = {
            **stack.emulator.environment(),
            "SCHEDULE_FUNCTION": stack.outputs["ScheduleFunction"],
            "MANAGE_FUNCTION": stack.outputs["ManageFunction"],
            "OUTPUT_QUEUE_URL": stack.outputs["OutputQueueUrl"],
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }
        ended = subprocess.run(
            command, env=variables, cwd=folder, capture_output=True, text=True, check=False, timeout=60
        )
        assert 0 == ended.returncode, ended.stderr
        return ended.stdout

    return run


def test_python_schedules_and_consumes(run):
    """The first block prints the answer. The second prints the message two seconds later."""
    answer = json.loads(run(sys.executable, "-c", block("Schedule", "python")).replace("'", '"'))
    assert "queued" == answer["state"]
    assert [answer["id"], '{"order":42}'] == run(sys.executable, "-c", block("Receive", "python")).split()


def test_python_moves_gets_and_cancels(run):
    """It prints one line each: moved by a day, still stored, cancelled."""
    lines = run(sys.executable, "-c", block("Change", "python")).splitlines()
    moved, shown, cancelled = (ast.literal_eval(line) for line in lines)
    assert ("stored", "replaced") == (moved["state"], moved["result"])
    assert (moved["id"], "tomorrow", "stored") == (shown["id"], shown["data"], shown["state"])
    assert {"id": moved["id"], "state": "cancelled"} == cancelled


def test_python_debounces_a_session(run):
    """The second call replaces the first one."""
    first, second = map(ast.literal_eval, run(sys.executable, "-c", block("Debounce", "python")).splitlines())
    assert ("created", "replaced", "queued") == (first["result"], second["result"], second["state"])


def test_the_aws_cli_schedules_and_receives(run, stack, table):
    """AWS CLI version 1 needs the endpoint of SQS here. On AWS it knows it."""
    assert '"state": "stored"' in run("sh", "-c", block("Schedule", "sh"))
    assert ["some payload"] == [item["data"]["S"] for item in table.items()]
    stack.invoke("ScheduleFunction", {"delay": 0, "data": "hello"})
    receive = block("Receive", "sh").replace("aws sqs", 'aws --endpoint-url "$AWS_ENDPOINT_URL" sqs')
    assert "hello" == json.loads(run("sh", "-c", receive))["Messages"][0]["Body"]


def test_the_first_steps_schedule_receive_move_and_cancel(run, tmp_path):
    """Each block runs unchanged, in the folder with the file of the first block."""
    module, schedule, receive, get, change = re.findall(r"```python\n(.*?)```", FIRST_STEPS, flags=re.DOTALL)
    (tmp_path / "reminders.py").write_text(module)

    def lines(code):
        return run(sys.executable, "-c", code, folder=tmp_path).splitlines()

    (scheduled,) = map(ast.literal_eval, lines(schedule))
    assert ("queued", "created") == (scheduled["state"], scheduled["result"])
    assert ["call back"] == lines(receive)
    (shown,) = map(ast.literal_eval, lines(get))
    assert (scheduled["id"], "delivered") == (shown["id"], shown["state"])
    created, moved, found, cancelled = map(ast.literal_eval, lines(change))
    assert ("stored", "stored", "replaced") == (created["state"], moved["state"], moved["result"])
    assert (moved["id"], moved["timestamp"]) == (found["id"], found["timestamp"])
    assert {"id": moved["id"], "state": "cancelled"} == cancelled
