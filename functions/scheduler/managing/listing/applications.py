"""Carry out an operation of the owner for another application, or for all applications one after the other.

A page of all begins with the owner's own entries and goes on with application after application, by id. Its position is
the application, and the position within the application's pages.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from scheduler.errors import InvalidRequest, NotFound
from scheduler.execution.deadline import Deadline, retry_call
from scheduler.limits import APPLICATION_NAME_CHARACTERS_MAX
from scheduler.managing import paging
from scheduler.managing.dependencies import ManageDependencies
from scheduler.managing.paging import bytes_in_list
from scheduler.managing.request import ManageRequest
from scheduler.model.application import OWNER_NAME
from scheduler.text import shown

WHOSE, EVERY = "application", "*"
WHOSE_WANTED = f"the name or the id of an application, or {OWNER_NAME} for the owner's own schedules"
LISTS = {"list": "schedules", "failures": "failures"}
"""The operations that work for all applications, and the lists in their answers. A forecast does, too."""
FIRST_BYTES_MAX = 500_000
"""An answer that is larger takes in no more pages. One page has up to 5 MB, and an answer of Lambda 6 MB."""
LIMIT_DEFAULT = 100

Operation = Callable[[ManageRequest, ManageDependencies, Deadline], dict[str, Any]]
Answer = dict[str, Any]


def answer(
    operation: Operation, request: ManageRequest, dependencies: ManageDependencies, deadline: Deadline
) -> Answer:
    """Carry out the operation for the application that the request names."""
    whose = request.fields[WHOSE]
    rest = replace(request, fields={field: value for field, value in request.fields.items() if field != WHOSE})
    if whose == EVERY:
        return _EveryApplication(operation, rest, dependencies, deadline).answer()
    if not isinstance(whose, str) or not 1 <= len(whose) <= APPLICATION_NAME_CHARACTERS_MAX:
        raise InvalidRequest(f"application is {shown(whose)}; wanted: {WHOSE_WANTED}")
    found = _bound(whose, dependencies, deadline)
    if found is None:
        raise NotFound(f"no application has the name or the id {shown(whose)}; wanted: {WHOSE_WANTED}")
    return operation(rest, found, deadline)


def _bound(whose: str, dependencies: ManageDependencies, deadline: Deadline) -> ManageDependencies | None:
    of_application = dependencies.of_application
    if whose == OWNER_NAME or of_application is None:
        return dependencies if whose == OWNER_NAME else None
    return retry_call(lambda: of_application(whose), deadline)


class _EveryApplication:
    def __init__(
        self, operation: Operation, request: ManageRequest, dependencies: ManageDependencies, deadline: Deadline
    ) -> None:
        if request.operation not in (*LISTS, "forecast"):
            raise InvalidRequest(
                f"application is {EVERY}, and {request.operation} is for one application; wanted: {WHOSE_WANTED}; "
                f"{EVERY} is for {', '.join(LISTS)} and forecast"
            )
        self._operation, self._request = operation, request
        self._dependencies, self._deadline = dependencies, deadline
        self._list = LISTS.get(request.operation, "buckets")

    def answer(self) -> Answer:
        """Return the pages of one application after the other, as many as time and size allow."""
        at, inner = self._position()
        whose = ["", *retry_call(self._dependencies.applications, self._deadline)]
        waiting = [each for each in whose if each >= at]
        total: Answer = {self._list: [], "next": None}
        for number, each in enumerate(waiting):
            if number and self._is_enough(total):
                return {**total, "next": paging.encode(EVERY, each, "")}
            page = self._page(each, inner if each == at else "", total)
            total = self._together(total, page, each)
            if page["next"] is not None:
                return {**total, "next": paging.encode(EVERY, each, page["next"])}
        return total

    def _position(self) -> tuple[str, str]:
        found = paging.decode(self._request.fields.get("next"), EVERY, str, str)
        return ("", "") if found is None else (found[0], found[1])

    def _page(self, whose: str, inner: str, total: Answer) -> Answer:
        bound = _bound(whose or OWNER_NAME, self._dependencies, self._deadline)
        if bound is None:  # It was deleted meanwhile.
            return {self._list: [], "next": None}
        fields = {field: value for field, value in self._request.fields.items() if field != "next"}
        if self._request.operation in LISTS and total[self._list]:
            fields["limit"] = self._limit() - len(total[self._list])
        if inner:
            fields["next"] = inner
        return self._operation(replace(self._request, fields=fields), bound, self._deadline)

    def _limit(self) -> int:
        limit = self._request.fields.get("limit", LIMIT_DEFAULT)
        return limit if isinstance(limit, int) else LIMIT_DEFAULT

    def _is_enough(self, total: Answer) -> bool:
        found: Sequence[object] = total[self._list]
        if self._deadline.passed():
            return True
        if self._request.operation not in LISTS:
            return False
        return len(found) >= self._limit() or sum(map(bytes_in_list, found)) > FIRST_BYTES_MAX

    def _together(self, total: Answer, page: Answer, whose: str) -> Answer:
        more = page[self._list]
        if self._request.operation in LISTS:
            more = [{**each, WHOSE: whose or OWNER_NAME} for each in more]
            return {**page, **total, self._list: [*total[self._list], *more]}
        if not total[self._list]:
            return {**page, "next": None}
        if not more:
            return total
        pairs = zip(total[self._list], more, strict=True)
        buckets = [{**one, "count": one["count"] + other["count"]} for one, other in pairs]
        return {**page, **total, self._list: buckets, "total": total["total"] + page["total"]}
