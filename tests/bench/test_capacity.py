"""From which load on provisioned capacity is cheaper than on-demand."""

import json

import pytest

from bench import capacity
from bench.capacity import Use

PRICES = json.loads((capacity.PRICES).read_text())
ONE_BY_ONE = Use(write_units=2.0, read_units=0.04, bytes=300)
LEAST = 5


def test_a_small_load_is_cheaper_on_demand():
    assert capacity.on_demand(ONE_BY_ONE, 1_000_000, PRICES) < capacity.provisioned(
        ONE_BY_ONE, 1_000_000, LEAST, PRICES
    )


def test_a_steady_load_is_cheaper_with_provisioned_capacity():
    assert capacity.provisioned(ONE_BY_ONE, 1e8, LEAST, PRICES) < capacity.on_demand(ONE_BY_ONE, 1e8, PRICES) / 2


def test_provisioned_capacity_pays_from_the_load_at_which_both_cost_the_same():
    """Up to there the least capacity is enough."""
    load = capacity.pays_from(ONE_BY_ONE, LEAST, PRICES)
    assert 2e6 < load < 3e6
    both = capacity.on_demand(ONE_BY_ONE, load, PRICES), capacity.provisioned(ONE_BY_ONE, load, LEAST, PRICES)
    assert both[0] == pytest.approx(both[1])


def test_provisioned_writes_are_cheaper_if_three_tenths_of_them_are_in_use():
    share = capacity.share_in_use(PRICES)
    assert 0.28 < share < 0.30
    month_s = PRICES["assumed"]["hours_per_month"] * 3600
    used = share * month_s * PRICES["dollars_per_million"]["dynamodb_write_units"] / 1e6
    assert used == pytest.approx(PRICES["assumed"]["hours_per_month"] * PRICES["dollars_per_unit_hour"]["write"])


def test_storage_and_recovery_are_billed_by_size():
    assert (300, pytest.approx(135)) == capacity.stored(ONE_BY_ONE, 1e9, PRICES)
