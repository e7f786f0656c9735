"""The log has whole lines, even if several threads write at once."""

import importlib
import json
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from scheduler import log


class Stream:
    """Lambda's unbuffered stdout: every write is final."""

    def __init__(self):
        self.writes = []

    def write(self, text):
        self.writes.append(text)

    def flush(self):
        pass


def test_a_line_is_one_write(monkeypatch):
    """The write includes the newline, or a line of another thread could come between."""
    stream = Stream()
    monkeypatch.setattr(sys, "stdout", stream)
    threads = [
        threading.Thread(target=lambda: [log.outcome("fed", note="Grüße\nan alle") for _ in range(100)])
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = [text for text in stream.writes if text]
    assert ['{"outcome": "fed", "note": "Gr\\u00fc\\u00dfe\\nan alle"}\n'] * 800 == lines
    assert {"outcome": "fed", "note": "Grüße\nan alle"} == json.loads(lines[0])


def lines(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_line_above_info_names_its_level_and_a_timestamp(capsys):
    """Lambda treats a line as INFO if it has no level or no timestamp in RFC 3339."""
    log.outcome("quarantined", reason="too large")
    log.outcome("put off", id="1")
    quarantined, postponed = lines(capsys)
    assert ("quarantined", "too large", "ERROR") == tuple(quarantined[key] for key in ("outcome", "reason", "level"))
    assert "WARN" == postponed["level"]
    assert datetime.fromisoformat(quarantined["timestamp"]).tzinfo is UTC


@pytest.mark.parametrize(
    ("level", "kept"),
    [
        ("", ["fed", "put off", "quarantined"]),
        ("INFO", ["fed", "put off", "quarantined"]),
        ("WARN", ["put off", "quarantined"]),
        ("ERROR", ["quarantined"]),
        ("nonsense", ["fed", "put off", "quarantined"]),
    ],
)
def test_a_line_below_the_level_of_the_stack_is_not_written(capsys, monkeypatch, level, kept):
    """Lambda puts the level in the environment. A line that is not written costs nothing."""
    monkeypatch.setenv("AWS_LAMBDA_LOG_LEVEL", level)
    fresh = importlib.reload(log)
    for name in ("fed", "put off", "quarantined"):
        fresh.outcome(name)
    assert kept == [line["outcome"] for line in lines(capsys)]
    monkeypatch.undo()
    importlib.reload(log)


@pytest.mark.parametrize(("level", "marked"), [("", None), ("INFO", None), ("WARN", "WARN"), ("ERROR", "ERROR")])
def test_a_line_that_is_always_logged_has_the_level_of_the_stack(capsys, monkeypatch, level, marked):
    """Lambda drops a line below that level."""
    monkeypatch.setenv("AWS_LAMBDA_LOG_LEVEL", level)
    importlib.reload(log).always("changed", count=1)
    (line,) = lines(capsys)
    assert ("changed", 1, marked) == (line["outcome"], line["count"], line.get("level"))
    assert (marked is not None) == ("timestamp" in line)
    monkeypatch.undo()
    importlib.reload(log)


def test_every_outcome_with_a_level_is_logged_somewhere():
    """An unused entry would point to a renamed outcome."""
    code = "".join(path.read_text() for path in Path(log.__file__).parents[1].rglob("*.py"))
    assert not [name for name in log.LEVEL_OF if f'log.outcome("{name}"' not in code]


def test_a_line_names_the_application_that_the_work_is_about(capsys):
    """Also if the work fails. A name among the facts of the line comes first."""

    def fail():
        log.outcome("fed", partition="1")
        raise LookupError

    assert 3 == log.about("1f2e3d4c", lambda one, other: one + other, 1, 2)
    with pytest.raises(LookupError):
        log.about("1f2e3d4c", fail)
    log.about("1f2e3d4c", lambda: log.outcome("served", application="owner"))
    log.about("", lambda: log.outcome("fed"))
    log.outcome("fed")
    assert ["1f2e3d4c", "owner", None, None] == [line.get("application") for line in lines(capsys)]
