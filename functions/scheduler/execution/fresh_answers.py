"""Keep answers for a minute, so that an execution environment does not ask for the same again."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

from scheduler.value_class import value_class

FRESH_MS = 60_000

Answer = TypeVar("Answer")


@value_class
class Kept(Generic[Answer]):
    answer: Answer
    at_ms: int


class FreshAnswers(Generic[Answer]):
    """A number of answers by their questions. The oldest one leaves first."""

    def __init__(self, answers_max: int) -> None:
        self._answers_max = answers_max
        self._kept: dict[Hashable, Kept[Answer]] = {}

    def get(self, question: Hashable, now_ms: int) -> Kept[Answer] | None:
        """Return the answer if it is less than a minute old. It may itself be None."""
        kept = self._kept.get(question)
        return kept if kept is not None and 0 <= now_ms - kept.at_ms < FRESH_MS else None

    def keep(self, question: Hashable, answer: Answer, now_ms: int) -> Answer:
        self._kept.pop(question, None)
        while len(self._kept) >= self._answers_max:
            del self._kept[next(iter(self._kept))]
        self._kept[question] = Kept(answer, now_ms)
        return answer
