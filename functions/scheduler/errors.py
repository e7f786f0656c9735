"""What a caller can be told. Lambda hands the name of the class and the message to whoever invoked us."""


class InvalidSchedule(Exception):
    """The request can never be accepted as it is: sending it again is of no use."""


class NotConfirmed(Exception):
    """AWS did not confirm in time: it may or may not have happened, and is worth sending again."""


class Undelivered(Exception):
    """A target has not confirmed a delivery. What came is said in a few words, without payload and secrets.

    `ours` marks a fault on our side that kept us from calling the target at all: it is not an attempt."""

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
    """Another feed holds the partition; Lambda's retry comes back when it has ended."""


class InvalidRequest(Exception):
    """What was asked of the manage function makes no sense: asking it again is of no use."""


class NotFound(Exception):
    """There is no such schedule, or nothing of it is left that could be changed."""


class OnItsWay(Exception):
    """Too late: it is queued, released, or was never there, and nobody can tell which."""


class OutOfTime(Exception):
    """A read in order of time takes too long. It never reaches a caller: the page is then read another way."""


def reason(failure: Exception) -> str:
    """What a log may say of it. Messages that are not ours may quote what was sent."""
    return str(failure) if isinstance(failure, NotConfirmed) else type(failure).__name__
