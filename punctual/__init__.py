"""Punctual: schedule data for a time, and receive it at that time.

from datetime import timedelta
from punctual import Scheduler

scheduler = Scheduler("punctual")
scheduler.schedule({"order": 7}, delay=timedelta(hours=2), name="order/7")
"""

from punctual.client.errors import (
    AccessDenied,
    FunctionFailed,
    InvalidRequest,
    InvalidSchedule,
    InvalidSignature,
    NotConfirmed,
    NotFound,
    OnItsWay,
    PunctualError,
    StackNotFound,
    Unreachable,
)
from punctual.client.scheduler import Scheduler
from punctual.client.values import (
    UNSET,
    Cancellation,
    Cancelled,
    Failure,
    Forecast,
    Json,
    Queued,
    Redriven,
    Rejected,
    Schedule,
    Scheduled,
    Unconfirmed,
    Unset,
)

__version__ = "0.1.0"

__all__ = [
    "UNSET",
    "AccessDenied",
    "Cancellation",
    "Cancelled",
    "Failure",
    "Forecast",
    "FunctionFailed",
    "InvalidRequest",
    "InvalidSchedule",
    "InvalidSignature",
    "Json",
    "NotConfirmed",
    "NotFound",
    "OnItsWay",
    "PunctualError",
    "Queued",
    "Redriven",
    "Rejected",
    "Schedule",
    "Scheduled",
    "Scheduler",
    "StackNotFound",
    "Unconfirmed",
    "Unreachable",
    "Unset",
    "__version__",
]
