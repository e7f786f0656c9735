"""A ledger keeps absolute totals for each application and day, and writes them before it returns."""

import pytest

from manage_fakes import FakeCounts
from scheduler.counting.ledger import NO_LEDGER
from scheduler.counting.written_ledger import WrittenLedger
from scheduler.errors import NotConfirmed
from scheduler.execution.deadline import Deadline
from scheduler.model.schedule import Key, Schedule
from scheduler.model.usage import RECENT_BYTES_MAX, RECENT_MAX

DAY_S = 86_400
NOON_S = 1_893_499_200
DAY, NEXT_DAY = "2030-01-01", "2030-01-02"
ENVIRONMENT = "0123456789abcdef"


class Clock:
    now_s = NOON_S

    def deadline(self):
        return Deadline(lambda: self.now_s, self.sleep, lambda: 0.5, self.now_s + 10)

    def sleep(self, seconds):
        self.now_s += seconds


@pytest.fixture
def rows():
    return FakeCounts()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def ledger(rows):
    return WrittenLedger.begin(rows, ENVIRONMENT)


def row(rows, application="", day=DAY):
    """Return the row that this environment has written."""
    (found,) = rows.read(day, application, ENVIRONMENT[0])
    return found


def totals(rows, application="", day=DAY):
    return dict(row(rows, application, day).totals)


def schedule(number, name=None):
    key = Key("3", f"{NOON_S * 1000 + number:015}#{number:016x}")
    return Schedule(key=key, due_ms=NOON_S * 1000 + number, data="x", name=name)


def test_a_count_is_in_the_table_when_it_returns(ledger, rows, clock):
    ledger.count(clock.deadline(), accepted=3, released=2)
    ledger.count(clock.deadline(), accepted=1)
    assert {"accepted": 4, "released": 2} == totals(rows)
    assert ENVIRONMENT == row(rows).environment
    assert 2 == row(rows).seq


def test_what_is_taken_back_is_corrected_by_the_next_write(ledger, rows, clock):
    day = ledger.count(clock.deadline(), accepted=3)
    ledger.take_back(day, accepted=2)
    assert {"accepted": 3} == totals(rows)
    ledger.settle(clock.deadline())
    assert {"accepted": 1} == totals(rows)


def test_nothing_is_written_if_nothing_has_changed(ledger, rows, clock):
    ledger.count(clock.deadline(), accepted=0)
    ledger.settle(clock.deadline())
    ledger.take_back(DAY, accepted=0)
    ledger.settle(clock.deadline())
    assert 0 == rows.writes


def test_a_count_that_is_not_written_does_not_count(ledger, rows, clock):
    """The caller does not go on then. The write may have come through, so the next one corrects it."""
    rows.down = True
    with pytest.raises(NotConfirmed):
        ledger.count(clock.deadline(), accepted=5)
    rows.down = False
    ledger.settle(clock.deadline())
    assert {"accepted": 0} == totals(rows)


def test_a_row_that_cannot_be_written_waits_in_memory_and_is_logged(ledger, rows, clock, capsys):
    rows.down = True
    ledger.add(ledger.today(clock.deadline()), delivered=2)
    ledger.settle(clock.deadline())
    assert '"not counted yet"' in capsys.readouterr().out
    rows.down = False
    ledger.settle(clock.deadline())
    assert {"delivered": 2} == totals(rows)


def test_each_application_has_rows_of_its_own(ledger, rows, clock):
    ledger.of("aaaaaaaa").count(clock.deadline(), accepted=1)
    ledger.add(DAY, failed=1)
    ledger.of("aaaaaaaa").settle(clock.deadline())
    assert {"accepted": 1} == totals(rows, "aaaaaaaa")
    assert {"failed": 1} == totals(rows)
    assert 1 == ledger.of("aaaaaaaa").accepted(DAY)
    assert 0 == ledger.of("bbbbbbbb").accepted(DAY)


def test_what_is_taken_back_after_midnight_is_taken_from_the_day_on_which_it_was_counted(ledger, rows, clock):
    day = ledger.count(clock.deadline(), accepted=2)
    clock.now_s += DAY_S
    ledger.take_back(day, accepted=1)
    ledger.count(clock.deadline(), accepted=5)
    ledger.settle(clock.deadline())
    assert {"accepted": 1} == totals(rows, day=DAY)
    assert {"accepted": 5} == totals(rows, day=NEXT_DAY)


def test_rows_of_earlier_days_are_forgotten_once_they_are_written(ledger, clock):
    for _ in range(5):
        ledger.count(clock.deadline(), accepted=1)
        clock.now_s += DAY_S
    assert 2 == len(ledger._rows.held)


def test_an_invocation_that_began_before_midnight_goes_on_with_its_row(ledger, rows, clock):
    """Another application has begun the next day meanwhile."""
    day = ledger.count(clock.deadline(), released=500)
    clock.now_s += DAY_S
    ledger.of("aaaaaaaa").count(clock.deadline(), accepted=1)
    ledger.count(clock.deadline(), day, released=300)
    assert {"released": 800} == totals(rows, day=DAY)


def test_a_row_keeps_the_latest_deliveries_that_fit_into_one_write_unit(ledger, rows, clock):
    for number in range(RECENT_MAX + 3):
        ledger.delivered(schedule(number), clock.deadline())
    ledger.settle(clock.deadline())
    recent = row(rows).recent
    assert RECENT_MAX >= len(recent)
    assert RECENT_BYTES_MAX >= sum(each.size for each in recent)
    assert schedule(RECENT_MAX + 2).id == recent[-1].id

    ledger.delivered(schedule(1, name="n" * 128), clock.deadline())
    ledger.delivered(schedule(2, name="m" * 128), clock.deadline())
    ledger.settle(clock.deadline())
    assert ["n" * 128, "m" * 128] == [each.name for each in row(rows).recent[-2:]]
    assert RECENT_BYTES_MAX >= sum(each.size for each in row(rows).recent)


def test_a_stack_without_a_ledger_counts_nothing(clock):
    day = NO_LEDGER.count(clock.deadline(), accepted=3)
    NO_LEDGER.take_back(day, accepted=1)
    NO_LEDGER.of("aaaaaaaa").delivered(schedule(1), clock.deadline())
    NO_LEDGER.settle(clock.deadline())
    assert not NO_LEDGER.on
    assert 0 == NO_LEDGER.accepted(day)
