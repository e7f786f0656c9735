"""The result of a batch call. AWS confirms, rejects or fails each entry of a batch on its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

Thing = TypeVar("Thing")


@dataclass
class BatchResult(Generic[Thing]):
    """The entries of a batch call. Each entry is in exactly one of the lists."""

    confirmed: list[Thing] = field(default_factory=list)
    """Confirmed by AWS."""
    rejected: list[tuple[Thing, str]] = field(default_factory=list)
    """Never accepted, because of the content. Each entry has its reason."""
    unavailable: list[tuple[Thing, str]] = field(default_factory=list)
    """The destination is missing or denies access. Each entry has its reason."""
    unconfirmed: list[Thing] = field(default_factory=list)
    """Throttled, failed or timed out. AWS may have processed the entry nevertheless."""
    not_attempted: list[Thing] = field(default_factory=list)
    """Not sent, because time was over or the call before confirmed nothing."""
    last_error: str = ""
    """The last reason why an entry is unconfirmed or was not attempted."""

    def add(self, other: BatchResult[Thing]) -> None:
        self.confirmed += other.confirmed
        self.rejected += other.rejected
        self.unavailable += other.unavailable
        self.unconfirmed += other.unconfirmed
        self.not_attempted += other.not_attempted
        self.last_error = other.last_error or self.last_error

    @property
    def reason(self) -> str:
        """Return why an entry is not confirmed: the reason of the first refused entry, or the last error."""
        reasons = [reason for _, reason in [*self.unavailable, *self.rejected]]
        return reasons[0] if reasons else self.last_error
