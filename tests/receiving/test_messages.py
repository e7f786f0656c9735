"""The loop over the output queue: when a message is deleted, released, extended and recognized as a repeat."""

from __future__ import annotations

import gc
import os
import threading
from datetime import UTC, datetime
from types import SimpleNamespace

import boto3
import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from punctual.client.backend import AwsBackend
from punctual.client.errors import AccessDenied, StackNotFound, Unreachable
from punctual.receiving.held import EXTEND_BELOW_S, HIDDEN_S, HOLD_S_MAX, LOOK_EVERY_S, Held, hold_of
from punctual.receiving.messages import WAIT_S, Messages
from punctual.receiving.output_queue import OutputQueue


def messages(output, **more):
    return Messages(output.world, output.url, wait=False, **more)


def failing(error, times):
    """Return a function that raises the error as often as this."""
    left = iter(range(times))

    def fail(**_):
        if next(left, None) is not None:
            raise error

    return fail


def aws_error(code, status=400):
    return ClientError({"Error": {"Code": code, "Message": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "x")


def test_a_message_has_the_parts_of_its_schedule(output):
    output.world.time += 1.25
    output.send("2-7", name="order/7", user="shop")
    (message,) = messages(output)
    assert ("2-7", datetime(2030, 1, 1, tzinfo=UTC), 1.25) == (message.id, message.due, message.lateness)
    assert ('{"order": 7}', {"order": 7}, "order/7", "shop") == (message.data, message.json, message.name, message.user)


def test_a_message_of_an_application_names_it(output):
    """One of the owner names none."""
    output.send("a", application="1f2e3d4c")
    output.send("b")
    assert {"a": "1f2e3d4c", "b": None} == {message.id: message.application for message in messages(output)}


def test_the_data_is_not_in_the_representation(output):
    """A log line with the message quotes no data. Neither does the error about data that is not JSON."""
    output.send("a", data="secret")
    (message,) = messages(output)
    assert "secret" not in repr(message)
    with pytest.raises(ValueError, match="schedule a is not JSON") as caught:
        _ = message.json
    assert "secret" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_message_that_punctual_did_not_send_has_the_id_and_the_time_of_sqs(output):
    """Nothing is lost, and the loop goes on."""
    sent = output.world.sqs.send_message(QueueUrl=output.url, MessageBody="hello")
    (message,) = messages(output)
    assert (sent["MessageId"], "hello", None) == (message.id, message.data, message.name)
    assert message.due.tzinfo is UTC


def test_asking_for_the_next_message_deletes_the_last(output):
    output.send("a", "b")
    loop = messages(output)
    next(loop)
    assert (0, 2) == output.counts()
    next(loop)
    assert (0, 1) == output.counts()
    assert [] == list(loop)
    assert (0, 0) == output.counts()


def test_leaving_the_loop_deletes_nothing_and_releases_the_rest(output):
    """The message in hand stays hidden for its timeout. The other two are visible at once."""
    output.send("a", "b", "c")
    with messages(output) as loop:
        for _ in loop:
            break
    assert (2, 1) == output.counts()


def test_an_error_in_the_loop_deletes_nothing(output):
    output.send("a", "b")
    with pytest.raises(ZeroDivisionError), messages(output) as loop:
        [1 / 0 for _ in loop]
    assert (1, 1) == output.counts()


def test_a_dropped_iterator_releases_its_messages(output):
    """A caller may forget `with`."""
    output.send("a", "b", "c")
    for _ in messages(output):
        break
    gc.collect()
    assert (2, 1) == output.counts()


def test_a_message_can_be_deleted_at_once(output):
    """Also after the loop was closed, and twice."""
    output.send("a", "b")
    with messages(output) as loop:
        next(loop).delete()
        assert (0, 1) == output.counts()
        last = next(loop)
    last.delete()
    last.delete()
    assert (0, 0) == output.counts()
    assert not last.lost


def test_the_loop_ends_after_one_empty_poll(output):
    """And it stays at its end."""
    loop = messages(output)
    assert [] == list(loop)
    output.send("a")
    assert [] == list(loop)
    assert (1, 0) == output.counts()


def test_a_repeat_is_deleted_and_not_shown(output):
    output.send("a", "a", "b", "a")
    assert ["a", "b"] == [message.id for message in messages(output, dedupe=True)]
    assert (0, 0) == output.counts()


def test_repeats_are_shown_without_dedupe(output):
    output.send("a", "a")
    assert ["a", "a"] == [message.id for message in messages(output)]


def test_a_failed_delete_is_tried_again_with_the_next_message(output):
    """The error is raised, and no message is lost or skipped."""
    output.send("a", "b")
    output.world.before["delete_message"] = failing(aws_error("AccessDenied", 403), 1)
    loop = messages(output)
    first = next(loop)
    with pytest.raises(AccessDenied, match="sqs:DeleteMessage"):
        next(loop)
    assert first.id != next(loop).id
    assert (0, 1) == output.counts()


def test_a_lost_answer_is_asked_for_again(output, caplog):
    """A worker outlives a short outage, and its log says so."""
    output.send("a")
    output.world.before["receive_message"] = failing(ReadTimeoutError(endpoint_url="https://sqs"), 3)
    assert ["a"] == [message.id for message in messages(output)]
    assert 1 + 2 + 4 == sum(output.world.slept)
    assert 3 == sum("cannot receive" in record.message for record in caplog.records)


def test_a_long_outage_is_raised(output):
    output.world.before["receive_message"] = failing(ReadTimeoutError(endpoint_url="https://sqs"), 99)
    with pytest.raises(Unreachable):
        next(messages(output))
    assert 150 < sum(output.world.slept) < 200


def test_a_missing_queue_is_raised_at_once(output):
    output.world.sqs.delete_queue(QueueUrl=output.url)
    with pytest.raises(StackNotFound, match="does not exist"):
        next(messages(output))
    assert [] == output.world.slept


def test_a_held_message_stays_hidden(output):
    """Only what runs out soon is extended."""
    output.send("a")
    held = Held(output.world, OutputQueue(output.world, output.url), wait=lambda seconds: True)
    (message,) = held.receive(10, 0)
    extended = []
    output.world.before["change_message_visibility_batch"] = lambda **given: extended.extend(given["Entries"])
    output.world.time += 20
    held.extend()
    assert [] == extended
    output.world.time += 15
    held.extend()
    assert [HIDDEN_S] == [entry["VisibilityTimeout"] for entry in extended]
    output.world.time += HIDDEN_S - 1
    assert not message.lost
    output.world.time += 1
    assert message.lost


@pytest.mark.parametrize("set_by", [-3_600, 50_000])
def test_setting_the_clock_of_the_machine_loses_no_message(output, set_by):
    """SQS counts real seconds. A clock that was set back would let the message come out twice."""
    output.send("a")
    held = Held(output.world, OutputQueue(output.world, output.url), wait=lambda seconds: True)
    (message,) = held.receive(10, 0)
    extended = []
    output.world.before["change_message_visibility_batch"] = lambda **given: extended.extend(given["Entries"])
    output.world.clock_set_by = set_by
    assert not message.lost
    output.world.time += 40
    held.extend()
    assert 1 == len(extended)
    output.world.time += 40
    assert not message.lost


def test_a_message_is_held_for_twelve_hours_at_most(output):
    """SQS refuses more. The message then knows that it is lost."""
    output.send("a")
    held = Held(output.world, OutputQueue(output.world, output.url), wait=lambda seconds: True)
    (message,) = held.receive(10, 0)
    output.world.sqs = SimpleNamespace(change_message_visibility_batch=lambda **_: {})  # A thousand calls.
    begun = output.world.time
    while not message.lost:
        output.world.time += 20
        held.extend()
    assert HOLD_S_MAX - HIDDEN_S < output.world.time - begun <= 43_200


def test_a_call_that_hangs_is_repeated_while_the_messages_are_still_hidden():
    """A connection that died without a word delays one call until it times out."""
    session = boto3.Session(region_name="eu-central-1")
    timeout_s = AwsBackend(session).client("sqs").meta.config.read_timeout
    assert WAIT_S < timeout_s < EXTEND_BELOW_S - LOOK_EVERY_S


def test_a_message_that_cannot_be_extended_is_lost(output, caplog):
    """SQS says that it is gone: another consumer has deleted it."""
    output.send("a")
    held = Held(output.world, OutputQueue(output.world, output.url), wait=lambda seconds: True)
    (message,) = held.receive(10, 0)
    output.world.sqs.delete_message(QueueUrl=output.url, ReceiptHandle=hold_of(message).receipt)
    output.world.time += 40
    held.extend()
    assert message.lost
    assert "may be visible to other consumers" in caplog.text


def test_a_failed_extension_is_tried_again(output):
    """One error of SQS loses no message."""
    output.send("a")
    held = Held(output.world, OutputQueue(output.world, output.url), wait=lambda seconds: True)
    (message,) = held.receive(10, 0)
    output.world.before["change_message_visibility_batch"] = failing(aws_error("InternalError", 500), 1)
    output.world.time += 40
    held.extend()
    output.world.time += 10
    held.extend()
    output.world.time += 50
    assert not message.lost


def test_one_thread_extends_what_is_held_until_the_end(output):
    """It looks every ten seconds, and ends with the hold."""
    output.send("a", "b")
    others = set(threading.enumerate())
    looks, go, extended = [], threading.Semaphore(0), threading.Semaphore(0)
    ended = threading.Event()

    def wait(seconds):
        looks.append(seconds)
        go.acquire()
        return ended.is_set()

    output.world.before["change_message_visibility_batch"] = lambda **_: extended.release()
    held = Held(output.world, OutputQueue(output.world, output.url), wait=wait)
    assert 2 == len(held.receive(10, 0))
    output.world.time += 40
    go.release()
    assert extended.acquire(timeout=60)
    ended.set()
    go.release()
    held.close()
    assert {10} == set(looks)
    assert set(threading.enumerate()) <= others


def test_the_thread_that_extends_survives_any_error(output, caplog):
    """botocore raises RuntimeError for credentials that come back expired, for example."""
    output.send("a")
    waits = iter([False, False, True])
    held = Held(output.world, OutputQueue(output.world, output.url), wait=lambda seconds: next(waits))
    output.world.before["change_message_visibility_batch"] = failing(RuntimeError("still expired"), 1)
    held._threads = False
    (message,) = held.receive(10, 0)
    output.world.time += 40
    held._keep()
    output.world.time += 40
    assert not message.lost
    assert "will try again: RuntimeError" in caplog.text


def test_prefetched_messages_that_were_lost_are_left_to_other_consumers(output):
    """A laptop slept with the lid closed. The loop goes on with what it receives anew."""
    output.send("a", "b")
    with messages(output) as loop:
        next(loop)
        output.world.time += 3600
        assert [] == list(loop)


def test_another_thread_can_close_the_loop(output):
    """It releases the messages of the request under way."""
    output.send("a")
    loop = messages(output)
    output.world.before["receive_message"] = lambda **_: loop.close()
    assert [] == list(loop)
    assert (1, 0) == output.counts()


def test_a_fork_does_not_touch_the_messages_of_its_parent(output, monkeypatch):
    output.send("a", "b")
    loop = messages(output)
    next(loop)
    process = os.getpid()
    with monkeypatch.context() as child:
        child.setattr(os, "getpid", lambda: process + 1)
        with pytest.raises(RuntimeError, match="parent process"):
            next(loop)
        loop._held.close()
    assert (0, 2) == output.counts()
    loop.close()


def test_an_unknown_choice_of_dedupe_is_refused(output):
    with pytest.raises(TypeError, match="wanted: True or False"):
        messages(output, dedupe="memory")
