"""The code of the README and of docs/getting-started.md works, here on the local AWS with the names filled in."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
FIRST_STEPS = (ROOT / "docs" / "getting-started.md").read_text()
ENDS_WITHIN_S = 120


def block(heading, language):
    """Return the only block of code in a section."""
    section = re.split(r"^## ", README.split(f"\n## {heading}\n")[1], flags=re.MULTILINE)[0]
    (code,) = re.findall(rf"```{language}\n(.*?)```", section, flags=re.DOTALL)
    return code


@pytest.fixture
def variables(stack):
    """What `.punctual/env` and an activated environment give to a shell."""
    folder = Path(sys.executable).parent
    return {
        **stack.emulator.environment(),
        "PUNCTUAL_STACK": stack.name,
        "PYTHONPATH": str(ROOT),
        "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
    }


@pytest.fixture
def run(variables):
    """Run a command as a reader would, and return what it prints."""

    def run(*command):
        ended = subprocess.run(
            command, env=variables, cwd=ROOT, capture_output=True, text=True, check=False, timeout=ENDS_WITHIN_S
        )
        assert 0 == ended.returncode, ended.stderr
        return ended.stdout

    return run


def test_python_schedules_and_consumes(run, variables):
    """The first block prints the answer. The second prints the message two seconds later, and waits for the next."""
    scheduled_id, *_, state = run(sys.executable, "-c", block("Schedule", "python")).split()
    assert "queued" == state
    command = [sys.executable, "-u", "-c", block("Receive", "python")]
    with subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as waiting:
        try:
            assert [scheduled_id, '{"order":42}'] == waiting.stdout.readline().split()[:2]
            waiting.send_signal(signal.SIGINT)
            assert "KeyboardInterrupt" in waiting.communicate(timeout=ENDS_WITHIN_S)[1]
        finally:
            waiting.kill()


def test_python_moves_changes_gets_and_cancels(run):
    """It prints one line each: moved by a day, changed, still stored, cancelled."""
    moved, changed, shown, cancelled = run(sys.executable, "-c", block("Change", "python")).splitlines()
    for line in (moved, changed):
        assert "state='stored'" in line
        assert "result='replaced'" in line
    assert "in two days" in shown
    assert "state='cancelled'" in cancelled


def test_python_debounces_a_session(run):
    """The second call replaces the first one."""
    first, second = run(sys.executable, "-c", block("Debounce", "python")).splitlines()
    assert "result='created'" in first
    assert "result='replaced'" in second


def test_the_command_schedules(run, table):
    """The second line of the block needs a file of the reader."""
    schedule, _import = block("Schedule", "sh").splitlines()
    assert "stored" in run("sh", "-c", schedule.replace("punctual", f"{sys.executable} -m punctual", 1))
    assert ["some payload"] == [item["data"]["S"] for item in table.items()]


def test_the_first_steps_schedule_receive_move_and_cancel(run):
    """Each block runs unchanged."""
    schedule, receive, get, change, local = re.findall(r"```python\n(.*?)```", FIRST_STEPS, flags=re.DOTALL)

    def lines(code):
        return run(sys.executable, "-c", code).splitlines()

    (scheduled,) = lines(schedule)
    assert "state='queued'" in scheduled
    assert ["call back reminder/1"] == lines(receive)
    assert ["delivered"] == lines(get)
    created, moved, data, state = lines(change)
    assert created < moved
    assert ("call back today", "cancelled") == (data, state)
    (due,) = lines(local)
    assert "2030-01-31 08:" in due
    commands = re.findall(r"^punctual (.* reminder/3|list)$", FIRST_STEPS, flags=re.MULTILINE)
    assert 3 == len(commands)
    for command in commands:
        assert "reminder/3" in run("sh", "-c", f"{sys.executable} -m punctual {command}")
