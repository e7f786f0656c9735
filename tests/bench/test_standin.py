"""The stand-in as boto3 sees it, and the processes around it."""

import time

import boto3
import pytest
from botocore.config import Config

from bench.processes import Laboratory


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
    """Writes, reads, and an error by its name."""
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
    """And hands the events over to who asks for their partition, once."""
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
    """Spread evenly, and counted nowhere."""
    preload(laboratory, 10, partitions=3)
    waiting = [
        laboratory.control("waiting", partitions=[name], before_s=time.time() + 1000) for name in ("0", "1", "2")
    ]
    assert [4, 3, 3] == waiting
    assert {"ids": 0} == laboratory.control("figures")


@pytest.mark.parametrize("who", ["ours", "reference"])
def test_a_feed_empties_its_partition(laboratory, who):
    """Ours and the plain one: each schedule comes out, and nothing stays behind."""
    preload(laboratory, 120)
    outcome = laboratory.run(trial="feed", who=who, partitions=["0"], ahead_s=0, side_by_side=1)
    figures = laboratory.control("figures")
    assert (120, 120) == (figures["messages"], figures["ids"])
    assert 0 == laboratory.control("waiting", partitions=["0"], before_s=time.time() + 1000)
    assert 0 == outcome["failed"]


def test_what_was_scheduled_in_batches_is_fed_by_a_clock_that_is_ahead(laboratory):
    """The way that bundles go."""
    laboratory.run(trial="fill", count=40, size=20, ahead_s=2_000, data="json")
    assert 0 == laboratory.control("figures").get("messages", 0)
    laboratory.run(trial="feed", who="ours", partitions=["0"], ahead_s=1_600, side_by_side=1)
    assert 40 == laboratory.control("figures")["ids"]


def test_no_process_outlives_the_laboratory():
    """Nor does its folder."""
    with Laboratory() as laboratory:
        standin, folder = laboratory.standin, laboratory.folder
        assert folder.exists()
    assert standin.poll() is not None
    assert not folder.exists()
