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
    FeedRun,
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
from punctual.receiving.consumer import consumer
from punctual.receiving.dedupe import Table
from punctual.receiving.message import Message
from punctual.receiving.messages import Messages
from punctual.receiving.webhook import Webhook, verify_webhook

__version__ = "1.0.0"

__all__ = [
    "UNSET",
    "AccessDenied",
    "Cancellation",
    "Cancelled",
    "Failure",
    "FeedRun",
    "Forecast",
    "FunctionFailed",
    "InvalidRequest",
    "InvalidSchedule",
    "InvalidSignature",
    "Json",
    "Message",
    "Messages",
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
    "Table",
    "Unconfirmed",
    "Unreachable",
    "Unset",
    "Webhook",
    "__version__",
    "consumer",
    "verify_webhook",
]
