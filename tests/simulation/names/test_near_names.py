"""Near named schedules are listed and counted in the whole stack, with its feeds and its queues."""

from punctual.testing import Stack
from punctual.testing.calls import CallFault, Fair
from punctual.testing.services.aws_errors import refusal


def listed(stack, ahead_s=3_600):
    now = stack.now
    return [each["name"] for each in stack.manage("list", **{"from": now, "to": now + ahead_s})["schedules"]]


def counted(stack, ahead_s=3_600):
    now = stack.now
    return stack.manage("forecast", bucket=ahead_s, **{"from": now, "to": now + ahead_s})["total"]


def test_a_name_is_listed_from_its_request_to_its_delivery():
    """It is near from the start, or a feed moves it."""
    stack = Stack()
    stack.schedule({"delay": 600, "name": "near", "data": "x"})
    stack.schedule({"delay": 3_000, "name": "far", "data": "x"})
    assert (["near", "far"], 2) == (listed(stack), counted(stack))
    stack.advance(seconds=599)
    assert (["near", "far"], 2) == (listed(stack), counted(stack))
    stack.advance(seconds=2_000)
    assert "queued" == stack.manage("get", name="far")["state"]
    assert (["far"], 1) == (listed(stack), counted(stack))
    stack.advance(seconds=500)
    assert ([], 0) == (listed(stack), counted(stack))
    assert 2 == len(stack.released())


def test_unnamed_schedules_in_the_queues_are_counted():
    """The number is that of SQS."""
    stack = Stack()
    stack.schedule([{"delay": 600, "data": "x"}, {"delay": 601, "data": "y"}])
    stack.schedule({"delay": 600, "name": "near", "data": "x"})
    assert {"output": 2, "delivery": 1} == stack.manage("list")["queued"]


def test_a_sweep_is_exact_although_every_first_answer_is_lost():
    """No timer of a cancelled schedule stays in the table."""
    stack = Stack()
    stack.schedule([{"delay": 5_000 + number, "data": "x", "name": f"a/{number}"} for number in range(10)])
    fair = stack._cloud.network.faults
    stack._cloud.network.faults = FirstAnswersLost()
    assert {"matched": 10, "cancelled": 10, "next": None} == stack.manage("cancel_where", prefix="a/", dry_run=False)
    stack._cloud.network.faults = fair
    assert ([], 0) == (listed(stack, 10_000), counted(stack, 10_000))
    items = stack._cloud.dynamodb.tables[stack.output("TableName")].items
    assert [] == [rows for partition, rows in items.items() if partition.isdigit() and rows]


class FirstAnswersLost(Fair):
    def __init__(self) -> None:
        super().__init__(there_s=0.0, back_s=0.0)
        self.seen: set[str] = set()

    def call_fault(self, call):
        fault = CallFault(0, 0)
        key = str(call.parameters.get("Key"))
        if call.operation == "update_item" and key not in self.seen:
            self.seen.add(key)
            fault.error_after = refusal("InternalServerError", "x", 500)
        return fault
