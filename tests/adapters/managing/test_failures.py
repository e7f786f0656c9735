"""Failures in the table are spread over keys and read in order, including those of the previous version."""

import pytest

from fakes import NOON_MS
from scheduler.managing import paging
from scheduler.model.schedule import sort_from
from whole_stack import NOON_S, WholeStack, ask_on, bend_pages, fail

DAY_BEFORE = {"from": NOON_S - 86_400, "to": NOON_S}


@pytest.fixture
def stack(cloud):
    return WholeStack(cloud)


def old_failure(stack, number, at_ms):
    """Store a failure as the previous version did, under one key for the whole day."""
    each = fail(stack, number, at_ms)
    (item,) = [item for item in stack.cloud.items() if item.get("id") == {"S": each.id}]
    key = {"partition": item["partition"], "sort": item["sort"]}
    stack.cloud.dynamodb.delete_item(TableName="schedules", Key=key)
    item["partition"] = {"S": item["partition"]["S"].rpartition("#")[0]}
    stack.cloud.dynamodb.put_item(TableName="schedules", Item=item)
    return each


@pytest.mark.slow
def test_failures_of_a_day_are_spread_over_keys_and_shown_in_order(stack):
    """They come page by page, with failures of the previous version under one key among them."""
    for number in range(60):
        (old_failure if number % 5 == 0 else fail)(stack, number, NOON_MS - 60_000 + number // 2)
    partitions = {item["partition"]["S"] for item in stack.cloud.items()}
    assert {"failed#2029-12-31"} < partitions
    assert 12 < len(partitions)
    bend_pages(stack, 2)
    for limit in (7, 1_000):
        shown = [each for answer in ask_on(stack, 1_000, operation="failures", limit=limit, **DAY_BEFORE)
                 for each in answer["failures"]]  # fmt: skip
        assert [(NOON_MS - 60_000 + number // 2) / 1000 for number in range(60)] == [each["failed"] for each in shown]
        assert 60 == len({each["id"] for each in shown})


@pytest.mark.slow
def test_a_page_of_failures_is_in_time_and_the_next_one_continues(stack):
    """Each failure is shown once and in order, however slow the table is."""
    for number in range(60):
        fail(stack, number, NOON_MS - 60_000 + number)
    bend_pages(stack, 1)
    stack.cloud.dynamodb.meta.events.register("before-call.dynamodb.Query", lambda **_: stack.clock.sleep(0.1))
    answers = ask_on(stack, 0.5, operation="failures", **DAY_BEFORE)
    assert len(answers) > 2
    shown = [each["failed"] for answer in answers for each in answer["failures"]]
    assert [(NOON_MS - 60_000 + number) / 1000 for number in range(60)] == shown


def test_a_page_after_one_of_the_previous_version_continues(stack):
    """Its cursor names the old key of the day."""
    each = [old_failure(stack, number, NOON_MS - 60_000 + number) for number in range(3)]
    fail(stack, 3, NOON_MS - 1_000)
    place = "failed#2029-12-31", f"{sort_from(NOON_MS - 60_000)}#{each[0].id}"
    answer = stack.ask("failures", next=paging.encode("failures", *place), **DAY_BEFORE)
    assert [NOON_S - 59.999, NOON_S - 59.998, NOON_S - 1] == [each["failed"] for each in answer["failures"]]


def test_failures_of_the_previous_version_are_redriven(stack):
    """By id, and with the other failures of a time range."""
    first, *_ = [old_failure(stack, number, NOON_MS - 60_000 + number) for number in range(3)]
    fail(stack, 3, NOON_MS - 1_000)
    assert 1 == stack.ask("redrive", id=first.id)["redriven"]
    assert {"redriven": 3, "left": 0, "next": None} == stack.ask("redrive", **DAY_BEFORE)
    assert ["data 0", "data 1", "data 2", "data 3"] == sorted(each["Body"] for each in stack.cloud.received())
    assert [] == stack.ask("failures", **DAY_BEFORE)["failures"]


@pytest.mark.parametrize("page", [1, 1_000])
def test_a_schedule_that_failed_several_times_is_redriven_once(stack, page):
    """A feed keeps an expiry again if it could not delete the schedule. Beyond the reach each would get a new id."""
    twice = [fail(stack, number, NOON_MS - 60_000 + number) for number in range(3)]
    for number in range(3):
        assert twice[number].id == fail(stack, number, NOON_MS - 30_000 + number).id
    bend_pages(stack, page)
    assert {"redriven": 3, "left": 0, "next": None} == stack.ask("redrive", spread=2_000_000, **DAY_BEFORE)
    assert [] == stack.ask("failures", **DAY_BEFORE)["failures"]
    assert ["data 0", "data 1", "data 2"] == stack.come_out(NOON_S + 2_000_000)


def test_a_redrive_after_a_crash_uses_the_id_that_was_noted(stack):
    """The schedule is under that id already, so another failure of it must not get a new one."""
    for at_ms in (NOON_MS - 60_000, NOON_MS - 30_000):
        each = fail(stack, 1, at_ms)
    key = [item for item in stack.cloud.items() if item["id"] == {"S": each.id}][-1]
    noted = f"1-{sort_from(NOON_MS + 1_000_000)}-00000000000000ff"
    stack.cloud.dynamodb.put_item(TableName="schedules", Item={**key, "again": {"S": noted}})
    assert 1 == stack.ask("redrive", spread=2_000_000, **DAY_BEFORE)["redriven"]
    assert [f"{sort_from(NOON_MS + 1_000_000)}#00000000000000ff"] == [item["sort"]["S"] for item in stack.waiting()]


def test_a_redrive_of_months_without_failures_ends_in_time(stack):
    """The answer holds the position for the next call."""
    stack.cloud.dynamodb.meta.events.register("before-call.dynamodb.Query", lambda **_: stack.clock.sleep(0.05))
    last_days = {"from": NOON_S - 20 * 86_400, "to": NOON_S}
    answers = ask_on(stack, 5, operation="redrive", **last_days)
    assert len(answers) > 2
