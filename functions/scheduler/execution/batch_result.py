"""What came of a call for many things at once: AWS's batch calls succeed, refuse and fail by the piece."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

Thing = TypeVar("Thing")


@dataclass
class Outcome(Generic[Thing]):
    """Every thing that went in is in exactly one of the lists."""

    done: list[Thing] = field(default_factory=list)
    """AWS confirmed it."""
    refused: list[tuple[Thing, str]] = field(default_factory=list)
    """Its content is not accepted and never will be; with the reason."""
    closed: list[tuple[Thing, str]] = field(default_factory=list)
    """The place it should go to is gone or closed to us; with the reason."""
    left: list[Thing] = field(default_factory=list)
    """Not confirmed: throttled, failed or timed out. It may have happened all the same."""
    untried: list[Thing] = field(default_factory=list)
    """Not begun, because time was over or the call before it got nothing through."""
    why: str = ""
    """The last reason for something being left."""

    def add(self, other: Outcome[Thing]) -> None:
        self.done += other.done
        self.refused += other.refused
        self.closed += other.closed
        self.left += other.left
        self.untried += other.untried
        self.why = other.why or self.why

    @property
    def reason(self) -> str:
        """Why something is not done: what was said of the first, or the last reason for something being left."""
        reasons = [reason for _, reason in [*self.closed, *self.refused]]
        return reasons[0] if reasons else self.why
