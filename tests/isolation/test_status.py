"""The status counts what is overdue: of everybody for the owner, with a bounded number of queries."""

from __future__ import annotations

from typing import Any

from punctual.testing.calls import Call, CallFault, Fair
from scheduler.managing import status
from scheduler.model.bundle import Bundle, packed, text_of
from scheduler.model.schedule import Key, Schedule, sort_from
from shared_stack import FAR, A, B, Shared


def put_overdue(shared: Shared, whose: str, late_s: float, number: int = 1, partition: str = "0") -> None:
    """Store a schedule that no feed has taken."""
    due_ms = round((shared.stack.now - late_s) * 1000)
    own = f"{partition}#{whose}" if whose else partition
    item = {"partition": {"S": own}, "sort": {"S": f"{sort_from(due_ms)}#{number:016x}"}, "data": {"S": "x"}}
    shared.stack.client("dynamodb").put_item(TableName=shared.stack.output("TableName"), Item=item)


def of_application(shared: Shared, whose: str) -> dict[str, Any]:
    resources = shared.resources()
    found = resources.application(whose)
    assert found is not None
    deadline = resources.runtime.deadline(Remaining(), 6)
    return status.of_application(resources.for_managing(found), deadline)


class Remaining:
    def get_remaining_time_in_millis(self) -> int:
        return 28_000


def test_the_owner_sees_what_is_overdue_of_everybody(shared: Shared):
    for whose in (A, B):
        shared.schedule(whose, delay=FAR)
    put_overdue(shared, "", 60)
    put_overdue(shared, A, 120)
    put_overdue(shared, B, 300, partition="3")
    found = shared.stack.manage("status")
    assert {"count": 3, "complete": True} == found["overdue"]
    oldest = {"timestamp": shared.stack.now - 300, "partition": "3", "application": B}
    assert oldest == found["oldest_overdue"]


def test_the_oldest_may_be_the_owners(shared: Shared):
    shared.schedule(A, delay=FAR)
    put_overdue(shared, A, 60)
    put_overdue(shared, "", 90)
    assert "owner" == shared.stack.manage("status")["oldest_overdue"]["application"]


def test_nothing_is_overdue_in_a_stack_whose_feeds_run(shared: Shared):
    for whose in (A, B, ""):
        shared.schedule(whose, delay=FAR)
    shared.stack.advance(seconds=FAR)
    found = shared.stack.manage("status")
    assert ({"count": 0, "complete": True}, None) == (found["overdue"], found["oldest_overdue"])
    assert found["now"] - 600 <= found["last_feed"]["ended"] <= found["now"]


def test_an_application_sees_only_what_is_overdue_of_its_own(shared: Shared):
    """It learns nothing about the others, the partitions and the feeds."""
    for whose in (A, B):
        shared.schedule(whose, delay=FAR)
    put_overdue(shared, B, 60)
    put_overdue(shared, "", 60)
    assert {"now": shared.stack.now, "overdue": {"count": 0, "complete": True}, "oldest_overdue": None} == (
        of_application(shared, A)
    )
    found = of_application(shared, B)
    assert {"count": 1, "complete": True} == found["overdue"]
    assert {"timestamp": shared.stack.now - 60, "application": B} == found["oldest_overdue"]


def test_a_bundle_counts_with_all_of_its_members(shared: Shared):
    """Its first member is due before its key."""
    due_ms = round(shared.stack.now * 1000) - 60_000
    key = Key("1", f"{sort_from(due_ms)}#{7:016x}")
    members = [Schedule(key, due_ms - 1000 * number, "x", index=number) for number in range(3)]
    bundle = Bundle(key, packed([text_of(each, each.index) for each in members]), 3, due_ms - 2000)
    item = {
        "partition": {"S": "1"},
        "sort": {"S": key.sort},
        "bundle": {"B": bundle.packed},
        "members": {"N": "3"},
        "first": {"N": str(bundle.first_ms)},
    }
    shared.stack.client("dynamodb").put_item(TableName=shared.stack.output("TableName"), Item=item)
    found = shared.stack.manage("status")
    assert 3 == found["overdue"]["count"]
    assert shared.stack.now - 62 == found["oldest_overdue"]["timestamp"]


def test_more_than_one_query_can_count_is_told(shared: Shared):
    for number in range(status.STATUS_ITEMS_MAX + 1):
        put_overdue(shared, "", 60, number)
    assert {"count": status.STATUS_ITEMS_MAX, "complete": False} == shared.stack.manage("status")["overdue"]


class Queries(Fair):
    """Counts the queries for overdue schedules."""

    def __init__(self) -> None:
        super().__init__(there_s=0.0, back_s=0.0)
        self.partitions: list[str] = []

    def call_fault(self, call: Call) -> CallFault:
        if call.operation == "query":
            self.partitions.append(call.parameters["ExpressionAttributeValues"][":partition"]["S"])
        return super().call_fault(call)


def test_the_number_of_queries_is_bounded():
    """Each call looks at the owner, and at as many applications as there is room for."""
    shared = Shared(PartitionCount=256)
    applications = [f"{number:08x}" for number in range(5)]
    for each in applications:
        shared.create(each)
        shared.schedule(each, delay=FAR)
        put_overdue(shared, each, 60)
    put_overdue(shared, "", 60)
    queries = Queries()
    shared.stack._cloud.network.faults = queries
    found = shared.stack.manage("status")["overdue"]
    looked = [each for each in queries.partitions if not each.startswith("runs#")]
    assert status.LOOKS_MAX == len(looked) == len(set(looked))
    assert {str(number) for number in range(256)} < set(looked)
    assert {"count": 4, "complete": False} == found
