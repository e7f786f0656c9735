"""The operations of the manage function as methods."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from typing import Any

from punctual.client import answers, request, times
from punctual.client.calling.invoking import Repeat
from punctual.client.calling.paging import PAGE_MAX, Pages, every_page
from punctual.client.connection import Connection
from punctual.client.errors import InvalidRequest, InvalidSchedule, NotConfirmed
from punctual.client.times import Duration, Moment
from punctual.client.values import (
    UNSET,
    Cancellation,
    Cancelled,
    Failure,
    FeedRun,
    Forecast,
    Redriven,
    Schedule,
    Scheduled,
    Target,
    Unset,
)


class Manager(Connection):
    """Looks up, changes and counts schedules."""

    # ---------------------------------------------------------------------------------------------------- one of them

    def get(self, name: str | None = None, *, id: str | None = None) -> Schedule:
        """Return a schedule by its name or id. Raise NotFound, or OnItsWay if it is too close to its time."""
        which = request.which(name, id)
        try:
            return answers.schedule(self._invoker.manage("get", {**which, "full": True}))
        except InvalidRequest as error:
            if "'full' is not a field" not in str(error):
                raise
        return answers.schedule(self._invoker.manage("get", which))  # A stack of an earlier version.

    def cancel(self, name: str | None = None, *, id: str | None = None) -> Cancellation:
        """Cancel a schedule by its name or id. Cancelling a name again gives the same answer."""
        repeat = Repeat.NEVER if name is None else Repeat.SETTLES
        answer = self._invoker.manage("cancel", request.which(name, id), repeat)
        return Cancellation(answer["id"], answer["state"])

    def fire(self, name: str | None = None, *, id: str | None = None) -> Scheduled:
        """Release a schedule now."""
        answer = self._invoker.manage("fire", request.which(name, id), Repeat.NEVER)
        return answers.scheduled(answer, name)

    def move(
        self,
        name: str | None = None,
        *,
        id: str | None = None,
        at: Moment | None = None,
        delay: Duration | None = None,
        zone: str | None = None,
    ) -> Scheduled:
        """Move a schedule to another time. It gets a new id, and everything else stays."""
        request.one_time(at, delay)
        given = {"at": at, "delay": delay, "zone": zone}
        operation = "move" if zone is None else "change"  # Only `change` takes a zone.
        return self._change(operation, name, id, {field: value for field, value in given.items() if value is not None})

    def change(  # noqa: PLR0913 - One argument for each field that can change.
        self,
        name: str | None = None,
        *,
        id: str | None = None,
        at: Moment | Unset = UNSET,
        delay: Duration | Unset = UNSET,
        zone: str | Unset = UNSET,
        spread: Duration | Unset = UNSET,
        data: object = UNSET,
        target: Target | Unset | None = UNSET,
        user: str | Unset | None = UNSET,
        retry: Mapping[str, object] | Unset | None = UNSET,
        failure_target: str | Unset | None = UNSET,
        expires_after: Duration | Unset | None = UNSET,
    ) -> Scheduled:
        """Change fields of a schedule. Fields that are not given keep their values, and None removes one.

        The schedule gets a new id. `retry` is replaced as a whole.
        """
        given = {
            "at": at,
            "delay": delay,
            "zone": zone,
            "spread": spread,
            "data": data,
            "target": target,
            "user": user,
            "retry": retry,
            "failure_target": failure_target,
            "expires_after": expires_after,
        }
        return self._change("change", name, id, given)

    def _change(self, operation: str, name: str | None, id: str | None, given: Mapping[str, object]) -> Scheduled:
        """The time is fixed before the first try. So a repeat by name has the same effect."""
        fields = request.schedule_fields(given, self._backend.now())
        which = request.which(name, id)
        if not fields:
            raise InvalidSchedule("no field to change is given; wanted: at, delay, data or another one")
        repeat = Repeat.NEVER if name is None else Repeat.SAFE
        answer = self._invoker.manage(operation, {**which, **fields}, repeat)
        return answers.scheduled(answer, name)

    # ------------------------------------------------------------------------------------------------- many of them

    def list(
        self,
        start: Moment | None = None,
        end: Moment | None = None,
        prefix: str | None = None,
        *,
        full: bool = False,
        limit: int | None = None,
    ) -> Pages[Schedule]:
        """Iterate over the pending schedules from `start` to before `end`, or with names that begin with `prefix`.

        Data is cut after 256 characters unless `full` is set. `limit` ends the iteration earlier.
        """
        fields: dict[str, Any] = {**request.span(start, end), "limit": request.page_limit(limit, PAGE_MAX)}
        if prefix is not None:
            fields["prefix"] = prefix
        if full:
            fields["full"] = True
        return Pages(self._invoker, "list", fields, "schedules", answers.schedule, limit)

    def forecast(self, start: Moment, end: Moment, bucket: Duration) -> Forecast:
        """Count the schedules that are due from `start` to before `end`, in buckets of this length."""
        fields: dict[str, Any] = {**request.span(start, end), "bucket": times.duration("bucket", bucket)}
        return answers.forecast(every_page(self._invoker, "forecast", fields))

    def cancel_where(
        self, prefix: str, start: Moment | None = None, end: Moment | None = None, *, dry_run: bool
    ) -> Cancelled:
        """Cancel all pending schedules whose names begin with `prefix`. With `dry_run`, only count them."""
        fields: dict[str, Any] = {"prefix": prefix, **request.span(start, end), "dry_run": dry_run}
        total = Cancelled(0, 0)
        try:
            for answer in every_page(
                self._invoker, "cancel_where", fields, Repeat.SETTLES if dry_run else Repeat.NEVER
            ):
                total = Cancelled(
                    total.matched + answer["matched"],
                    total.cancelled + answer["cancelled"],
                    total.unconfirmed + answer.get("unconfirmed", 0),
                )
        except NotConfirmed as error:
            raise NotConfirmed(
                f"{error}; {total.cancelled} were cancelled before, and a new call goes on with the rest",
                request_id=error.request_id,
            ) from error
        return total

    def failures(
        self, start: Moment | None = None, end: Moment | None = None, *, limit: int | None = None
    ) -> Pages[Failure]:
        """Iterate over the schedules that failed or expired from `start` to before `end`."""
        fields = {**request.span(start, end), "limit": request.page_limit(limit, PAGE_MAX)}
        return Pages(self._invoker, "failures", fields, "failures", answers.failure, limit)

    def redrive(
        self,
        start: Moment | None = None,
        end: Moment | None = None,
        *,
        id: str | None = None,
        spread: Duration | None = None,
    ) -> Redriven:
        """Schedule one failure again by its `id`, or all failures of a time. They are due now, or within `spread`."""
        fields: dict[str, Any] = {**request.span(start, end)}
        if id is not None:
            fields["id"] = id
        if spread is not None:
            fields["spread"] = times.duration("spread", spread)
        pages: builtins.list[Redriven] = []
        try:
            pages.extend(
                Redriven(answer["redriven"], answer["left"])
                for answer in every_page(self._invoker, "redrive", fields, Repeat.NEVER)
            )
        except NotConfirmed as error:
            done = sum(page.redriven for page in pages)
            raise NotConfirmed(f"{error}; {done} were redriven before", request_id=error.request_id) from error
        return Redriven(sum(page.redriven for page in pages), sum(page.left for page in pages))

    def runs(
        self, start: Moment | None = None, end: Moment | None = None, partition: int | str | None = None
    ) -> Pages[FeedRun]:
        """Iterate over the runs of the feed that began from `start` to before `end`, of all partitions or of one.

        A run is one invocation of the feed function, for one partition. The stack keeps the runs of 30 days.
        """
        fields = request.span(start, end)
        if partition is not None:
            fields["partition"] = str(partition)
        return Pages(self._invoker, "runs", fields, "runs", answers.feed_run)
