"""The rows of the ledger: absolute totals of one execution environment, for an application and a day."""

from dataclasses import replace

import pytest

from scheduler.errors import NotConfirmed
from scheduler.model.usage import COUNTERS, Count, Recent

DAY, NEXT_DAY = "2030-01-01", "2030-01-02"
COUNT = Count(DAY, "", "0123456789abcdef", 1, {"accepted": 4, "released": 2})


def read(ports, day=DAY, application="", row="0"):
    return ports.counts.read(day, application, row)


def totals(count):
    """Return every total. A counter that is missing is 0."""
    return {name: count.totals.get(name, 0) for name in COUNTERS}


def facts(counts):
    return [
        (each.day, each.application, each.environment, each.seq, totals(each), tuple(each.recent)) for each in counts
    ]


def test_a_row_is_read_as_it_was_written(ports):
    """Its latest deliveries keep their order. Only a schedule with a name has one."""
    recent = (Recent("0-1-a", 7, 9), Recent("0-1-b", 8, 10, "order/Ünal"))
    each = replace(COUNT, totals={name: number for number, name in enumerate(COUNTERS)}, recent=recent)
    ports.counts.write(each)
    assert facts([each]) == facts(read(ports))


def test_a_later_write_of_a_row_replaces_the_earlier_one(ports):
    """Its totals are absolute, and may be lower after a correction."""
    ports.counts.write(COUNT)
    later = replace(COUNT, seq=2, totals={"accepted": 3, "released": 5}, recent=(Recent("0-1-a", 7, 9),))
    ports.counts.write(later)
    assert facts([later]) == facts(read(ports))


@pytest.mark.parametrize("seq", [1, 2])
def test_an_earlier_write_that_arrives_later_changes_nothing(ports, seq):
    """It is no error. A write whose answer was lost is made again in the same way."""
    later = replace(COUNT, seq=2)
    ports.counts.write(later)
    ports.counts.write(replace(COUNT, seq=seq, totals={"accepted": 99}))
    assert facts([later]) == facts(read(ports))


def test_each_environment_has_a_row_of_its_own(ports):
    """Those that share the first digit are read together, in the order of their texts."""
    others = [replace(COUNT, environment=each, seq=7) for each in ("0fffffffffffffff", "1000000000000000")]
    for each in (*others, COUNT):
        ports.counts.write(each)
    assert facts([COUNT, others[0]]) == facts(read(ports))
    assert facts([others[1]]) == facts(read(ports, row="1"))


def test_days_and_applications_are_apart(ports):
    """The owner's application has no id."""
    others = [replace(COUNT, day=NEXT_DAY), replace(COUNT, application="aaaaaaaa")]
    for each in (*others, COUNT):
        ports.counts.write(each)
    assert facts([COUNT]) == facts(read(ports))
    assert facts([others[0]]) == facts(read(ports, day=NEXT_DAY))
    assert facts([others[1]]) == facts(read(ports, application="aaaaaaaa"))
    assert [] == read(ports, day=NEXT_DAY, application="aaaaaaaa")


def test_counts_that_do_not_answer_confirm_neither_write_nor_read(ports):
    ports.go_down()
    for call in (lambda: ports.counts.write(COUNT), lambda: read(ports)):
        with pytest.raises(NotConfirmed):
            call()
