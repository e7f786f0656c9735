"""A message of the output queue, as a consumer sees it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from punctual.client.values import Json

if TYPE_CHECKING:
    from punctual.receiving.held import Hold


@dataclass(frozen=True, slots=True)
class Message:
    """A schedule that is due. Its text never appears in a log by accident, because `repr` leaves `data` out."""

    id: str
    """The id of the schedule. A repeat of the message has the same id."""
    due: datetime
    """The moment for which it was scheduled, in UTC."""
    data: str = field(repr=False)
    """The data as text."""
    name: str | None = None
    """The name of the schedule, if it has one."""
    user: str | None = None
    """The `user` of the schedule, if it has one."""
    lateness: float = 0.0
    """The seconds between `due` and the receipt of the message."""
    application: str | None = None
    """The id of the application whose schedule this is. None for one of the owner."""
    hold: Hold | None = field(default=None, repr=False, compare=False)
    """The hold that hides the message from other consumers, for the iterator and the worker."""

    @property
    def json(self) -> Json:
        """The data as the value that was scheduled, if it was no string. Raise ValueError if the data is not JSON."""
        return read_json(self.data, f"schedule {self.id}")

    @property
    def lost(self) -> bool:
        """Whether other consumers may see the message already, because its visibility could not be extended."""
        return self.hold is not None and self.hold.lost

    def delete(self) -> None:
        """Delete the message from the queue at once. In a Lambda function this has no effect: Lambda deletes it."""
        if self.hold is not None:
            self.hold.delete()


def read_json(data: str, of: str) -> Json:
    """Return the value of JSON data. The error does not quote the data."""
    try:
        value: Json = json.loads(data)
    except (ValueError, RecursionError):
        raise ValueError(f"the data of {of} is not JSON; read its `data` instead") from None
    return value


def from_parts(
    body: str, attributes: Mapping[str, str], message_id: str, sent_ms: int, now_s: float, hold: Hold | None = None
) -> Message:
    """Return the message. One that Punctual did not send has the id and the time of SQS."""
    due = _moment(attributes.get("due", "")) or datetime.fromtimestamp(sent_ms / 1000, UTC)
    return Message(
        id=attributes.get("id") or message_id,
        due=due,
        data=body,
        name=attributes.get("name"),
        user=attributes.get("user"),
        lateness=round(now_s - due.timestamp(), 6),
        application=attributes.get("application"),
        hold=hold,
    )


def _moment(epoch_s: str) -> datetime | None:
    try:
        return datetime.fromtimestamp(float(epoch_s), UTC)
    except (ValueError, OverflowError, OSError):
        return None
