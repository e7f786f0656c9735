"""The trigger counts the partitions that no feed has finished lately."""

import pytest

from fakes import NOON_MS, Clock, FakeTable
from scheduler.measuring import stale_partitions

INTERVAL_S = 600


def counted(fed_ms, partitions=4):
    table = FakeTable(fed_ms=fed_ms)
    return stale_partitions.count(range(partitions), table, INTERVAL_S, Clock().deadline())


def fed(*ages_s):
    return {str(partition): NOON_MS - 1_000 * age_s for partition, age_s in enumerate(ages_s)}


@pytest.mark.parametrize(("age_s", "stale"), [(600, 0), (1_230, 0), (1_499, 0), (1_501, 1), (1_770, 1)])
def test_a_partition_is_stale_after_two_missed_ticks(age_s, stale):
    """One missed tick makes it nearly two intervals old, and two nearly three."""
    assert stale == counted(fed(600, 600, age_s, 600))


def test_a_partition_without_a_time_is_stale_if_others_have_one():
    """Its feeds have never ended."""
    assert 1 == counted(fed(600, 600, 600))


def test_nothing_is_known_before_the_first_feed_has_ended():
    """Metrics were just turned on, so no lease has kept a time yet."""
    assert 0 == counted({})


def test_times_of_partitions_that_are_not_fed_any_more_do_not_count():
    assert 0 == counted(fed(600, 600, 9_000), partitions=2)


def test_a_table_that_does_not_answer_stops_no_trigger(capsys):
    """The feeds are invoked by then. The log says that nothing was measured."""
    table = FakeTable(down=True)
    assert 0 == stale_partitions.count(range(4), table, INTERVAL_S, Clock().deadline())
    assert '"outcome": "not measured"' in capsys.readouterr().out
