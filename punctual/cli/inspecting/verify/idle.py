"""Find out whether a queue is idle, so that reading it takes no message from its consumer. SQS cannot be peeked."""

from __future__ import annotations

from dataclasses import dataclass

from punctual.cli import queue_state
from punctual.cli.inspecting.subject import Subject
from punctual.cli.output import counted
from punctual.client.errors import AccessDenied, PunctualError


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue that `verify` may read. `busy` says why it may not."""

    label: str
    arn: str
    url: str
    busy: str


def output_queue(subject: Subject) -> Queue:
    url, arn = subject.output("OutputQueueUrl"), subject.output("OutputQueueArn")
    return Queue("the output queue", arn, url, _busy(subject, arn, url, delayed=False))


def listed_queue(subject: Subject, arn: str) -> Queue:
    """Return a queue that the stack lists as a target."""
    account, name = arn.split(":")[4:6]
    try:
        url = str(
            subject.ask("sqs:GetQueueUrl", "sqs", "get_queue_url", QueueName=name, QueueOwnerAWSAccountId=account)[
                "QueueUrl"
            ]
        )
    except PunctualError as failure:
        return Queue(name, arn, "", f"it cannot be read: {failure}")
    return Queue(name, arn, url, _busy(subject, arn, url, delayed=True))


def _busy(subject: Subject, arn: str, url: str, *, delayed: bool) -> str:
    """Return why the queue is not idle, or an empty text.

    Delayed messages of the output queue are schedules within reach. They are due later, and `verify` gives them back.
    """
    try:
        function = queue_state.mapped_function(subject.run, arn)
        if function is not None:
            return f"the function {function} reads it"
        counts = queue_state.message_counts(subject.run, url)
    except AccessDenied as denied:
        return f"whether another consumer reads it cannot be told: {denied}"
    except PunctualError as failure:
        return f"it cannot be read: {failure}"
    found = [f"{counted(count, 'message')} {what}" for what, count in counts.items() if count]
    return f"it has {', '.join(found)}" if found else ""
