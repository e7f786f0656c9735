"""The errors of the scheduler. Lambda returns the class name and the message to the caller of a function."""


class InvalidSchedule(Exception):
    """The request cannot be accepted as it is. Sending it again does not help.

    `name_taken` marks a request that may be accepted later, because another schedule has the name now.
    """

    def __init__(self, message: str = "", name_taken: bool = False) -> None:
        super().__init__(message)
        self.name_taken = name_taken


class NotConfirmed(Exception):
    """AWS did not confirm a call in time. The call may or may not have had an effect. The caller can send it again.

    `begun` is false if there was no time to make the call, so that it certainly had no effect. `lasting` marks a call
    that no retry of this code can confirm, because newer code has stored what it met. Nothing has changed then, and the
    same call succeeds after an update of the stack.
    """

    def __init__(self, message: str = "", begun: bool = True, lasting: bool = False) -> None:
        super().__init__(message)
        self.begun, self.lasting = begun, lasting


class Undelivered(Exception):
    """A target has not confirmed a delivery. The error describes the answer briefly, without payload and secrets.

    `ours` marks a fault of this stack that prevented the call to the target. It does not count as an attempt.
    """

    def __init__(
        self,
        error: str,
        permanent: bool = False,
        retry_after_s: float | None = None,
        timed_out: bool = False,
        ours: bool = False,
    ) -> None:
        super().__init__(error)
        self.error, self.permanent, self.retry_after_s, self.timed_out = error, permanent, retry_after_s, timed_out
        self.ours = ours


class PartitionBusy(Exception):
    """Another feed holds the partition. Lambda retries this one when the other has ended."""


class InvalidRequest(Exception):
    """The manage function cannot carry out the request. Sending it again does not help."""


class NotFound(Exception):
    """The schedule does not exist, or no part of it can be changed any more."""


class OnItsWay(Exception):
    """Too late: the schedule is queued, or released, or never existed. The table cannot say which."""


class KeyRefused(Exception):
    """The key is unknown, disabled or replaced, or its application is deleted. The message never holds the key."""


class QuotaUsedUp(Exception):
    """The application has no room for the request in its quota of the day."""

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class OutOfTime(Exception):
    """Reading in time order takes too long. The listing then reads the page another way, so no caller gets this."""


def reason(failure: Exception) -> str:
    """Return what the log may say about a failure. Messages of other libraries may quote the caller's data."""
    return str(failure) if isinstance(failure, NotConfirmed) else type(failure).__name__
