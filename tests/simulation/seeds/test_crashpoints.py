"""A crash at every single call of a small workload, before and after its effect."""

import pytest

from simulator.faults import crashpoints

pytestmark = pytest.mark.slow


def test_the_promises_hold_at_every_crash_point():
    """Every function of the workload crashes at each of its calls."""
    points = crashpoints.exhaust()
    broken = [f"{point.name}: {point.violation}\n" + "\n".join(point.trace) for point in points if point.violation]
    assert not broken, "\n".join(broken)
    for function in ("ScheduleFunction", "TriggerFunction", "FeedFunction", "DeliverFunction"):
        assert any(function in point.name for point in points)
