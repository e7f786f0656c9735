"""`punctual apps` creates applications and keys, shows a key once, and exits with the status of what happened."""

from __future__ import annotations

import re

import pytest

from punctual.testing import Stack
from punctual.testing.calls import Call, CallFault, Fair
from tests.cli.conftest import Punctual

KEY = re.compile(r"pk[0-9a-f]{40}")


def test_create_shows_two_keys_and_says_that_it_shows_them_once(punctual: Punctual) -> None:
    ended = punctual("apps", "create", "billing", "--default-target", "output")

    first, control, data = ended.out.splitlines()
    assert re.fullmatch(r"created the application billing \([0-9a-f]{8}\)", first)
    assert re.fullmatch(rf"control [0-9a-f]{{8}}-[0-9a-f]{{8}}  {KEY.pattern}", control)
    assert re.fullmatch(rf"data    [0-9a-f]{{8}}-[0-9a-f]{{8}}  {KEY.pattern}", data)
    assert ended.err == "note: a key is shown once, and the stack keeps only its hash: store it now\n"


def test_create_prints_one_object_with_json(punctual: Punctual) -> None:
    made = punctual("apps", "create", "billing", "--default-target", "output", "--json").json

    assert {"application", "name", "control", "data"} == made.keys()
    for scope in ("control", "data"):
        assert ["id", "key"] == list(made[scope])


def test_an_application_that_can_send_nowhere_is_created_with_a_note(punctual: Punctual) -> None:
    assert "can schedule nothing" in punctual("apps", "create", "bare").err
    assert "can schedule nothing" not in punctual("apps", "create", "owner").err


def test_the_options_are_those_of_the_operation(punctual: Punctual, stack: Stack) -> None:
    queue = stack.add_target("bills")
    topic = stack.add_target("alarms", "sns")
    line = ["--default-target", queue, "--failure-target", topic, "--host", "api.example.com", "--rate", "5"]
    assert 0 == punctual("apps", "create", "billing", *line, "--burst", "7", "--quota", "1000").status

    found = punctual("apps", "list", "--json").json
    assert (queue, [queue], [topic]) == (found["default_target"], found["targets"], found["failure_targets"])
    assert (["api.example.com"], 5, 7, 1000) == (found["hosts"], found["rate"], found["burst"], found["quota"])
    assert "bills" in punctual("apps", "list").out


@pytest.mark.parametrize(
    ("line", "status", "says"),
    [
        (["create", "a b"], 4, "name is 'a b'; wanted: 1 to 64 of"),
        (["create", "a", "--rate", "0"], 4, "rate is 0"),
        (["create", "a", "--rate", "many"], 2, "'many' is not a valid integer"),
        (["create", "a", "--default-target", ""], 4, "default_target is ''"),
        (
            ["create", "a", "--target", "bills"],
            4,
            "targets is 'bills'; wanted: an ARN that the stack's TargetArns lists",
        ),
        (["change", "nobody", "--rate", "5"], 3, "there is no application 'nobody'"),
        (["change", "owner", "--rate", "5"], 4, "name is owner, which has the limits of the stack"),
        (["change", "a"], 2, "there is nothing to change: give an option such as --rate, --target or --clear quota"),
        (["change", "a", "--quota", "5", "--clear", "quota"], 2, "quota is both given and cleared"),
        (["change", "a", "--clear", "rate"], 2, "'rate' is not one of"),
        (["keys", "nobody"], 3, "there is no application 'nobody'"),
        (["rotate", "x"], 4, "id is 'x'"),
        (["rotate", "owner-00000000", "--grace", "soon"], 2, "'soon' is not a duration"),
        (["disable", "owner-00000000"], 3, "there is no key owner-00000000"),
        (["delete", "nobody"], 3, "there is no application 'nobody'"),
        (["crate", "x"], 2, "no such command 'crate'"),
    ],
)
def test_an_error_is_one_line_with_its_status(punctual: Punctual, line: list[str], status: int, says: str) -> None:
    ended = punctual("apps", *line)
    assert status == ended.status
    assert says in ended.err
    assert ("", 1) == (ended.out, len(ended.err.splitlines()))


def test_change_shows_all_that_is_decided_afterwards(punctual: Punctual, stack: Stack) -> None:
    queue, topic = stack.add_target("bills"), stack.add_target("alarms", "sns")
    punctual("apps", "create", "billing", "--target", queue, "--failure-target", topic, "--rate", "5", "--quota", "10")
    ended = punctual("apps", "change", "billing", "--default-target", "output", "--rate", "7", "--clear", "target")
    first, *lines = ended.out.splitlines()
    assert re.fullmatch(r"changed the application billing \([0-9a-f]{8}\)", first)
    assert [
        "default target   output",
        "targets          (none)",
        f"failure targets  {topic}",
        "hosts            (none)",
        "limits           7/s, burst 14, 10 a day",
    ] == lines
    assert (0, "") == (ended.status, ended.err)
    changed = punctual("apps", "change", "billing", "--clear", "default-target", "--json")
    assert (None, ["default_target"]) == (changed.json["default_target"], changed.json["changed"])
    assert "can schedule nothing" in changed.err


def test_a_change_that_allows_webhooks_says_where_their_secret_is(punctual: Punctual) -> None:
    punctual("apps", "create", "billing", "--default-target", "output")
    assert "" == punctual("apps", "change", "billing", "--rate", "5").err
    ended = punctual("apps", "change", "billing", "--host", "api.example.com")
    assert "note: punctual apps keys billing --webhook-secrets shows the secret that signs its webhooks\n" == ended.err


def test_a_change_whose_answer_is_lost_is_sent_again(punctual: Punctual, stack: Stack) -> None:
    """The same change once more changes nothing."""
    punctual("apps", "create", "billing", "--default-target", "output")
    stack._cloud.network.faults = faults = AnswersLost()
    assert 5 == punctual("apps", "change", "billing", "--rate", "7").status
    assert faults.calls > 1
    stack._cloud.network.faults = Fair()
    assert [7] == [each["rate"] for each in punctual("apps", "list", "--json").objects]


def test_a_key_is_never_shown_again(punctual: Punctual) -> None:
    made = punctual("apps", "create", "billing", "--json").json
    rotated = punctual("apps", "rotate", made["data"]["id"], "--grace", "1h", "--json").json
    assert KEY.fullmatch(rotated["key"])
    assert made["data"]["id"] == rotated["replaces"]
    for line in (["keys", "billing"], ["keys", "billing", "--json"], ["list"], ["disable", rotated["id"]]):
        ended = punctual("apps", *line)
        assert 0 == ended.status
        assert not KEY.search(ended.out + ended.err)


def test_an_application_is_deleted_unless_something_is_pending(punctual: Punctual, stack: Stack) -> None:
    made = punctual("apps", "create", "billing", "--json").json
    item = {"partition": {"S": f"0#{made['application']}"}, "sort": {"S": "001893456000000#0123456789abcdef"}}
    client, name = stack.client("dynamodb"), stack.output("TableName")
    client.put_item(TableName=name, Item=item)
    refused = punctual("apps", "delete", "billing")
    assert (4, True) == (refused.status, "schedules of billing are pending" in refused.err)

    client.delete_item(TableName=name, Key=item)
    assert f"deleted the application billing ({made['application']})\n" == punctual("apps", "delete", "billing").out
    assert "there is no application\n" == punctual("apps", "list").err


def test_repair_says_what_it_did_and_which_keys_to_rotate(punctual: Punctual, stack: Stack) -> None:
    """A key that was made before there was an API is unknown to API Gateway."""
    assert "completed 0 deletions; the stack has no HTTP API\n" == punctual("apps", "repair").out
    made = punctual("apps", "create", "early", "--json").json
    stack.update(ApiEnabled=True)
    punctual("apps", "create", "billing", "--json")
    stack.update(ApiEnabled=False)
    stack.update(ApiEnabled=True)

    first, *unknown = punctual("apps", "repair").out.splitlines()
    assert "completed 0 deletions; made 3 changes in API Gateway" == first
    ids = sorted(made[scope]["id"] for scope in ("control", "data"))
    assert [f"API Gateway does not know the key {id}: punctual apps rotate {id}" for id in ids] == unknown
    again = punctual("apps", "repair", "--json").json
    assert {"api": True, "ended": 0, "changed": 0, "left": 0, "rotate": ids} == again


class AnswersLost(Fair):
    """The answers of the admin function are lost."""

    def __init__(self) -> None:
        super().__init__(there_s=0.0, back_s=0.0)
        self.calls = 0

    def call_fault(self, call: Call) -> CallFault:
        fault = super().call_fault(call)
        if call.operation == "invoke":
            self.calls += 1
            fault.back_s = 600.0
        return fault


def test_a_call_that_makes_a_key_is_not_repeated(punctual: Punctual, stack: Stack) -> None:
    """A repeat would make another key that nobody has seen."""
    stack._cloud.network.faults = faults = AnswersLost()
    ended = punctual("apps", "create", "billing")
    assert (5, 1) == (ended.status, faults.calls)

    stack._cloud.network.faults = Fair()
    assert ["billing"] == [each["name"] for each in punctual("apps", "list", "--json").objects]


def test_usage_counts_each_day_and_the_month(punctual: Punctual, stack: Stack) -> None:
    stack.update(Ledger=True)
    stack.schedule([{"delay": 5, "data": "x"}] * 1200)
    stack.advance(hours=1)

    header, day, total = punctual("apps", "usage", "owner").out.splitlines()
    assert ["day", "accepted", "redriven", "released"] == header.split()[:4]
    assert ["1,200", "0", "1,200"] == day.split()[1:4]
    assert ["total", "1,200", "0", "1,200"] == total.split()[:4]
    objects = punctual("apps", "usage", "owner", "--json").objects
    assert [1200, 1200] == [each["accepted"] for each in objects]
    assert objects[-1]["day"] is None


def test_usage_of_a_month_without_counts_says_so(punctual: Punctual) -> None:
    assert "nothing of owner was counted in" in punctual("apps", "usage", "owner").err
    ended = punctual("apps", "usage", "owner", "--month", "soon")
    assert (4, True) == (ended.status, "month is 'soon'; wanted: a month of UTC" in ended.err)
    assert 3 == punctual("apps", "usage", "nobody").status
