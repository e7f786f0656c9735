"""An application creates as many schedules a day of UTC as its quota says. The counts survive crashes and go high."""

import pytest

from punctual.testing.calls import Fair
from punctual.testing.services.aws_errors import refusal
from tests.api.virtual_api import problem

ONE = {"delay": 86_400, "data": "x"}
MIDNIGHT_S = 86_400
"""The stack starts at midnight."""
NEW_ENVIRONMENT_S = 1_000
"""After so long without a request, Lambda has ended the execution environment."""


@pytest.fixture
def application(stack):
    return stack.administer("create", name="billing", default_target="output", quota=5)


@pytest.fixture
def create(api, application):
    """Create schedules with the data key of the application."""
    return lambda body: api("POST", "/schedules", body, key=application["data"]["key"])


def counts(stack):
    (table,) = stack._cloud.dynamodb.tables.values()
    return {
        hash_key: [(int(item["accepted"]["N"]), int(item["seq"]["N"]), int(item["ttl"]["N"])) for item in rows.values()]
        for hash_key, rows in table.items.items()
        if hash_key.startswith("count#") and rows
    }


def test_a_quota_ends_at_midnight(stack, create):
    """The answer says when."""
    assert [201] * 5 == [create(ONE).status for _ in range(5)]
    stack.advance(hours=1)

    refused = create(ONE)
    assert "0 of 5 a day are left" in problem(refused, 429, "TooManyRequests")
    assert MIDNIGHT_S - 3_600 - 60 <= int(refused.headers["retry-after"]) <= MIDNIGHT_S - 3_600
    stack.advance(seconds=int(refused.headers["retry-after"]))
    assert [201] * 5 == [create(ONE).status for _ in range(5)]


def test_a_batch_counts_its_members_and_is_accepted_as_a_whole(create):
    assert 200 == create([ONE] * 3).status
    assert "3 schedules are asked for, and 2 of 5 a day are left" in problem(create([ONE] * 3), 429, "TooManyRequests")
    assert 2 == create({"schedules": [ONE] * 2}).json["accepted"]
    problem(create(ONE), 429, "TooManyRequests")


def test_what_is_put_under_a_name_counts_too(api, application):
    for number in range(5):
        assert 201 == api("PUT", f"/names/n/{number}", ONE, key=application["control"]["key"]).status
    problem(api("PUT", "/names/n/0", ONE, key=application["control"]["key"]), 429, "TooManyRequests")
    assert 200 == api("GET", "/names/n/0", key=application["control"]["key"]).status, "it may still look"


def test_a_rejected_schedule_does_not_count(create):
    bad = {"delay": -1, "data": "x"}
    for _ in range(6):
        problem(create(bad), 400, "InvalidSchedule", "delay")
    assert 1 == create([ONE, bad, bad, bad]).json["accepted"]
    assert [201] * 4 == [create(ONE).status for _ in range(4)]
    problem(create(ONE), 429, "TooManyRequests")


def test_an_execution_environment_counts_what_others_accepted(stack, create, application):
    """Each has a row of its own with absolute totals."""
    for _ in range(4):
        create(ONE)
    stack.advance(seconds=NEW_ENVIRONMENT_S)
    assert 201 == create(ONE).status
    problem(create(ONE), 429, "TooManyRequests")

    found = counts(stack)
    assert all(hash_key.startswith(f"count#2030-01-01#{application['application']}#") for hash_key in found)
    rows = sorted(row for each in found.values() for row in each)
    assert [(1, 1), (4, 4)] == [row[:2] for row in rows]
    assert all(row[2] > stack.now + 365 * 86_400 for row in rows)


def test_the_owner_and_an_application_without_a_quota_are_counted_and_not_limited(stack, api):
    free = stack.administer("create", name="free", default_target="output")
    for key in (None, free["data"]["key"]):
        assert [201] * 7 == [
            api("POST", "/schedules", ONE, **({} if key is None else {"key": key})).status for _ in range(7)
        ]
    assert 7 == stack.administer("usage", name="free")["total"]["accepted"]
    assert 7 == stack.administer("usage", name="owner")["total"]["accepted"]


def test_what_the_owner_schedules_for_an_application_counts(stack, api, create):
    """It is never refused itself."""
    for _ in range(6):
        stack.schedule({**ONE, "application": "billing"})
    stack.advance(minutes=2)
    problem(create(ONE), 429, "TooManyRequests")


class CountsFail(Fair):
    """DynamoDB fails writes of counts, or loses the answers to them."""

    def __init__(self, times, **fault):
        super().__init__(there_s=0.0, back_s=0.0)
        self.left, self.fault = times, fault

    def call_fault(self, call):
        fault = super().call_fault(call)
        is_count = call.operation == "update_item" and call.parameters["Key"]["partition"]["S"].startswith("count#")
        if is_count and self.left:
            self.left -= 1
            for name, value in self.fault.items():
                setattr(fault, name, value)
        return fault


@pytest.mark.parametrize("fault", [{"back_s": 60.0}, {"error_before": refusal("ThrottlingException", "", 400)}])
def test_a_count_that_is_written_twice_counts_once(stack, create, fault):
    create(ONE)
    stack._cloud.network.faults = CountsFail(2, **fault)
    assert 201 == create(ONE).status
    assert [(2, 2)] == [row[:2] for rows in counts(stack).values() for row in rows]
    assert [201] * 3 == [create(ONE).status for _ in range(3)]
    problem(create(ONE), 429, "TooManyRequests")


def test_nothing_is_accepted_before_it_is_counted(stack, create):
    """So what is not counted does not use up the quota."""
    stack._cloud.network.faults = CountsFail(1_000, error_before=refusal("ThrottlingException", "", 400))
    problem(create(ONE), 503, "NotConfirmed")
    assert [] == stack.manage("list")["schedules"]

    stack._cloud.network.faults = Fair()
    assert [201] * 5 == [create(ONE).status for _ in range(5)]
    problem(create(ONE), 429, "TooManyRequests")


def test_a_deleted_application_creates_nothing(stack, create):
    create({"delay": 5, "data": "x"})
    stack.advance(minutes=1)
    stack.administer("delete", name="billing")
    stack.advance(minutes=1)
    problem(create(ONE), 403, "KeyRefused")
