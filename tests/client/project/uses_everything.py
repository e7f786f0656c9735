"""A user's project that uses every public name. A test checks it with `mypy --strict`, and no result may hold Any."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TypedDict, reveal_type

import boto3

import punctual
from punctual import (
    UNSET,
    AccessDenied,
    Cancellation,
    Cancelled,
    Failure,
    FeedRun,
    Forecast,
    FunctionFailed,
    InvalidRequest,
    InvalidSchedule,
    InvalidSignature,
    Json,
    Message,
    Messages,
    NotConfirmed,
    NotFound,
    OnItsWay,
    PunctualError,
    Queued,
    Redriven,
    Rejected,
    Schedule,
    Scheduled,
    Scheduler,
    StackNotFound,
    Table,
    Unconfirmed,
    Unreachable,
    Unset,
    Webhook,
    consumer,
    verify_webhook,
)

VERSION: str = punctual.__version__


class Order(TypedDict):
    data: dict[str, int]
    delay: float


def schedulers() -> list[Scheduler]:
    with Scheduler() as default:
        default.close()
    return [
        Scheduler("punctual"),
        Scheduler("punctual", session=boto3.Session(profile_name="work"), endpoint_url="http://127.0.0.1:4566"),
        Scheduler.from_outputs({"ScheduleFunction": "schedule"}, session=boto3.Session()),
    ]


def one(scheduler: Scheduler) -> Scheduled:
    scheduled = scheduler.schedule({"order": 7}, delay=timedelta(hours=2), name="order/7", if_exists="keep")
    reveal_type(scheduled)
    reveal_type(scheduled.id)
    reveal_type(scheduled.due)
    reveal_type(scheduled.state)
    reveal_type(scheduled.name)
    reveal_type(scheduled.result)
    scheduler.schedule("x", at=datetime(2030, 1, 1, tzinfo=UTC), target={"url": "https://api.example.com"}, user="u")
    scheduler.schedule("x", at="2030-01-01T09:00", zone="Europe/Berlin", spread=60, retry={"attempts": 3}, token="t")
    scheduler.schedule(target={"url": "https://api.example.com"}, delay=1.5, failure_target="arn", expires_after=60)
    moved = scheduler.move("order/7", at="2030-01-01T09:00:00Z")
    reveal_type(moved)
    reveal_type(scheduler.fire(id=scheduled.id))
    return scheduler.change("order/7", data={"order": 8}, user=None, retry=UNSET, delay=60)


def patch(scheduler: Scheduler, user: str | Unset | None = UNSET) -> None:
    scheduler.change(id="1-001893456000000-0123456789abcdef", user=user, at=datetime.now(UTC))


def looked_up(scheduler: Scheduler) -> Schedule:
    found = scheduler.get("order/7")
    reveal_type(found)
    reveal_type(found.json)
    reveal_type(found.target)
    reveal_type(found.retry)
    reveal_type(found.changed)
    reveal_type(found.data)
    reveal_type(found.attempts)
    reveal_type(found.attempt_times)
    value: Json = found.json
    if isinstance(value, dict):
        reveal_type(value["order"])
    cancelled: Cancellation = scheduler.cancel("order/7")
    reveal_type(cancelled.state)
    return found


def many(scheduler: Scheduler, orders: Iterator[Order], mappings: list[Mapping[str, object]]) -> int:
    lost = 0
    for result in scheduler.schedule_many(orders, batch_size=500, workers=4):
        reveal_type(result)
        if isinstance(result, Rejected):
            reveal_type(result.message)
            lost += 1
        elif isinstance(result, Unconfirmed):
            reveal_type(result.token)
        else:
            reveal_type(result.due)
    results = scheduler.schedule_many(mappings)
    results.close()
    return lost


def listed(scheduler: Scheduler) -> list[str]:
    pages = scheduler.list("2030-01-01T00:00Z", prefix="order/", full=True, limit=10)
    reveal_type(pages)
    reveal_type(pages.note)
    queued: Queued | None = pages.queued
    if queued is not None:
        reveal_type(queued.output)
    return [each.id for each in pages]


def counted(scheduler: Scheduler) -> Forecast:
    forecast = scheduler.forecast("2030-01-01T00:00Z", "2030-02-01T00:00Z", timedelta(days=1))
    reveal_type(forecast.buckets)
    reveal_type(forecast.total)
    cancelled: Cancelled = scheduler.cancel_where("order/", dry_run=True)
    reveal_type(cancelled.matched)
    return forecast


def failed(scheduler: Scheduler) -> Redriven:
    failures: list[Failure] = list(scheduler.failures(limit=5))
    for failure in failures:
        reveal_type(failure.reason)
        reveal_type(failure.target)
        reveal_type(failure.due)
    redriven = scheduler.redrive("2030-01-01T00:00Z", "2030-02-01T00:00Z", spread=timedelta(minutes=5))
    reveal_type(redriven.redriven)
    return scheduler.redrive(id="1-001893456000000-0123456789abcdef")


def fed(scheduler: Scheduler) -> list[int]:
    runs: list[FeedRun] = list(scheduler.runs("2030-01-01T00:00Z", "2030-01-02T00:00Z", partition=3))
    for run in runs:
        reveal_type(run)
        reveal_type(run.begun)
        reveal_type(run.error)
    return [run.moved for run in scheduler.runs()]


def handled(scheduler: Scheduler) -> str:
    try:
        one(scheduler)
    except (InvalidSchedule, InvalidRequest) as error:
        reveal_type(error.field)
        return error.code
    except (NotFound, OnItsWay, InvalidSignature):
        return "too late"
    except (FunctionFailed, NotConfirmed, Unreachable, AccessDenied, StackNotFound) as error:
        reveal_type(error.retryable)
        return "later" if error.retryable else error.message
    except PunctualError as error:
        reveal_type(error.request_id)
        return str(error)
    return ""


def received(scheduler: Scheduler) -> list[str]:
    messages: Messages = scheduler.messages(wait=False, dedupe=True)
    with messages:
        for message in messages:
            reveal_type(message)
            reveal_type(message.json)
            reveal_type(message.due)
            reveal_type(message.name)
            message.delete()
    scheduler.consume(handle, workers=4, dedupe=Table("handled"), wait=False)
    return [message.id for message in scheduler.messages()]


def handle(message: Message) -> None:
    reveal_type(message.data)
    reveal_type(message.lateness)


@consumer(dedupe=Table("handled"))
def function(message: Message) -> None:
    handle(message)


@consumer
def plain(message: Message) -> None:
    handle(message)


def web(headers: dict[str, str], body: bytes) -> Webhook:
    webhook = verify_webhook(headers, body, ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])
    reveal_type(webhook.id)
    reveal_type(webhook.sent)
    reveal_type(webhook.json)
    reveal_type(function({"Records": []}, None)["batchItemFailures"])
    return webhook
