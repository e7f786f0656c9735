"""The stand-in as boto3 sees it, and the processes around it."""

import time

import boto3
import pytest
from botocore.config import Config

from bench.laboratory.processes import Laboratory


@pytest.fixture(scope="module")
def laboratory():
    with Laboratory() as laboratory:
        yield laboratory


@pytest.fixture(autouse=True)
def fresh(laboratory):
    laboratory.control("reset")


@pytest.fixture
def client(laboratory):
    made = []

    def make(service):
        made.append(
            boto3.client(
                service,
                endpoint_url=laboratory.url,
                region_name="us-east-1",
                aws_access_key_id="nobody",
                aws_secret_access_key="nothing",
                config=Config(retries={"total_max_attempts": 1}),
            )
        )
        return made[-1]

    yield make
    for each in made:
        each.close()


def preload(laboratory, count, partitions=1):
    first_due_s = int(time.time()) + 100
    laboratory.control("preload", count=count, partitions=partitions, first_due_s=first_due_s, spread_s=100)


def test_it_speaks_dynamodb_as_boto3_does(laboratory, client):
    """Writes, reads and errors by name work."""
    dynamodb = client("dynamodb")
    key = {"partition": {"S": "0"}, "sort": {"S": "a"}}
    item = {**key, "bundle": {"B": b"\x00\xff" * 50}}
    assert {} == dynamodb.batch_write_item(RequestItems={"table": [{"PutRequest": {"Item": item}}]})["UnprocessedItems"]
    assert item == dynamodb.get_item(TableName="table", Key=key, ConsistentRead=True)["Item"]
    with pytest.raises(dynamodb.exceptions.ConditionalCheckFailedException):
        dynamodb.put_item(
            TableName="table",
            Item=item,
            ConditionExpression="attribute_not_exists(#sort)",
            ExpressionAttributeNames={"#sort": "sort"},
        )
    dynamodb.delete_item(TableName="table", Key=key)
    assert "Item" not in dynamodb.get_item(TableName="table", Key=key)
    assert 5 == laboratory.control("figures")["calls"]
    assert 1 == laboratory.control("figures")["connections"]


def test_it_speaks_sqs_and_takes_invocations(laboratory, client):
    """The stand-in hands each event once to the worker that asks for its partition."""
    attributes = {"id": {"DataType": "String", "StringValue": "0-1"}}
    entries = [{"Id": "7", "MessageBody": "ä", "DelaySeconds": 1, "MessageAttributes": attributes}]
    answer = client("sqs").send_message_batch(QueueUrl=f"{laboratory.url}/0/output", Entries=entries)
    assert ["7"] == [each["Id"] for each in answer["Successful"]]
    answer = client("lambda").invoke(FunctionName="feed", InvocationType="Event", Payload=b'{"partition": "3"}')
    assert 202 == answer["StatusCode"]
    assert [] == laboratory.control("invoked", partitions=["2"])
    assert [{"partition": "3"}] == laboratory.control("invoked", partitions=["3"])
    assert [] == laboratory.control("invoked", partitions=["3"])


def test_preloaded_schedules_wait_in_their_partitions(laboratory):
    """They are spread evenly and not counted."""
    preload(laboratory, 10, partitions=3)
    waiting = [
        laboratory.control("waiting", partitions=[name], before_s=time.time() + 1000) for name in ("0", "1", "2")
    ]
    assert [4, 3, 3] == waiting
    assert {"ids": 0} == laboratory.control("figures")


@pytest.mark.parametrize("who", ["ours", "reference"])
def test_a_feed_empties_its_partition(laboratory, who):
    """Ours and the plain feed send every schedule and leave nothing behind."""
    preload(laboratory, 120)
    outcome = laboratory.run(trial="feed", who=who, partitions=["0"], ahead_s=0, side_by_side=1)
    figures = laboratory.control("figures")
    assert (120, 120) == (figures["messages"], figures["ids"])
    assert 0 == laboratory.control("waiting", partitions=["0"], before_s=time.time() + 1000)
    assert 0 == outcome["failed"]


@pytest.mark.slow
def test_every_function_starts(laboratory):
    """The environment has all that the template gives them. The bench measures their cold starts."""
    made = {name: laboratory.run(trial="clients", function=name)["clients"] for name in laboratory.functions}
    assert {"dynamodb", "sqs"} <= set(made["schedule"])
    assert {"api", "canary", "manage"} <= set(made)


@pytest.mark.slow
def test_a_clock_that_is_ahead_feeds_scheduled_batches(laboratory):
    """The schedules take the path of bundles."""
    laboratory.run(trial="fill", count=40, size=20, ahead_s=2_000, data="json")
    assert 0 == laboratory.control("figures").get("messages", 0)
    laboratory.run(trial="feed", who="ours", partitions=["0"], ahead_s=1_600, side_by_side=1)
    assert 40 == laboratory.control("figures")["ids"]


@pytest.mark.slow
def test_a_stored_month_is_listed_hour_by_hour(laboratory):
    """Single schedules and members of bundles keep the ids under which they were stored."""
    first_s = int(time.time()) // 3_600 * 3_600 + 86_400
    month = {"count": 600, "partition_count": 2, "first_ms": first_s * 1000, "hours": 24}
    laid = laboratory.run(trial="lay_month", **month)
    assert 600 == len(laid["schedules"])
    assert 300 < laid["items"] < 350
    assert {"ids": 0} == laboratory.control("figures")
    end_s = first_s + 20 * 3_600
    event = {"operation": "list", "from": first_s, "to": end_s, "limit": 100}
    (asked,) = laboratory.run(trial="manage", events=[event], partition_count=2)["asked"]
    ids = [schedule["id"] for answer in asked["answers"] for schedule in answer["schedules"]]
    assert [each_id for due_ms, each_id in laid["schedules"] if first_s * 1000 <= due_ms < end_s * 1000] == ids
    assert len(asked["answers"]) > 1
    assert asked["calls_query"] > 2


@pytest.mark.slow
def test_a_schedule_without_a_name_costs_what_it_did_before_names_existed(laboratory):
    """Count calls and units of a thousand far schedules, requested one by one, and what a name adds to each."""
    lives = laboratory.run(trial="lives", count=1_000)
    # The first page of each of the four feeds has fifty items. That adds four calls and two read units.
    # The line of each run adds a call and a write unit.
    before = {"calls": 1_159 + 4 + 4, "sqs_requests": 101, "write_units": 2_009 + 4, "read_units": 42 + 2}
    assert before == {name: round(lives["unnamed"][name] * 1_000) for name in before}
    assert 0 == lives["unnamed"].get("calls_get_item", 0)
    more = {name: round(lives["named"][name] - lives["unnamed"][name], 1) for name in before}
    assert {"calls": 4, "sqs_requests": 1, "write_units": 2, "read_units": 1} == more


@pytest.mark.slow
def test_a_name_postponed_for_an_hour_costs_two_wakings_a_request(laboratory):
    """The calls per request do not grow with the hour."""
    taken = laboratory.run(trial="debounce")
    assert 1 < taken["wakings"] <= 2
    assert taken["calls"] <= 7


@pytest.mark.slow
def test_no_process_outlives_the_laboratory():
    """Its folder is deleted as well."""
    with Laboratory() as laboratory:
        standin, folder = laboratory.standin, laboratory.folder
        assert folder.exists()
    assert standin.poll() is not None
    assert not folder.exists()
