"""The finding of a check of `punctual doctor`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from punctual.cli.inspecting.subject import Subject

State = Literal["ok", "fault", "not checked"]


@dataclass(frozen=True)
class Finding:
    """One line of the report. A fault has a remedy."""

    check: str
    state: State
    text: str
    remedy: str = ""


Answer = tuple[State, str, str]
"""The state, what was found, and the remedy of a fault."""


def ok(text: str) -> Answer:
    return "ok", text, ""


def fault(text: str, remedy: str) -> Answer:
    return "fault", text, remedy


def not_checked(text: str) -> Answer:
    return "not checked", text, ""


@dataclass(frozen=True)
class Check:
    """One check: its name in the report, and the function that reads the stack. It only reads."""

    name: str
    look: Callable[[Subject], Iterable[Answer]]
