"""Register a schedule under its name, whatever DynamoDB answers."""

from dataclasses import replace

import pytest

from fakes import NOON_MS, schedule
from scheduler.errors import NotConfirmed
from scheduler.execution.deadline import Deadline
from scheduler.model.name_record import Record
from scheduler.placing import naming

REACH_MS = 900_000
DEADLINE = Deadline(lambda: NOON_MS / 1000, lambda pause_s: None, lambda: 0.5, NOON_MS / 1000 + 60)


class Unanswered:
    """Records whose first write has no answer, and which then hold the schedule of somebody else."""

    def __init__(self, current):
        self.current, self.writes = current, 0

    def put(self, new, even_if_pending=True):
        self.writes += 1
        if self.writes == 1:
            raise NotConfirmed("no answer")
        return False, self.current


@pytest.mark.parametrize(("if_exists", "repeats"), [("keep", False), ("replace", True)])
def test_a_result_after_a_write_without_an_answer_is_unconfirmed(if_exists, repeats):
    """AWS may still carry that write out. So the ledger goes on counting it."""
    own, other = (replace(schedule(number), name="bill") for number in (1, 2))
    records = Unanswered(Record(other, 7, NOON_MS))
    request = naming.NameRequest(own, 5, if_exists, repeats)
    result = naming.register(request, records, DEADLINE, REACH_MS)
    assert (other, True) == (result.schedule, result.unconfirmed)
    assert not naming.register(request, records, DEADLINE, REACH_MS).unconfirmed
