"""Repeats are recognized in memory and in a table: an id is claimed, handled, and then done."""

from __future__ import annotations

import os
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import boto3
import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from punctual.client.errors import PunctualError
from punctual.receiving.consumer import LEASE_BEYOND_S, consumer
from punctual.receiving.dedupe import KEPT_S, Memory, Table
from punctual.receiving.handling import handle
from punctual.receiving.message import from_parts

NOW = 1_893_456_000


class Clock:
    now_s = float(NOW)

    def __call__(self):
        return self.now_s


class Context:
    def get_remaining_time_in_millis(self):
        return 30_000


@pytest.fixture(scope="module")
def dynamodb(aws):
    return boto3.client("dynamodb")


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def name(dynamodb):
    name = f"handled-{uuid.uuid4().hex}"
    dynamodb.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return name


@pytest.fixture
def table(name, dynamodb, clock):
    return Table(name, client=dynamodb, clock=clock)


@pytest.fixture
def other(name, dynamodb, clock):
    """Another execution environment with the same table."""
    return Table(name, client=dynamodb, clock=clock)


@pytest.fixture(params=["memory", "table"])
def ids(request):
    return Memory() if request.param == "memory" else request.getfixturevalue("table")


def test_an_id_is_done_only_after_it_was_handled(ids):
    assert "new" == ids.claim("a")
    assert "busy" == ids.claim("a")
    ids.done("a")
    assert "done" == ids.claim("a")
    assert "new" == ids.claim("b")


def test_a_claim_that_is_given_up_is_free_at_once(ids):
    ids.claim("a")
    ids.abandon("a")
    assert "new" == ids.claim("a")


def test_the_memory_keeps_the_last_ids():
    memory = Memory(ids_max=2)
    for id in "abc":
        memory.claim(id)
        memory.done(id)
    assert ["new", "done", "done"] == [memory.claim(id) for id in "abc"]


def test_a_claim_is_for_all_environments(table, other):
    assert ("new", "busy") == (table.claim("a"), other.claim("a"))
    table.done("a")
    assert "done" == other.claim("a")


def test_a_claim_expires(table, other, clock):
    """Its owner crashed. Then another one repeats the work."""
    table.claim("a", 30)
    clock.now_s += 30
    assert "busy" == other.claim("a", 30)
    clock.now_s += 0.001
    assert "new" == other.claim("a", 30)


def test_an_owner_that_comes_too_late_changes_nothing(table, other, clock):
    """The new owner's claim stands, whatever the old one says."""
    table.claim("a", 30)
    clock.now_s += 31
    other.claim("a", 30)
    table.done("a")
    assert "busy" == table.claim("a")
    table.abandon("a")
    assert "busy" == table.claim("a")


def test_an_id_stays_for_fifteen_days(table, name, dynamodb, clock):
    """SQS keeps a message for fourteen."""
    table.claim("a")
    clock.now_s += 100
    table.done("a")
    item = dynamodb.get_item(TableName=name, Key={"id": {"S": "a"}})["Item"]
    assert {"id": {"S": "a"}, "state": {"S": "done"}, "expires": {"N": str(NOW + 100 + KEPT_S)}} == item
    assert 15 * 86_400 == KEPT_S


def test_a_claim_whose_answer_was_lost_is_still_a_claim(name, dynamodb, clock):
    """boto3 sends it again by itself. Its own item must not count as that of another worker."""

    class Lossy:
        def put_item(self, **given):
            dynamodb.put_item(**given)
            return dynamodb.put_item(**given)

        def __getattr__(self, operation):
            return getattr(dynamodb, operation)

    table = Table(name, client=Lossy(), clock=clock)
    assert "new" == table.claim("a")
    assert "busy" == table.claim("a")
    table.done("a")
    assert "done" == table.claim("a")


def test_a_claim_that_was_written_without_an_answer_is_taken_up_by_the_next_attempt(name, dynamodb, clock, other):
    """Otherwise the message would wait for the end of a claim that nobody works under."""

    class Silent:
        def put_item(self, **given):
            dynamodb.put_item(**given)
            raise ReadTimeoutError(endpoint_url="https://dynamodb")

        def __getattr__(self, operation):
            return getattr(dynamodb, operation)

    table = Table(name, client=Silent(), clock=clock)
    with pytest.raises(PunctualError, match="was lost"):
        table.claim("a")
    table._client = dynamodb
    assert "busy" == other.claim("a")
    assert "new" == table.claim("a")
    assert "busy" == table.claim("a")
    table.done("a")
    assert "done" == other.claim("a")


def test_threads_that_begin_together_make_one_client(name, dynamodb, monkeypatch):
    """boto3 sessions are not thread-safe."""
    made = []

    class Session:
        def client(self, service):
            made.append(service)
            time.sleep(0.05)  # The others would come meanwhile.
            return dynamodb

    monkeypatch.setattr(boto3, "Session", Session)
    monkeypatch.setattr(boto3, "client", lambda service: Session().client(service))
    table, together = Table(name), threading.Barrier(4)

    def claim(id):
        together.wait(60)
        return table.claim(id)

    with ThreadPoolExecutor(4) as pool:
        assert ["new"] * 4 == list(pool.map(claim, "abcd"))
    assert ["dynamodb"] == made


def test_a_table_makes_another_client_after_a_fork(name, dynamodb, monkeypatch):
    """Two processes must not speak over one connection."""
    made = []
    monkeypatch.setattr(boto3.Session, "client", lambda self, service: made.append(service) or dynamodb)
    table = Table(name)
    table.claim("a")
    table._lock.acquire()  # Another thread of the parent held it.
    parent = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: parent + 1)
    assert "new" == table.claim("b")
    assert 2 == len(made)


def test_a_missing_table_is_an_error(dynamodb):
    with pytest.raises(PunctualError, match="dynamodb:PutItem"):
        Table("nowhere", client=dynamodb).claim("a")


def failed(report):
    return [each["itemIdentifier"] for each in report["batchItemFailures"]]


def test_a_function_with_a_table_handles_a_schedule_once(table, other, event):
    """Whichever environment gets the repeat."""
    seen = []
    one, two = (consumer(dedupe=each)(lambda message: seen.append(message.id)) for each in (table, other))
    assert [] == failed(one(event("a", "b"), Context()))
    assert [] == failed(two(event("a"), Context()))
    assert ["a", "b"] == seen


def test_a_message_that_another_environment_handles_is_reported_as_failed(table, other, event):
    """It must not be deleted: the other one may still crash."""
    other.claim("a", 60)
    function = consumer(dedupe=table)(lambda message: pytest.fail("begun"))
    assert ["message-0"] == failed(function(event("a"), Context()))


def test_a_crash_in_the_middle_is_repeated_after_the_deadline_of_the_function(table, other, event, clock):
    """The claim lasts for as long as the crashed function could have run, and not much longer."""

    class Killed(BaseException):
        pass

    class Dead:
        """What a killed process can still do: nothing."""

        def claim(self, *given):
            return table.claim(*given)

        def __getattr__(self, name):
            return lambda *_: None

    def killed(message):
        raise Killed

    message = from_parts("x", {"id": "a"}, "message-0", NOW * 1000, NOW)
    with pytest.raises(Killed):
        handle(message, killed, Dead(), 30 + LEASE_BEYOND_S)
    seen = []
    function = consumer(dedupe=other)(lambda message: seen.append(message.id))
    clock.now_s += 30
    assert ["message-0"] == failed(function(event("a"), Context()))
    clock.now_s += 6
    assert [] == failed(function(event("a"), Context()))
    assert ["a"] == seen


def test_a_message_is_not_begun_if_the_table_does_not_answer(event, caplog):
    """It is reported as failed: nothing is lost, and nothing is done twice."""
    function = consumer(dedupe=Table("nowhere"))(lambda message: pytest.fail("begun"))
    assert ["message-0"] == failed(function(event("a"), Context()))
    assert "cannot tell whether schedule a is a repeat" in caplog.text


@pytest.mark.parametrize("broken", ["put_item", "update_item", "delete_item"])
def test_an_unexpected_error_of_the_table_fails_no_other_message(table, event, caplog, broken):
    """Lambda would send the whole batch again, also what was handled."""

    class Failing:
        def __getattr__(self, operation):
            if operation == broken:
                raise RuntimeError("the refreshed credentials are still expired")
            return getattr(dynamodb, operation)

    def handler(message):
        if message.id == "bad":
            raise ValueError

    dynamodb = table._client
    function = consumer(dedupe=table)(handler)
    assert [] == failed(function(event("a"), Context()))
    table._client = Failing()
    expected = {"put_item": ["message-0", "message-1"], "update_item": ["message-1"], "delete_item": ["message-1"]}
    assert expected[broken] == failed(function(event("b", "bad"), Context()))
    assert "RuntimeError" in caplog.text


def test_a_handled_message_is_not_repeated_if_the_table_cannot_mark_it(table, event, caplog):
    """Its work is done, so Lambda may delete it. The log says that a repeat would not be recognized."""

    class Failing:
        def __getattr__(self, operation):
            if operation == "update_item":
                raise ClientError({"Error": {"Code": "InternalServerError"}, "ResponseMetadata": {}}, operation)
            return getattr(dynamodb, operation)

    dynamodb, table._client = table._client, Failing()
    assert [] == failed(consumer(dedupe=table)(lambda message: None)(event("a"), Context()))
    assert "a repeat of it will not be recognized" in caplog.text
