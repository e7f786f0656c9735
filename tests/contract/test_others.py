"""The few things that we ask of Lambda, SNS and EventBridge, on all stand-ins that have them."""

from __future__ import annotations

from deviations import refused


def test_a_function_that_is_not_there_is_said_not_to_be(aws):
    invoke = aws.client("lambda").invoke
    refused("ResourceNotFoundException", invoke, FunctionName="nobody", InvocationType="Event", Payload=b"{}")


def test_a_topic_that_is_not_there_is_said_not_to_be(aws):
    arn = "arn:aws:sns:us-east-1:123456789012:nowhere"
    error = refused("NotFound", aws.client("sns").publish, TopicArn=arn, Message="x")
    assert 404 == error.response["ResponseMetadata"]["HTTPStatusCode"]


def test_events_are_accepted_one_by_one(aws):
    """The answer counts what failed and has one entry for each event."""
    events = [{"Source": "punctual", "DetailType": "Scheduled", "Detail": "{}"}] * 2
    answer = aws.client("events").put_events(Entries=events)
    assert 0 == answer["FailedEntryCount"]
    assert [True, True] == ["EventId" in entry for entry in answer["Entries"]]
