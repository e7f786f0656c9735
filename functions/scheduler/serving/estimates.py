"""Keep the estimates of a minute, because many open consoles ask for the same chart."""

from __future__ import annotations

from typing import Any

FRESH_MS = 60_000
KEPT_MAX = 100

Question = tuple[str, ...]


class Estimates:
    def __init__(self) -> None:
        self._kept: dict[Question, tuple[int, dict[str, Any]]] = {}

    def get(self, question: Question, now_ms: int) -> dict[str, Any] | None:
        made_ms, answer = self._kept.get(question, (0, {}))
        return answer if answer and 0 <= now_ms - made_ms < FRESH_MS else None

    def keep(self, question: Question, answer: dict[str, Any], now_ms: int) -> None:
        self._kept.pop(question, None)
        while len(self._kept) >= KEPT_MAX:
            del self._kept[next(iter(self._kept))]
        self._kept[question] = now_ms, answer
