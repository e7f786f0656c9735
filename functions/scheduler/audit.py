"""Log who changed what, in one line for each change. A line holds names and counts, and no payload, token or key.

IAM decides who may invoke a function, and does not tell the function who it was. CloudTrail's data events name the
caller of an invocation by its request id.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from scheduler import log
from scheduler.errors import NotConfirmed
from scheduler.value_class import value_class


@value_class
class Actor:
    """The caller who asks for a change."""

    who: str
    """The id of a key, a Cognito identity, or the rights of the function: `owner` or `caller`."""
    request: str = ""
    """The id of the invocation, or of the HTTP request."""

    @classmethod
    def of(cls, context: Any, rights: str) -> Actor:
        """Return who invoked a function. Lambda knows it only if a mobile application did so through Cognito."""
        identity = getattr(context, "identity", None)
        return cls(getattr(identity, "cognito_identity_id", None) or rights, getattr(context, "aws_request_id", ""))


OWNER_ACTOR = Actor("owner")


def changed(operation: str, actor: Actor, application: object, count: object, **facts: object) -> None:
    """Print that somebody changed something. `count` says how much."""
    whose = {"operation": operation, "application": application, "who": actor.who, "request": actor.request}
    log.always("changed", **whose, count=count, **facts)


@contextmanager
def unconfirmed(operation: str, actor: Actor, application: object) -> Iterator[None]:
    """Print that a change may have happened, if AWS does not confirm it in time."""
    try:
        yield
    except NotConfirmed:
        changed(operation, actor, application, None, confirmed=False)
        raise
