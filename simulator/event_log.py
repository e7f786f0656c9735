"""The event log of a run, the trace of one schedule in it, and a fingerprint of the whole."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from punctual.testing.timeline import US

TAG = re.compile(r"s\d{6}")
"""Every payload of a simulation begins with the tag of its schedule. The tag identifies the schedule everywhere."""
TAG_CHARACTERS_MAX = 256
"""The tag is within this number of characters. In an envelope an id, a time and a name precede it."""
FAULT_EVENTS = "weather"
"""The source of the entries about faults. A fingerprint contains the word, so another word would change every one."""
TRACE_LINES_MAX = 60
NEAR_US = 30 * US
"""The trace of a schedule includes events of a process this long before or after the process handled the schedule."""


def tag_of(data: str) -> str:
    found = TAG.search(data[:TAG_CHARACTERS_MAX])
    return found.group() if found else ""


@dataclass(frozen=True, slots=True)
class Entry:
    at_us: int
    who: str
    what: str
    tags: tuple[str, ...] = ()


@dataclass
class EventLog:
    entries: list[Entry] = field(default_factory=list)

    def add(self, at_us: int, who: str, what: str, tags: Iterable[str] = ()) -> None:
        self.entries.append(Entry(at_us, who, what, tuple(tags)))

    def fingerprint(self) -> str:
        """Return a hash of all entries. Another wording of an entry changes it, so entries keep some older words."""
        digest = hashlib.sha256()
        for entry in self.entries:
            digest.update(f"{entry.at_us} {entry.who} {entry.what} {' '.join(entry.tags)}\n".encode())
        return digest.hexdigest()

    def trace(self, tag: str) -> list[str]:
        """Return what happened to one schedule, with the faults and ends of the processes that handled it."""
        about = [entry for entry in self.entries if tag in entry.tags]
        if not about:
            return list(lines(self.entries[-TRACE_LINES_MAX:]))
        hands: dict[str, list[int]] = {}
        for entry in about:
            hands.setdefault(entry.who, []).append(entry.at_us)
        from_us, to_us = about[0].at_us - 3600 * US, about[-1].at_us

        def belongs(entry: Entry) -> bool:
            if tag in entry.tags:
                return True
            if entry.who in ("stack", FAULT_EVENTS, "lambda"):
                return from_us <= entry.at_us <= to_us
            near = (abs(entry.at_us - at_us) <= NEAR_US for at_us in hands.get(entry.who, ()))
            return not entry.tags and any(near)

        chosen = [entry for entry in self.entries if belongs(entry)]
        half = TRACE_LINES_MAX // 2
        return list(lines(chosen if len(chosen) <= TRACE_LINES_MAX else chosen[:half] + chosen[-half:]))


def lines(entries: Iterable[Entry]) -> Iterator[str]:
    for entry in entries:
        about = f"  {', '.join(entry.tags[:6])}{' …' if len(entry.tags) > 6 else ''}" if entry.tags else ""
        yield f"{moment(entry.at_us)}  {entry.who:<30} {entry.what}{about}"


def moment(at_us: int) -> str:
    return datetime.fromtimestamp(at_us // US, UTC).strftime("%Y-%m-%d %H:%M:%S") + f".{at_us % US // 1000:03d}"
