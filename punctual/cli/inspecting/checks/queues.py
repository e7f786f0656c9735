"""The queues, the dead letters and the quarantine."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from punctual.cli import queue_state, times
from punctual.cli.inspecting.checks.finding import Answer, Check, fault, not_checked, ok
from punctual.cli.inspecting.subject import QUEUES, Subject
from punctual.cli.output import counted

OLDEST_S_MAX = {"InputQueueUrl": 1_800, "DeliveryQueueUrl": 1_800, "OutputQueueUrl": 14_400}
"""The age of the oldest message that is a fault. The alarms of the template have the same limits."""
AGE_MINUTES = 15
DEAD_LETTERS = "look at them first: docs/operations.md, Bring back dead letters"


def queues(subject: Subject) -> Iterator[Answer]:
    for output in QUEUES:
        name = output.removesuffix("Url")
        numbers = queue_state.message_counts(subject.run, subject.output(output))
        waiting = sum(numbers.values())
        text = f"{name}: " + ", ".join(f"{count:,} {what}" for what, count in numbers.items())
        if output == "DeadLetterQueueUrl" and waiting:
            yield fault(f"{counted(waiting, 'message')} in the dead-letter queue", DEAD_LETTERS)
        elif output == "FailureQueueUrl" and waiting:
            yield ok(f"{text}. Each is a report of a failed or expired schedule: punctual failures lists them")
        else:
            yield ok(text)


def ages(subject: Subject) -> Iterator[Answer]:
    """CloudWatch knows the age of the oldest message. It has no figure for a queue that was quiet for hours."""
    now, seen = subject.now(), 0
    for output, most_s in OLDEST_S_MAX.items():
        queue = subject.output(output).rsplit("/", 1)[-1]
        answer = subject.ask(
            "cloudwatch:GetMetricStatistics",
            "cloudwatch",
            "get_metric_statistics",
            Namespace="AWS/SQS",
            MetricName="ApproximateAgeOfOldestMessage",
            Dimensions=[{"Name": "QueueName", "Value": queue}],
            StartTime=now - timedelta(minutes=AGE_MINUTES),
            EndTime=now,
            Period=60,
            Statistics=["Maximum"],
        )
        points = sorted(answer.get("Datapoints", []), key=lambda point: point["Timestamp"])
        seen += len(points)
        if points and points[-1]["Maximum"] > most_s:
            age = times.words(timedelta(seconds=points[-1]["Maximum"]))
            yield fault(f"the oldest message of {output.removesuffix('Url')} is {age} old", _remedy(output))
    if seen:
        yield ok("the age of the oldest messages was read")
    else:
        yield not_checked("CloudWatch has no age of the oldest messages, as for queues that were quiet for hours")


def _remedy(output: str) -> str:
    if output == "OutputQueueUrl":
        return "start the consumer of the output queue: SQS deletes a message after 14 days"
    return "check the errors, the throttles and the event source mapping of the function that reads it"


def quarantine(subject: Subject) -> Iterator[Answer]:
    """The feed sets aside what it can never send."""
    answer = subject.ask(
        "dynamodb:Query",
        "dynamodb",
        "query",
        TableName=subject.output("TableName"),
        Select="COUNT",
        KeyConditionExpression="#p = :q",
        ExpressionAttributeNames={"#p": "partition"},
        ExpressionAttributeValues={":q": {"S": "quarantine"}},
    )
    count = answer["Count"]
    if count:
        more = " or more" if answer.get("LastEvaluatedKey") else ""
        yield fault(
            f"quarantined: {counted(count, 'item')}{more}",
            "punctual failures lists them with the reason; mend the cause, then punctual redrive",
        )
    else:
        yield ok("nothing is quarantined")


CHECKS = (Check("queues", queues), Check("oldest messages", ages), Check("quarantine", quarantine))
