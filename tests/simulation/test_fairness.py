"""Targets that answer are served on time while many others are silent, in virtual time."""

from __future__ import annotations

import pytest

from punctual.testing import Stack
from punctual.testing.calls import Call, CallFault, Fair
from punctual.testing.services import event_sources
from punctual.testing.services.webhook_endpoints import HANGING, Behaviour

pytestmark = pytest.mark.slow

START = "2030-01-10T00:00:00Z"
ONCE = {"attempts": 1}
LATE_S_MAX = 1.05
"""One second until the message comes again, plus the calls in between."""


def stack_with(hosts, behaviour):
    stack = Stack(start=START, WebhookHosts="*")
    for host in hosts:
        stack._cloud.receivers.behaviour[host] = lambda: behaviour
    return stack


def schedule_all(stack, due, targets, data="x"):
    stack.schedule([{"timestamp": due, "data": data, "target": target, "retry": ONCE} for target in targets])


def webhook(host):
    return {"url": f"https://{host}/"}


def lateness(stack, host):
    """Return the lateness of each delivery to this host, in seconds."""
    moments = [(each.at, int(each.id.split("-")[1]) / 1000) for each in stack.delivered() if host in each.target]
    return sorted(at_s - due_s for at_s, due_s in moments)


@pytest.fixture
def busy_mapping(monkeypatch):
    """Let the event source mapping have five batches in flight, as after a minute of work.

    Two batches are not enough for 160 deliveries of nine seconds each: another host then waits up to six seconds.
    """
    monkeypatch.setattr(event_sources, "POLLERS_IDLE", event_sources.POLLERS)


@pytest.mark.usefixtures("busy_mapping")
@pytest.mark.parametrize("behaviour", [HANGING, Behaviour(answers_after_s=9.0)], ids=["dead", "slow"])
def test_many_hosts_of_a_dead_domain_delay_no_other_host(behaviour):
    """The other host is new to every environment, and more dead names wait than there are threads."""
    hosts = [f"c{number}.dead.example" for number in range(40)]
    stack = stack_with(hosts, behaviour)
    due = stack.now + 120
    schedule_all(stack, due, [webhook(host) for host in hosts] * 4)
    for number in range(80):
        schedule_all(stack, due + number * 0.5, [webhook("fine.example")])
    stack.advance(seconds=120 + 60)
    late_s = lateness(stack, "fine.example")
    assert 80 == len(late_s)
    assert late_s[-1] <= LATE_S_MAX


@pytest.mark.usefixtures("busy_mapping")
def test_a_service_that_hangs_delays_no_webhook():
    """A topic has no more threads than a host, and its messages do not wait for each other's timeouts."""

    class Hanging(Fair):
        def call_fault(self, call: Call) -> CallFault:
            return CallFault(100.0 if call.service == "sns" else 0.004, 0.002)

    stack = Stack(start=START, WebhookHosts="*")
    topic = stack.add_target("orders", "sns")
    stack._cloud.network.faults = Hanging(0, 0)
    due = stack.now + 120
    for wave in range(2):
        schedule_all(stack, due + wave * 3, [topic] * 160)
    for number in range(80):
        schedule_all(stack, due + number * 0.5, [webhook("fine.example")])
    stack.advance(seconds=120 + 60)
    late_s = lateness(stack, "fine.example")
    assert 80 == len(late_s)
    assert late_s[-1] <= LATE_S_MAX


def test_a_burst_to_a_healthy_host_is_not_slowed_in_new_environments():
    """The environments do not know the host at first, and postpone nothing."""
    stack = Stack(start=START, WebhookHosts="*")
    due = stack.now + 120
    schedule_all(stack, due, [webhook("fine.example")] * 500)
    stack.advance(seconds=120 + 30)
    late_s = lateness(stack, "fine.example")
    assert 500 == len(late_s)
    assert late_s[-1] < 1.3
    assert not [line for line in stack.log() if line.get("outcome") == "put off"]


def test_a_burst_to_a_dead_host_does_not_slow_a_burst_to_a_new_host():
    """The first answer of the new host lifts its limit, and the rest of the burst waits for it."""
    stack = stack_with(["dead.example"], HANGING)
    due = stack.now + 120
    schedule_all(stack, due, [webhook("dead.example")] * 100)
    schedule_all(stack, due + 5, [webhook("fine.example")] * 100)
    stack.advance(seconds=120 + 60)
    late_s = lateness(stack, "fine.example")
    assert 100 == len(late_s)
    assert late_s[-1] <= LATE_S_MAX
