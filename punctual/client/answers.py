"""Turn the answers of the functions into values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from punctual.client.times import from_epoch, from_epoch_or_none
from punctual.client.values import Failure, FeedRun, Forecast, Queued, Schedule, Scheduled


def scheduled(answer: Mapping[str, Any], name: str | None) -> Scheduled:
    return Scheduled(answer["id"], from_epoch(answer["timestamp"]), answer["state"], name, answer.get("result"))


def schedule(answer: Mapping[str, Any]) -> Schedule:
    return Schedule(
        id=answer["id"],
        name=answer["name"],
        due=from_epoch(answer["timestamp"]),
        state=answer["state"],
        target=answer["target"],
        data=answer["data"],
        attempts=answer["attempts"],
        error=answer["error"],
        changed=from_epoch_or_none(answer["changed"]),
        next_attempt=from_epoch_or_none(answer.get("next_attempt")),
        user=answer.get("user"),
        retry=answer.get("retry"),
        failure_target=answer.get("failure_target"),
        expires_after=answer.get("expires_after"),
        accepted=from_epoch_or_none(answer.get("accepted")),
        attempt_times=_times(answer.get("attempt_times")),
    )


def _times(values: Iterable[object] | None) -> tuple[datetime, ...] | None:
    return None if values is None else tuple(map(from_epoch, values))


def failure(answer: Mapping[str, Any]) -> Failure:
    return Failure(
        id=answer["id"],
        name=answer["name"],
        due=from_epoch_or_none(answer["timestamp"]),
        failed=from_epoch_or_none(answer["failed"]),
        reason=answer["reason"],
        error=answer["error"],
        attempts=answer["attempts"],
        target=answer["target"],
    )


def feed_run(answer: Mapping[str, Any]) -> FeedRun:
    return FeedRun(
        partition=answer["partition"],
        begun=from_epoch(answer["begun"]),
        ended=from_epoch(answer["ended"]),
        moved=answer["moved"],
        left=answer["left"],
        error=answer["error"],
    )


def queued(answer: Mapping[str, Any]) -> Queued | None:
    counts = answer.get("queued")
    return None if counts is None else Queued(counts["output"], counts["delivery"])


def forecast(pages: Iterable[Mapping[str, Any]]) -> Forecast:
    """Add up the pages. Every page has all buckets."""
    counts, total, note, counted = Counter[float](), 0, None, None
    for page in pages:
        for bucket in page["buckets"]:
            counts[bucket["timestamp"]] += bucket["count"]
        total += page["total"]
        note, counted = page.get("note", note), queued(page) or counted
    return Forecast(tuple((from_epoch(due), count) for due, count in sorted(counts.items())), total, note, counted)
