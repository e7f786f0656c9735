"""The ledger counts what enters and what leaves, for each application and day.

A crash counts too much, and never too little.
"""

import json

import pytest

from punctual.testing import Stack
from punctual.testing.calls import Fair
from punctual.testing.services.aws_errors import refusal
from punctual.testing.stack import Refused
from simulator import campaign
from simulator.workload.sharing import LEDGER_SEED
from tests.simulation.seeds.test_seeds import traces

HOOK = {"url": "https://hooks.example.com/due"}
DAY_S = 86_400
NO_COUNTS = dict.fromkeys(
    ("accepted", "redriven", "released", "delivered", "cancelled", "replaced", "expired", "failed"), 0
)


@pytest.fixture
def stack():
    return Stack(PartitionCount=2, Ledger=True, WebhookHosts="hooks.example.com")


def counted(stack, name="owner"):
    """Return the counters that are not 0."""
    total = stack.administer("usage", name=name)["total"]
    return {counter: number for counter, number in total.items() if number}


def rows(stack):
    (table,) = stack._cloud.dynamodb.tables.values()
    return [item for key, found in table.items.items() if key.startswith("count#") for item in found.values()]


# ---------------------------------------------------------------------------------------------------------- counters


def test_near_schedules_are_accepted_and_released_with_one_write(stack):
    stack.schedule([{"delay": 5, "data": "x"}] * 3)
    assert {"accepted": 3, "released": 3} == counted(stack)
    assert [1] == [int(row["seq"]["N"]) for row in rows(stack)]


def test_far_schedules_are_released_by_the_feed(stack):
    stack.schedule([{"delay": 3600 + number, "data": "x"} for number in range(40)])
    assert {"accepted": 40} == counted(stack)
    stack.advance(hours=2)
    assert {"accepted": 40, "released": 40} == counted(stack)


def test_a_webhook_is_delivered_and_not_released(stack):
    """The delivery queue is no exit."""
    stack.schedule([{"delay": 5, "data": "x", "target": HOOK}, {"delay": 3600, "data": "x", "target": HOOK}])
    assert {"accepted": 2} == counted(stack)
    stack.advance(hours=2)
    assert {"accepted": 2, "delivered": 2} == counted(stack)


def test_named_schedules_are_replaced_cancelled_and_delivered(stack):
    for name in ("a", "b", "c"):
        stack.schedule({"delay": 3600, "data": "x", "name": name})
    stack.schedule({"delay": 3600, "data": "y", "name": "a"})
    stack.schedule({"delay": 3600, "data": "y", "name": "a", "if_exists": "keep"})
    stack.manage("cancel", name="b")
    stack.manage("cancel", name="b")
    assert {"accepted": 4, "replaced": 1, "cancelled": 1} == counted(stack)
    stack.advance(hours=2)
    assert {"accepted": 4, "replaced": 1, "cancelled": 1, "delivered": 2} == counted(stack)


def test_a_change_neither_enters_nor_leaves(stack):
    stored = stack.schedule({"delay": 7200, "data": "x"})
    stack.schedule({"delay": 7200, "data": "x", "name": "a"})
    moved = stack.manage("move", id=stored["id"], delay=10_800)
    stack.manage("change", name="a", data="y")
    assert {"accepted": 2} == counted(stack)
    stack.manage("fire", id=moved["id"])
    assert {"accepted": 2, "released": 1} == counted(stack), "it went straight to the output queue"


def test_many_are_cancelled_together(stack):
    stack.schedule([{"delay": 3600, "data": "x", "name": f"n/{number}"} for number in range(12)])
    stack.manage("cancel_where", prefix="n/", dry_run=True)
    assert {"accepted": 12} == counted(stack)
    stack.manage("cancel_where", prefix="n/", dry_run=False)
    assert {"accepted": 12, "cancelled": 12} == counted(stack)


def test_an_unnamed_schedule_is_cancelled_once(stack):
    stored = stack.schedule({"delay": 7200, "data": "x"})
    stack.manage("cancel", id=stored["id"])
    with pytest.raises(Refused):
        stack.manage("cancel", id=stored["id"])
    assert {"accepted": 1, "cancelled": 1} == counted(stack)


def test_an_expired_and_a_failed_schedule_leave_and_a_redrive_enters(stack):
    stack.answer("hooks.example.com", 404)
    stack.schedule({"delay": 5, "data": "x", "target": HOOK})
    stack.advance(minutes=1)
    assert {"accepted": 1, "failed": 1} == counted(stack)

    stack.answer("hooks.example.com", 200)
    (failure,) = stack.manage("failures", **{"from": 0})["failures"]
    stack.manage("redrive", id=failure["id"])
    stack.advance(minutes=1)
    assert {"accepted": 1, "failed": 1, "redriven": 1, "delivered": 1} == counted(stack)


def test_what_is_rejected_is_not_accepted(stack):
    answer = stack.schedule([{"delay": 5, "data": "x"}, {"delay": -1, "data": "x"}])
    assert (1, 1) == (answer["accepted"], answer["rejected"])
    stack.schedule({"delay": 3600, "data": "x", "name": "a"})
    with pytest.raises(Refused):
        stack.schedule({"delay": 3600, "data": "x", "name": "a", "if_exists": "fail"})
    assert {"accepted": 2, "released": 1} == counted(stack)


def test_a_batch_that_is_sent_again_under_its_token_does_not_count_its_names_again(stack):
    batch = {
        "token": "t",
        "schedules": [{"timestamp": stack.now + 7200, "data": "x", "name": f"n{n}"} for n in range(3)],
    }
    stack.schedule(batch)
    stack.schedule(batch)
    assert {"accepted": 3} == counted(stack)


# ------------------------------------------------------------------------------------------------------------ crashes


class CountsFail(Fair):
    """DynamoDB refuses writes of counts."""

    down = True

    def call_fault(self, call):
        fault = super().call_fault(call)
        if (
            self.down
            and call.operation == "update_item"
            and call.parameters["Key"]["partition"]["S"].startswith("count#")
        ):
            fault.error_before = refusal("ThrottlingException", "", 400)
        return fault


def test_nothing_is_accepted_that_cannot_be_counted(stack):
    stack._cloud.network.faults = CountsFail()
    with pytest.raises(Refused, match="it was not counted"):
        stack.schedule({"delay": 5, "data": "x"})
    stack.advance(minutes=1)
    assert [] == stack.released()


def test_a_feed_does_not_wait_for_its_count(stack):
    """The count is written as soon as the table takes it."""
    due = stack.now + 3600
    stack.schedule({"timestamp": due, "data": "x"})
    faults = stack._cloud.network.faults = CountsFail()
    stack.advance(hours=1, seconds=5)
    assert 1 == len(stack.released())
    assert {"accepted": 1} == counted(stack)
    faults.down = False
    stack.schedule({"timestamp": stack.now + 3600, "data": "x"})
    stack.advance(hours=2)
    assert 2 == counted(stack)["accepted"]


# ------------------------------------------------------------------------------------------------------------ reading


def test_the_usage_of_a_month_is_listed_by_day(stack):
    stack.administer("create", name="billing", default_target="output")
    stack.schedule({"delay": 5, "data": "x", "application": "billing"})
    stack.advance(days=2)
    stack.schedule({"delay": 5, "data": "x", "application": "billing"})
    found = stack.administer("usage", name="billing")
    assert ("2030-01", "billing") == (found["month"], found["name"])
    assert [
        {"day": "2030-01-01", **NO_COUNTS, "accepted": 1, "released": 1},
        {"day": "2030-01-03", **NO_COUNTS, "accepted": 1, "released": 1},
    ] == found["days"]
    assert {**NO_COUNTS, "accepted": 2, "released": 2} == found["total"]
    assert {} == counted(stack), "the owner's are counted apart"


@pytest.mark.parametrize("month", ["2030-02", "2030-13", "0000-01", "january", 7, None])
def test_a_month_that_is_none_or_in_the_future_is_refused(stack, month):
    with pytest.raises(Refused, match=r"month is .*; wanted: a month of UTC"):
        stack.administer("usage", name="owner", month=month)


def test_an_earlier_month_may_be_empty(stack):
    assert ([], NO_COUNTS) == tuple(
        stack.administer("usage", name="owner", month="2029-12")[each] for each in ("days", "total")
    )


def test_recent_deliveries_are_listed_the_newest_first(stack):
    stack.schedule([{"delay": 5, "data": "x", "target": HOOK, "name": "a"}, {"delay": 65, "data": "x", "target": HOOK}])
    stack.advance(minutes=2)
    newer, older = stack.manage("deliveries")["deliveries"]
    assert ("a", None) == (older["name"], newer.get("name"))
    assert 0 <= older["delivered"] - older["timestamp"] < 1
    assert {"day": "2029-12-31", "deliveries": []} == stack.manage("deliveries", day="2029-12-31")
    with pytest.raises(Refused, match="day is 'monday'; wanted: a day of UTC"):
        stack.manage("deliveries", day="monday")


def test_without_the_ledger_nothing_is_counted():
    stack = Stack(PartitionCount=2)
    stack.schedule([{"delay": 5, "data": "x"}, {"delay": 3600, "data": "x"}])
    stack.advance(hours=2)
    assert [] == rows(stack)
    assert {} == counted(stack)
    assert [] == stack.manage("deliveries")["deliveries"]


def test_a_row_fits_into_one_write_unit(stack):
    stack.schedule([{"delay": 5, "data": "x", "target": HOOK, "name": "n" * 120 + str(number)} for number in range(30)])
    stack.advance(minutes=1)
    for row in rows(stack):
        assert len(json.dumps(row)) < 1_500


# ---------------------------------------------------------------------------------------------------------- simulator


def test_the_ledger_misses_nothing_under_random_faults():
    total = campaign.run(range(LEDGER_SEED, LEDGER_SEED + 2))
    assert not total.broken, traces(total)


@pytest.mark.slow
def test_the_ledger_misses_nothing_in_more_seeds():
    """`make simulate SEEDS=1000 FIRST=2000000000` runs a thousand."""
    total = campaign.run(range(LEDGER_SEED + 2, LEDGER_SEED + 12))
    assert not total.broken, traces(total)
