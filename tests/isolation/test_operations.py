"""One application cannot read, change, fire, count or infer anything of another, in any operation."""

from __future__ import annotations

from typing import Any

import pytest

from punctual.testing import Refused
from scheduler.execution.deadline import Deadline
from scheduler.managing import operations
from scheduler.model.application import Application
from shared_stack import FAR, NEAR, A, B, Shared, refused

EVERYBODY = (A, B, "")
UNKNOWN_NAME = "NotFound: nothing is known under the name 'n'; it was never given, or its outcome is too long ago"

MORE: dict[str, dict[str, Any]] = {"move": {"delay": 5}, "change": {"data": "y"}}
"""The other fields that an operation needs."""


def unknown(schedule_id: str) -> str:
    return f"NotFound: {schedule_id} is not there: it was cancelled, moved or replaced, or never given"


def listed(shared: Shared, whose: str, **fields) -> list[str]:
    return sorted(each["data"] for each in shared.manage(whose, "list", **fields)["schedules"])


@pytest.mark.parametrize("whose", EVERYBODY)
@pytest.mark.parametrize("operation", ["get", "cancel", "fire", "move", "change"])
def test_the_id_of_another_is_as_unknown_as_one_that_never_was(shared: Shared, whose: str, operation: str):
    more = MORE.get(operation, {})
    for other in set(EVERYBODY) - {whose}:
        schedule_id = shared.schedule(other, delay=FAR)["id"]
        assert unknown(schedule_id) == refused(shared.manage, whose, operation, id=schedule_id, **more)
        assert "stored" == shared.manage(other, "get", id=schedule_id)["state"]
        assert "x" == shared.manage(other, "get", id=schedule_id)["data"]


@pytest.mark.parametrize("delay", [NEAR, FAR])
@pytest.mark.parametrize("operation", ["get", "cancel", "fire", "move", "change"])
def test_the_name_of_another_is_unknown(shared: Shared, operation: str, delay: int):
    more = MORE.get(operation, {})
    shared.schedule(B, delay=delay, name="n")
    assert refused(shared.manage, A, operation, name="n", **more) == UNKNOWN_NAME
    assert refused(shared.manage, "", operation, name="n", **more) == UNKNOWN_NAME
    assert "x" == shared.manage(B, "get", name="n")["data"]


@pytest.mark.parametrize("delay", [NEAR, FAR])
def test_all_may_have_the_same_name(shared: Shared, delay: int):
    for whose in EVERYBODY:
        answer = shared.schedule(whose, delay=delay, name="n", data=f"of {whose}", if_exists="fail")
        assert "created" == answer["result"]
    shared.manage(A, "cancel", name="n")
    shared.stack.advance(seconds=delay + 30)
    assert ["of ", f"of {B}"] == sorted(each.data for each in shared.stack.released())


def test_members_of_a_bundle_are_unknown_to_others(shared: Shared):
    batch = {"schedules": [{"delay": FAR, "data": "x"} for _ in range(3)]}
    results = shared.stack.schedule({**batch, "application": B})["results"]
    assert unknown(results[1]["id"]) == refused(shared.manage, A, "cancel", id=results[1]["id"])
    shared.manage(B, "cancel", id=results[1]["id"])
    assert 2 == len(listed(shared, B))


@pytest.mark.parametrize("fields", [{}, {"prefix": ""}, {"prefix": "n"}])
def test_a_list_holds_only_the_own_schedules(shared: Shared, fields: dict):
    for whose in EVERYBODY:
        for delay in (NEAR, FAR):
            shared.schedule(whose, delay=delay, name=f"n/{delay}", data=f"of {whose}")
    for whose in EVERYBODY:
        assert [f"of {whose}"] * 2 == listed(shared, whose, **fields)


def test_an_application_learns_no_counts_of_the_shared_queues(shared: Shared):
    shared.schedule(B, delay=NEAR)
    assert "queued" not in shared.manage(A, "list")
    assert "queued" in shared.manage("", "list")
    fields = {"from": shared.stack.now, "to": shared.stack.now + 2 * FAR, "bucket": FAR}
    assert "queued" not in shared.manage(A, "forecast", **fields)


def test_a_forecast_counts_only_the_own_schedules(shared: Shared):
    for number, whose in enumerate(EVERYBODY, 1):
        for index in range(number):
            shared.schedule(whose, delay=FAR)
            shared.schedule(whose, delay=NEAR, name=f"n/{index}")
    fields = {"from": shared.stack.now, "to": shared.stack.now + 2 * FAR, "bucket": FAR}
    assert [2, 4, 6] == [shared.manage(whose, "forecast", **fields)["total"] for whose in EVERYBODY]


def test_a_bulk_cancel_reaches_only_the_own_schedules(shared: Shared):
    for whose in EVERYBODY:
        shared.schedule(whose, delay=FAR, name="n")
    assert 1 == shared.manage(A, "cancel_where", prefix="", dry_run=True)["matched"]
    assert 1 == shared.manage(A, "cancel_where", prefix="", dry_run=False)["cancelled"]
    assert [0, 1, 1] == [len(listed(shared, whose)) for whose in EVERYBODY]


def test_failures_and_redrives_are_the_own(shared: Shared):
    """The failure queue is the owner's, and its reports say whose schedule has failed."""
    shared.stack.answer("down.example.com", 410)
    for whose in (A, B):
        shared.create(whose, hosts=("*.example.com",))
        target = {"url": "https://down.example.com/"}
        shared.schedule(whose, delay=5, target=target, data=f"of {whose}", name="n")
    shared.schedule("", delay=5, target={"url": "https://down.example.com/"}, data="of the owner")
    shared.stack.advance(seconds=30)
    found = {whose: shared.manage(whose, "failures")["failures"] for whose in EVERYBODY}
    assert [1, 1, 1] == [len(each) for each in found.values()]
    assert {A, B, None} == {report.get("application") for report in shared.stack.failures()}

    theirs = found[B][0]["id"]
    with pytest.raises(Refused, match=r"NotFound: .* is not among the failures that are kept"):
        shared.manage(A, "redrive", id=theirs)
    span = {"from": shared.stack.now - 60, "to": shared.stack.now}
    shared.stack.answer("down.example.com", 200)
    assert {"redriven": 1, "left": 0, "next": None} == shared.manage(A, "redrive", **span)
    shared.stack.advance(seconds=30)
    assert [f"of {A}"] == [each.data for each in shared.stack.delivered()]
    assert [0, 1, 1] == [len(shared.manage(whose, "failures")["failures"]) for whose in EVERYBODY]


def test_what_cannot_be_sent_is_put_aside_for_its_application(shared: Shared):
    """The feed quarantines it under the application's key, and neither another application nor the owner sees it."""
    schedule_id = shared.schedule(B, delay=FAR)["id"]
    partition, due, tail = schedule_id.split("-")
    key = {"partition": {"S": f"{partition}#{B}"}, "sort": {"S": f"{due}#{tail}"}}
    shared.stack.client("dynamodb").put_item(TableName=shared.stack.output("TableName"), Item=key)
    shared.stack.advance(seconds=FAR)
    assert [0, 1, 0] == [len(shared.manage(whose, "failures")["failures"]) for whose in EVERYBODY]
    assert {f"quarantine#{B}"} == {each for each in shared.hash_keys() if "quarantine" in each}


def test_a_page_goes_on_only_in_the_own_schedules(shared: Shared):
    """A position of one application's list carries no application, so it leads another one nowhere new."""
    for whose in (A, B):
        for index in range(3):
            shared.schedule(whose, delay=FAR + index, data=f"{whose} {index}")
    following = shared.manage(B, "list", limit=1)["next"]
    assert [f"{A} 1", f"{A} 2"] == listed(shared, A, next=following)


def test_tokens_of_two_applications_never_meet(shared: Shared):
    at = shared.stack.now + FAR
    ids = {whose: shared.schedule(whose, timestamp=at, token="t")["id"] for whose in EVERYBODY}
    assert 3 == len(set(ids.values()))
    assert ids == {whose: shared.schedule(whose, timestamp=at, token="t")["id"] for whose in EVERYBODY}
    batch = {"schedules": [{"timestamp": at, "data": "x", "spread": 600}] * 2, "token": "t"}
    first = [shared.stack.schedule({**batch, "application": whose})["results"][0] for whose in (A, B)]
    assert first[0]["id"] != first[1]["id"]
    assert first[0]["timestamp"] != first[1]["timestamp"]


# ------------------------------------------------------------------------------------- what only the owner may ask


def bound(shared: Shared, application: Application, event: dict):
    """Carry out an operation as a function does that has authenticated the application."""
    resources = shared.resources()
    deadline = Deadline(lambda: shared.stack.now, lambda _: None, lambda: 0.5, shared.stack.now + 20)
    return operations.manage(event, resources.for_managing(application), deadline)


@pytest.mark.parametrize("event", [{"operation": "list", "application": B}, {"operation": "list", "application": "*"}])
def test_an_application_cannot_name_another(shared: Shared, event: dict):
    with pytest.raises(Exception, match="'application' is not a field of list"):
        bound(shared, shared.create(A), event)


@pytest.mark.parametrize("operation", ["runs", "status"])
def test_an_application_sees_no_runs_of_the_feed(shared: Shared, operation: str):
    with pytest.raises(Exception, match=f"operation is '{operation}'; wanted: one of get, list"):
        bound(shared, shared.create(A), {"operation": operation})


def test_bound_dependencies_see_only_their_application(shared: Shared):
    for whose in EVERYBODY:
        shared.schedule(whose, delay=FAR, data=f"of {whose}")
    found = bound(shared, shared.create(A), {"operation": "list"})
    assert [f"of {A}"] == [each["data"] for each in found["schedules"]]


def test_the_owner_names_an_application_by_its_name_too(shared: Shared):
    shared.schedule(A, delay=FAR)
    assert 1 == len(shared.manage("app-a", "list")["schedules"])


@pytest.mark.parametrize("whose", ["nobody", "dddddddd", "3#aaaaaaaa", ""])
def test_an_unknown_application_is_an_error(shared: Shared, whose: str):
    assert "application" in refused(shared.stack.manage, "list", application=whose)
    assert "application is" in refused(shared.stack.schedule, {"delay": 5, "data": "x", "application": whose})


# ------------------------------------------------------------------------------------------- all of the applications


def test_the_owner_lists_all_applications_page_by_page(shared: Shared):
    for whose in EVERYBODY:
        for index in range(3):
            shared.schedule(whose, delay=FAR + index, data=f"{index}")
    found, following = [], None
    for _ in range(10):
        page = shared.stack.manage("list", application="*", limit=2, **({"next": following} if following else {}))
        found += [(each["application"], each["data"]) for each in page["schedules"]]
        assert len(page["schedules"]) <= 2
        following = page["next"]
        if following is None:
            break
    assert [(whose, str(index)) for whose in ("owner", A, B) for index in range(3)] == found


def test_the_owner_counts_all_applications(shared: Shared):
    for whose in EVERYBODY:
        shared.schedule(whose, delay=FAR)
    span = {"from": shared.stack.now, "to": shared.stack.now + 2 * FAR, "bucket": FAR}
    assert 3 == shared.stack.manage("forecast", application="*", **span)["total"]
    assert 1 == shared.stack.manage("forecast", **span)["total"]


@pytest.mark.parametrize("operation", ["get", "cancel", "change", "move", "fire", "cancel_where", "redrive"])
def test_an_operation_on_one_schedule_needs_one_application(shared: Shared, operation: str):
    said = refused(shared.stack.manage, operation, application="*")
    assert f"InvalidRequest: application is *, and {operation} is for one application" in said
    assert "* is for list, failures and forecast" in said
