"""The delivery queue as the deliver function reads it itself, while a delivery hangs."""

import pytest

from fakes import schedule
from scheduler.aws.delivery_queue import WAIT_S
from scheduler.errors import NotConfirmed
from scheduler.model import delivery_job
from scheduler.model.delivery_job import DeliveryJob


def send(ports, *bodies):
    for body in bodies:
        ports.send_delivery(body)


def received(ports, most=10):
    """Return the bodies of the messages that one call receives."""
    return sorted(each.body for each in ports.delivery_queue.receive(most))


def test_a_received_message_has_its_body_and_its_job(ports):
    """A message without a delivery job says why it has none."""
    job = DeliveryJob(schedule(1), 2)
    send(ports, delivery_job.body(job), "Grüße 🎉")
    first, second = sorted(ports.delivery_queue.receive(10), key=lambda each: each.job is None)
    assert (job, "") == (first.job, first.fault)
    assert ("Grüße 🎉", None, True) == (second.body, second.job, bool(second.fault))
    assert first.id != second.id


def test_a_call_receives_no_more_messages_than_wanted(ports):
    """The others stay for the next call."""
    send(ports, "a", "b", "c")
    sizes = [len(found := ports.delivery_queue.receive(most)) for most in (2, 2)]
    assert [2, 1] == sizes
    assert found[0].body in "abc"


def test_a_received_message_is_hidden_until_its_visibility_ends(ports):
    """It comes again with the same id and another receipt handle."""
    send(ports, "a")
    (first,) = ports.delivery_queue.receive(10)
    assert [] == received(ports)
    ports.end_visibility()
    (second,) = ports.delivery_queue.receive(10)
    assert (first.id, "a") == (second.id, second.body)
    assert first.receipt != second.receipt


def test_a_deleted_message_does_not_come_again(ports):
    """The other messages do. A second delete is confirmed, because the answer to the first may be lost."""
    send(ports, "a", "b", "c")
    by_body = {each.body: each for each in ports.delivery_queue.receive(10)}
    for _ in range(2):
        ports.delivery_queue.delete(by_body["b"].receipt)
    ports.end_visibility()
    assert ["a", "c"] == received(ports)


def test_an_empty_queue_waits_for_a_moment_and_returns_nothing(ports):
    """So its reader does not ask again at once."""
    assert [] == received(ports)
    assert WAIT_S == ports.waited_s()


def test_a_queue_that_does_not_answer_confirms_neither_receive_nor_delete(ports):
    """The message is still there afterwards."""
    send(ports, "a")
    (message,) = ports.delivery_queue.receive(1)
    ports.go_down()
    for call in (lambda: ports.delivery_queue.receive(1), lambda: ports.delivery_queue.delete(message.receipt)):
        with pytest.raises(NotConfirmed):
            call()
