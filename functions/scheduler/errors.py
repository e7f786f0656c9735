"""What a caller can be told. Lambda hands the name of the class and the message to whoever invoked us."""


class InvalidSchedule(Exception):
    """The request can never be accepted as it is: sending it again is of no use."""


class NotConfirmed(Exception):
    """AWS did not confirm in time: it may or may not have happened, and is worth sending again."""


class PartitionBusy(Exception):
    """Another feed holds the partition; Lambda's retry comes back when it has ended."""
