"""A batch whose lines are not all confirmed at once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from punctual.cli.bulk.reading.rows import Row
from punctual.cli.bulk.sending.batch_sender import IDLE_REPEATS_MAX, BatchSender
from punctual.cli.bulk.sending.batches import Batch
from punctual.cli.bulk.sending.journal import Range

ACCEPTED, WAITING = {"id": "1"}, {"error": "NotConfirmed", "message": "time is over"}
REFUSED = {"error": "InvalidSchedule", "message": "no"}


class Function:
    """Stands for the schedule function and for the clock. It answers what it is told, one answer a call."""

    def __init__(self, *answers: list[dict]) -> None:
        self._answers = list(answers)
        self.events: list[dict] = []
        self.pauses_s: list[float] = []

    def schedule(self, payload: bytes) -> dict:
        self.events.append(json.loads(payload))
        return {"results": self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]}

    def sleep(self, seconds: float) -> None:
        self.pauses_s.append(seconds)


def sent(function: Any, rows: int = 3) -> list[dict]:
    batch = Batch(Range(1, 0, 9, ""), [Row(number, b"", b'{"data":%d}' % number) for number in range(rows)])
    return list(BatchSender(function, function)(batch, "import-7-1"))


def test_a_batch_goes_again_as_a_whole_until_every_line_has_an_answer():
    """The token and the places make the ids."""
    function = Function([ACCEPTED, WAITING, WAITING], [ACCEPTED, ACCEPTED, WAITING], [ACCEPTED, ACCEPTED, ACCEPTED])
    assert [ACCEPTED, ACCEPTED, ACCEPTED] == sent(function)
    assert [{"token": "import-7-1", "schedules": [{"data": 0}, {"data": 1}, {"data": 2}]}] * 3 == function.events


def test_a_refusal_after_an_unknown_outcome_says_that_the_line_may_be_scheduled():
    """Whoever mends the line and sends it again has to look first."""
    function = Function([REFUSED, WAITING, WAITING], [REFUSED, WAITING, REFUSED], [REFUSED, REFUSED, REFUSED])
    first, second, third = sent(function)
    assert REFUSED == first
    assert second == third
    assert {
        "error": "InvalidSchedule",
        "message": "no; an earlier try was not confirmed, and may have scheduled it",
    } == third


def test_what_is_confirmed_once_stays_confirmed():
    function = Function([ACCEPTED, WAITING], [WAITING, ACCEPTED])
    assert [ACCEPTED, ACCEPTED] == sent(function, rows=2)


@pytest.mark.parametrize("progress", [0, 2])
def test_patience_ends_after_repeats_that_confirm_nothing_new(progress):
    steps = [[ACCEPTED] * number + [WAITING] * (3 - number) for number in range(progress + 1)]
    function = Function(*steps)
    assert steps[-1] == sent(function)
    assert 1 + progress + IDLE_REPEATS_MAX == len(function.events)
    assert all(pause_s > 0 for pause_s in function.pauses_s)


def test_a_batch_of_broken_lines_is_not_sent():
    function = Function([])
    batch = Batch(Range(1, 0, 9, ""), [Row(1, b"", fault="it is not JSON")])
    assert [] == BatchSender(function, function)(batch, "token")
    assert [] == function.events
