"""The position of a page is short enough for an address, and what an earlier version wrote is read."""

import json

import pytest

from scheduler.errors import InvalidRequest
from scheduler.limits import PARTITIONS_MAX
from scheduler.managing import operations, paging, request
from scheduler.managing.listing import forecast
from scheduler.placing.near_names import NEAR_NAME_PARTITIONS as NEAR_PARTITIONS

ALL = [*map(str, range(PARTITIONS_MAX)), *NEAR_PARTITIONS]
MOMENT = "000001893456000"


def test_positions_are_read_as_they_were_written():
    """The partitions come in the order in which they are read: by number, and the index of near names last."""
    positions = dict.fromkeys(reversed(ALL), MOMENT) | {"7": f"{MOMENT}#0123456789abcdef ", "near#3": f"{MOMENT}#"}
    written = json.loads(json.dumps(paging.grouped(positions)))
    assert positions == paging.ungrouped(written)
    assert "0-6 8-255 near#0 near#1 near#2 near#4" in written[0][1]


@pytest.mark.parametrize(
    "groups",
    [
        None,
        {},
        [None],
        [[MOMENT]],
        [[MOMENT, 5]],
        [[MOMENT, "x"]],
        [[MOMENT, "5-3"]],
        [[MOMENT, "0-256"]],
        [[MOMENT, ""]],
    ],
)
def test_groups_that_nobody_wrote_are_refused(groups):
    """A caller may send anything."""
    with pytest.raises(ValueError, match="no "):
        paging.ungrouped(groups)


def test_the_position_of_the_most_partitions_fits_an_address():
    """Each partition that is being read has a place of its own. The others share one."""
    active = {each: f"{MOMENT}#{number:016x} " for number, each in enumerate(ALL[5:][: paging.ACTIVE_MAX])}
    rest = dict.fromkeys(ALL[5 + paging.ACTIVE_MAX :], MOMENT)
    assert len(paging.encode(forecast.KIND, paging.grouped(active | rest))) <= paging.NEXT_CHARACTERS_MAX
    members = {each: (place, 499) for each, place in active.items()} | dict.fromkeys(rest, (MOMENT, -2))
    order_key = 253_402_300_799_999, f"{MOMENT}#0123456789abcdef", "255", 499, 0, 253_402_300_799_999
    assert len(paging.encode("list by keys", *order_key, paging.grouped(members))) <= paging.NEXT_CHARACTERS_MAX


def test_a_position_of_an_earlier_version_is_read():
    """A caller may be between two pages while the stack is updated."""
    older = paging.encode("forecast", {"0": MOMENT, "near#3": f"{MOMENT}#0"})
    assert {"0": MOMENT, "near#3": f"{MOMENT}#0"} == forecast._positions(older)
    for value in (paging.encode("forecast", {"x": MOMENT}), paging.encode(forecast.KIND, [[MOMENT, "x"]])):
        asked = {"operation": "forecast", "from": 0, "to": 1, "bucket": 1, "next": value}
        with pytest.raises(InvalidRequest, match="next is"):
            forecast._positions(request.read(asked, operations.FIELDS_OF_OPERATION).fields["next"])
