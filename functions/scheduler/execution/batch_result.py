"""What came of a call for many things at once: AWS's batch calls succeed, refuse and fail by the piece."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

Thing = TypeVar("Thing")


@dataclass
class BatchResult(Generic[Thing]):
    """Every thing that went in is in exactly one of the lists."""

    confirmed: list[Thing] = field(default_factory=list)
    """AWS confirmed it."""
    rejected: list[tuple[Thing, str]] = field(default_factory=list)
    """Its content is not accepted and never will be; with the reason."""
    unavailable: list[tuple[Thing, str]] = field(default_factory=list)
    """The place it should go to is gone or closed to us; with the reason."""
    unconfirmed: list[Thing] = field(default_factory=list)
    """Not confirmed: throttled, failed or timed out. It may have happened all the same."""
    not_attempted: list[Thing] = field(default_factory=list)
    """Not begun, because time was over or the call before it got nothing through."""
    last_error: str = ""
    """The last reason for something being left."""

    def add(self, other: BatchResult[Thing]) -> None:
        self.confirmed += other.confirmed
        self.rejected += other.rejected
        self.unavailable += other.unavailable
        self.unconfirmed += other.unconfirmed
        self.not_attempted += other.not_attempted
        self.last_error = other.last_error or self.last_error

    @property
    def reason(self) -> str:
        """Why something is not confirmed: what was said of the first, or the last reason for something being left."""
        reasons = [reason for _, reason in [*self.unavailable, *self.rejected]]
        return reasons[0] if reasons else self.last_error
