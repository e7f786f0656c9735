"""Find out whether another consumer reads the output queue. SQS has no way to look at a message without taking it.

Both answers are of the moment. A consumer that begins later shares the messages with `tail`.
"""

from __future__ import annotations

from punctual.cli.errors import CommandFailed
from punctual.cli.run import Run

IN_USE = "QueueInUse"
PAGES_MAX = 10
OFF = frozenset({"Disabled", "Deleting"})
WAY_OUT = "use --take to take messages away from it"


def require_alone(run: Run) -> None:
    """Raise CommandFailed if another consumer reads the queue, or if that cannot be found out."""
    from punctual import AccessDenied

    try:
        function = _mapped_function(run)
        held = _held_count(run)
    except AccessDenied as error:
        message = f"cannot tell whether another consumer reads the queue: {error}; or {WAY_OUT}"
        raise CommandFailed(message, code=error.code) from None
    if function is not None:
        raise CommandFailed(f"the function {function} reads this queue: stop its mapping, or {WAY_OUT}", code=IN_USE)
    if held:
        shown = f"{held} messages are" if held > 1 else "1 message is"
        raise CommandFailed(
            f"{shown} in the hands of another consumer, or of one that ended within the last minutes: "
            f"stop it, try again later, or {WAY_OUT}",
            code=IN_USE,
        )


def _mapped_function(run: Run) -> str | None:
    """Return the name of a function whose event source mapping reads the queue."""
    from punctual.client.calling import aws_errors

    more: dict[str, str] = {}
    for _ in range(PAGES_MAX):
        with aws_errors.translated("lambda:ListEventSourceMappings"):
            page = run.client("lambda").list_event_source_mappings(
                EventSourceArn=run.outputs.get("OutputQueueArn"), **more
            )
        for mapping in page["EventSourceMappings"]:
            if mapping.get("State") not in OFF:
                return str(mapping["FunctionArn"]).rpartition(":function:")[2]
        if not page.get("NextMarker"):
            return None
        more = {"Marker": page["NextMarker"]}
    return None


def _held_count(run: Run) -> int:
    from punctual.client.calling import aws_errors

    name = "ApproximateNumberOfMessagesNotVisible"
    with aws_errors.translated("sqs:GetQueueAttributes"):
        answer = run.client("sqs").get_queue_attributes(
            QueueUrl=run.outputs.get("OutputQueueUrl"), AttributeNames=[name]
        )
    return int(answer.get("Attributes", {}).get(name, 0))
