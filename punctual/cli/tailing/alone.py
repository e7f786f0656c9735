"""Find out whether another consumer reads the output queue. SQS has no way to look at a message without taking it.

Both answers are of the moment. A consumer that begins later shares the messages with `tail`.
"""

from __future__ import annotations

from punctual.cli import queue_state
from punctual.cli.errors import CommandFailed
from punctual.cli.run import Run

IN_USE = "QueueInUse"
WAY_OUT = "use --take to take messages away from it"


def require_alone(run: Run) -> None:
    """Raise CommandFailed if another consumer reads the queue, or if that cannot be found out."""
    from punctual import AccessDenied

    try:
        function = queue_state.mapped_function(run, run.outputs.get("OutputQueueArn"))
        held = queue_state.message_counts(run, run.outputs.get("OutputQueueUrl"))["in flight"]
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
