"""The decorator for a Lambda function: what it passes on, and what it reports to Lambda."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from punctual.receiving.consumer import RESERVE_S, consumer


class Context:
    """A deadline that comes nearer when the test says so."""

    def __init__(self, left_s=30.0):
        self.left_s = left_s

    def get_remaining_time_in_millis(self):
        return int(self.left_s * 1000)


def failed(report):
    assert ["batchItemFailures"] == list(report)
    return [each["itemIdentifier"] for each in report["batchItemFailures"]]


def test_each_message_is_handed_over_with_its_parts(event):
    seen = []

    @consumer
    def handler(message):
        seen.append(message)

    assert [] == failed(handler(event("a", "b", name="order/7", user="shop", application="1f2e3d4c"), Context()))
    assert ["a", "b"] == [message.id for message in seen]
    assert datetime(2030, 1, 1, tzinfo=UTC) == seen[0].due
    assert ({"order": 7}, "order/7", "shop") == (seen[0].json, seen[0].name, seen[0].user)
    assert "1f2e3d4c" == seen[0].application
    seen[0].delete()  # Lambda deletes it.
    assert not seen[0].lost


def test_only_the_failed_messages_are_reported(event, caplog):
    """The log has no data."""

    @consumer()
    def handler(message):
        if message.id == "bad":
            raise ValueError(message.data)

    assert ["message-1"] == failed(handler(event("good", "bad", "fine", data="secret"), Context()))
    assert "the handler failed for schedule bad" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    "broken",
    [{"body": None, "messageAttributes": None}, {"attributes": {"SentTimestamp": "soon"}}, {"attributes": None}],
)
def test_a_record_that_cannot_be_read_fails_alone(event, caplog, broken):
    """Otherwise Lambda would send the whole batch again, also what was handled."""
    batch = event("a", "b", "c")
    batch["Records"][1] |= broken
    seen = []
    assert ["message-1"] == failed(consumer(lambda message: seen.append(message.id))(batch, Context()))
    assert ["a", "c"] == seen
    assert "cannot read message message-1" in caplog.text


def test_no_message_is_begun_that_might_not_end(event):
    """The longest one so far tells how long the next one may take."""
    context = Context(10.0)

    @consumer
    def handler(message):
        context.left_s -= 3.0

    assert ["message-2", "message-3"] == failed(handler(event(*"abcd"), context))
    assert 4.0 == context.left_s


def test_nothing_is_begun_at_the_deadline(event):
    handler = consumer(lambda message: pytest.fail("begun"))
    assert ["message-0"] == failed(handler(event("a"), Context(RESERVE_S - 0.1)))


@pytest.mark.parametrize("dedupe", [True, "memory"])
def test_a_repeat_counts_as_handled(event, dedupe):
    """In one batch, and in a later one in the same environment."""
    seen = []
    handler = consumer(dedupe=dedupe)(lambda message: seen.append(message.id))
    assert [] == failed(handler(event("a", "a"), Context()))
    assert [] == failed(handler(event("a", "b"), Context()))
    assert ["a", "b"] == seen


def test_a_failed_message_is_no_repeat_when_it_comes_again(event):
    attempts = []

    @consumer(dedupe=True)
    def handler(message):
        attempts.append(message.id)
        if len(attempts) == 1:
            raise ConnectionError

    assert ["message-0"] == failed(handler(event("a"), Context()))
    assert [] == failed(handler(event("a"), Context()))
    assert ["a", "a"] == attempts


def test_the_users_function_stays_reachable(event):
    """A unit test calls it with a message. Its name stays that in logs and traces."""

    @consumer
    def remind(message):
        """Send a reminder."""
        return message

    assert ("remind", "Send a reminder.") == (remind.__name__, remind.__doc__)
    assert "x" == remind.__wrapped__("x")


@pytest.mark.parametrize("wrong", [{}, {"Records": [{"eventSource": "aws:s3"}]}, [], "x", {"Records": None}])
def test_another_event_is_refused(wrong):
    """A message of another source is never reported as handled."""
    with pytest.raises(ValueError, match="event source mapping of the output queue"):
        consumer(lambda message: None)(wrong, Context())


def test_an_asynchronous_handler_is_refused():
    """At the import of the module, and not at the first message."""

    async def handler(message): ...

    class Callable:
        async def __call__(self, message): ...

    for each in (handler, Callable()):
        with pytest.raises(TypeError, match=r"asyncio\.run"):
            consumer(each)


@pytest.mark.parametrize("wrong", ["table", 1, None])
def test_an_unknown_choice_of_dedupe_is_refused(wrong):
    with pytest.raises(TypeError, match="Table"):
        consumer(dedupe=wrong)


def test_something_that_is_no_function_is_refused():
    with pytest.raises(TypeError, match="takes a function of one message"):
        consumer("handler")
