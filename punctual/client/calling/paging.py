"""Iterate over all pages of an answer. A page is requested when its first item is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from punctual.client import answers
from punctual.client.calling.invoking import Invoker, Repeat
from punctual.client.values import Queued

Item = TypeVar("Item")
PAGE_MAX = 1_000
"""The most schedules or failures that the manage function puts on a page."""


def every_page(
    invoker: Invoker, operation: str, fields: Mapping[str, Any], repeat: Repeat = Repeat.SETTLES
) -> Iterator[Mapping[str, Any]]:
    """Yield the answers of an operation until there is no next page."""
    request = dict(fields)
    while True:
        answer: Mapping[str, Any] = invoker.manage(operation, request, repeat)
        yield answer
        if answer["next"] is None:
            return
        request["next"] = answer["next"]


class Pages(Iterator[Item], Generic[Item]):
    """The items of all pages, one after the other.

    `note` and `queued` are what the last page said about schedules that no list can show.
    """

    def __init__(
        self,
        invoker: Invoker,
        operation: str,
        fields: Mapping[str, Any],
        listed: str,
        read: Callable[[Mapping[str, Any]], Item],
        limit: int | None = None,
    ) -> None:
        self._invoker, self._operation, self._fields = invoker, operation, dict(fields)
        self._listed, self._read = listed, read
        self._page: Iterator[Mapping[str, Any]] = iter(())
        self._left, self._limit = True, limit
        self.note: str | None = None
        self.queued: Queued | None = None

    def __iter__(self) -> Pages[Item]:
        return self

    def __next__(self) -> Item:
        while self._limit is None or self._limit > 0:
            for item in self._page:
                self._limit = None if self._limit is None else self._limit - 1
                return self._read(item)
            if not self._left:
                break
            self._turn()
        raise StopIteration

    def _turn(self) -> None:
        answer = self._invoker.manage(self._operation, self._fields)
        self._page = iter(answer[self._listed])
        self.note, self.queued = answer.get("note", self.note), answers.queued(answer) or self.queued
        self._left = answer["next"] is not None
        self._fields["next"] = answer["next"]
