"""An application schedules to its own list of targets, failure targets and hosts."""

from __future__ import annotations

import pytest

from punctual.testing import Refused
from scheduler.model.application import OUTPUT
from shared_stack import FAR, A, B, Shared, refused


@pytest.fixture
def shared() -> Shared:
    return Shared()


def test_an_application_may_use_the_targets_on_its_list(shared: Shared):
    mine, theirs = shared.stack.add_target("mine"), shared.stack.add_target("theirs")
    shared.create(A, targets=(mine,))
    shared.schedule(A, delay=5, target=mine)
    said = refused(shared.schedule, A, delay=5, target=theirs)
    assert said.startswith("InvalidSchedule: target is ")
    assert said.endswith(
        "which is not listed; wanted: an ARN that this application may use; "
        "the owner of the stack creates applications with these"
    )
    shared.stack.advance(seconds=10)
    assert ["mine"] == [each.queue.rsplit("/")[-1] for each in shared.stack.released()]


def test_a_target_has_to_be_on_the_list_of_the_stack_as_well(shared: Shared):
    """The owner has taken it off the parameter TargetArns, so the functions may not send to it."""
    mine = shared.stack.add_target("mine")
    shared.create(A, targets=(mine,), default_target=mine)
    shared.stack.update(TargetArns="")
    assert "which is not listed" in refused(shared.schedule, A, delay=5, target=mine)
    assert "the stack does not allow this application's default target" in refused(shared.schedule, A, delay=5)


def test_failure_targets_have_a_list_of_their_own(shared: Shared):
    mine, failures = shared.stack.add_target("mine"), shared.stack.add_target("failures")
    shared.create(A, targets=(mine,), failure_targets=(failures,))
    shared.schedule(A, delay=5, failure_target=failures)
    assert "not listed" in refused(shared.schedule, A, delay=5, failure_target=mine)
    assert "not listed" in refused(shared.schedule, A, delay=5, target=failures)


def test_webhooks_need_a_host_on_the_list_of_the_application_and_of_the_stack(shared: Shared):
    shared.create(A, hosts=("a.example.com", "a.example.org"))
    shared.create(B)
    shared.schedule(A, delay=5, target={"url": "https://a.example.com/x"})
    for host in ("b.example.com", "a.example.org"):
        said = refused(shared.schedule, A, delay=5, target={"url": f"https://{host}/"})
        assert "an absolute URL whose host this application may use" in said
        assert "the owner of the stack creates applications with their hosts" in said
        assert "WebhookHosts" not in said
    said = refused(shared.schedule, B, delay=5, target={"url": "https://a.example.com/x"})
    assert "target is a webhook, and this application may use no host" in said


def test_an_application_without_a_default_target_has_to_name_one(shared: Shared):
    mine = shared.stack.add_target("mine")
    shared.create(A, targets=(mine,), default_target=None)
    said = refused(shared.schedule, A, delay=5)
    assert said.startswith("InvalidSchedule: target is missing, and this application has no default target; wanted: ")
    shared.schedule(A, delay=FAR, target=mine, name="n")
    assert "no default target" in refused(shared.manage, A, "change", name="n", target=None)


@pytest.mark.parametrize("delay", [5, FAR])
def test_the_default_target_gets_what_names_none(shared: Shared, delay: int):
    mine = shared.stack.add_target("mine")
    shared.create(A, default_target=mine)
    shared.create(B, default_target='{"url":"https://b.example.com/hook"}')
    shared.schedule(A, delay=delay)
    shared.schedule(B, delay=delay)
    shared.stack.advance(seconds=delay + 5)
    assert ["mine"] == [each.queue.rsplit("/")[-1] for each in shared.stack.released()]
    assert ["https://b.example.com/hook"] == [each.target for each in shared.stack.delivered()]


def test_a_change_keeps_to_the_lists_of_the_application(shared: Shared):
    other = shared.stack.add_target("other")
    shared.create(A, default_target=OUTPUT)
    shared.schedule(A, delay=FAR, name="n")
    assert "which is not listed" in refused(shared.manage, A, "change", name="n", target=other)


def test_a_batch_may_name_an_application(shared: Shared):
    shared.create(A)
    answer = shared.stack.schedule({"application": A, "schedules": [{"delay": FAR, "data": "x"}] * 3})
    assert 3 == answer["accepted"]
    assert {f"{each['id'].split('-')[0]}#{A}" for each in answer["results"]} <= shared.hash_keys()


def test_a_member_of_a_batch_names_no_application(shared: Shared):
    """A batch is for one application."""
    shared.create(A)
    (answer,) = shared.stack.schedule([{"delay": 5, "data": "x", "application": A}])["results"]
    assert "'application' is not a field" in answer["message"]


def test_a_stack_without_applications_stores_nothing_more(shared: Shared):
    """Only a request that names an application reads one."""
    shared.stack.schedule({"delay": FAR, "data": "x"})
    shared.stack.advance(seconds=FAR + 1)
    with pytest.raises(Refused):
        shared.stack.schedule({"delay": 5, "data": "x", "application": A})
    (item,) = [each for each in shared.items() if each["sort"]["S"] == "partitions"]
    assert {"partition", "sort", "count"} == set(item)
