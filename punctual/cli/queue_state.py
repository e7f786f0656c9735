"""What AWS says about a queue: how many messages it has, and which function reads it. SQS cannot be peeked."""

from __future__ import annotations

from punctual.cli.run import Run
from punctual.client.calling import aws_errors

COUNTS = {
    "ApproximateNumberOfMessages": "waiting",
    "ApproximateNumberOfMessagesNotVisible": "in flight",
    "ApproximateNumberOfMessagesDelayed": "delayed",
}
PAGES_MAX = 10
OFF = ("Disabled", "Deleting")


def message_counts(run: Run, url: str) -> dict[str, int]:
    """Return the approximate numbers of messages that are waiting, in flight and delayed."""
    with aws_errors.translated("sqs:GetQueueAttributes"):
        answer = run.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=list(COUNTS))
    return {what: int(answer["Attributes"].get(name, 0)) for name, what in COUNTS.items()}


def mapped_function(run: Run, arn: str) -> str | None:
    """Return the name of a function whose event source mapping reads the queue, or None."""
    more: dict[str, str] = {}
    for _ in range(PAGES_MAX):
        with aws_errors.translated("lambda:ListEventSourceMappings"):
            page = run.client("lambda").list_event_source_mappings(EventSourceArn=arn, **more)
        for mapping in page["EventSourceMappings"]:
            if mapping.get("State") not in OFF:
                return str(mapping["FunctionArn"]).rpartition(":function:")[2]
        if not page.get("NextMarker"):
            return None
        more = {"Marker": page["NextMarker"]}
    return None
