"""Random operations of three applications and the owner, compared with a model in which they share nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from punctual.testing import Refused
from shared_stack import A, B, C, Shared

EVERYBODY = ("", A, B, C)
DELAYS = (200, 600, 5_000, 40_000)
CHANGEABLE_S = 1_100
"""An unnamed schedule that is due later than this is in the table, and no feed reads it soon."""
SURE_S = 60
"""A named schedule that is due later than this is certainly pending."""

OPERATIONS = st.tuples(
    st.sampled_from(["named", "unnamed", "batch", "cancel", "move", "change", "fire", "sweep", "advance", "others"]),
    st.sampled_from(EVERYBODY),
    st.integers(0, 2),
    st.sampled_from(DELAYS),
)


@dataclass
class Model:
    """What each of them has pending, by name or id, and what is released."""

    pending: dict[tuple[str, str], tuple[str, float]] = field(default_factory=dict)
    released: Counter[tuple[str, str]] = field(default_factory=Counter)

    def release(self, now: float) -> None:
        for key, (data, due) in list(self.pending.items()):
            if due <= now:
                self.released[key[0], data] += 1
                del self.pending[key]

    def of(self, whose: str) -> dict[str, tuple[str, float]]:
        return {which: facts for (owner, which), facts in self.pending.items() if owner == whose}


class Play:
    def __init__(self) -> None:
        self.shared, self.model, self.number = Shared(), Model(), 0
        for each in (A, B, C):
            self.shared.create(each)

    @property
    def now(self) -> float:
        return self.shared.stack.now

    def data(self) -> str:
        self.number += 1
        return f"data {self.number}"

    def step(self, kind: str, whose: str, slot: int, delay: int) -> None:
        getattr(self, f"_{kind}")(whose, slot, delay)

    def _named(self, whose: str, slot: int, delay: int) -> None:
        data, name = self.data(), f"n/{slot}"
        if self._may_be_released(whose, name):
            return
        answer = self.shared.schedule(whose, delay=delay, name=name, data=data)
        assert ("replaced" if (whose, name) in self.model.pending else "created") == answer["result"]
        self.model.pending[whose, name] = (data, answer["timestamp"])

    def _unnamed(self, whose: str, slot: int, delay: int) -> None:
        data = self.data()
        answer = self.shared.schedule(whose, delay=delay, data=data)
        self.model.pending[whose, answer["id"]] = (data, answer["timestamp"])

    def _batch(self, whose: str, slot: int, delay: int) -> None:
        members = [{"delay": delay, "data": self.data()} for _ in range(2)]
        event = {"schedules": members, **({"application": whose} if whose else {})}
        for member, answer in zip(members, self.shared.stack.schedule(event)["results"], strict=True):
            self.model.pending[whose, answer["id"]] = (str(member["data"]), answer["timestamp"])

    def _cancel(self, whose: str, slot: int, delay: int) -> None:
        which = self._changeable(whose, slot)
        if which is not None:
            self.shared.manage(whose, "cancel", **which)
            del self.model.pending[whose, next(iter(which.values()))]

    def _move(self, whose: str, slot: int, delay: int) -> None:
        self._replace(whose, slot, "move", delay=delay)

    def _change(self, whose: str, slot: int, delay: int) -> None:
        self._replace(whose, slot, "change", data=self.data())

    def _fire(self, whose: str, slot: int, delay: int) -> None:
        self._replace(whose, slot, "fire")

    def _replace(self, whose: str, slot: int, operation: str, **fields: object) -> None:
        which = self._changeable(whose, slot)
        if which is None:
            return
        answer = self.shared.manage(whose, operation, **which, **fields)
        old, _ = self.model.pending.pop((whose, next(iter(which.values()))))
        self.model.pending[whose, which.get("name", answer["id"])] = (
            str(fields.get("data", old)),
            answer["timestamp"],
        )

    def _sweep(self, whose: str, slot: int, delay: int) -> None:
        names = [which for which in self.model.of(whose) if which.startswith("n/")]
        if any(self._may_be_released(whose, name) for name in names):
            return
        answer = self.shared.manage(whose, "cancel_where", prefix="n/", dry_run=False)
        assert len(names) == answer["cancelled"]
        for name in names:
            del self.model.pending[whose, name]

    def _advance(self, whose: str, slot: int, delay: int) -> None:
        self.shared.stack.advance(seconds=delay)
        self.model.release(self.now)

    def _others(self, whose: str, slot: int, delay: int) -> None:
        """Try the ids of all others."""
        for owner, which in self.model.pending:
            if owner != whose and not which.startswith("n/"):
                for operation, fields in (("get", {}), ("cancel", {}), ("fire", {}), ("change", {"data": "stolen"})):
                    with pytest.raises(Refused, match=r"NotFound|OnItsWay"):
                        self.shared.manage(whose, operation, id=which, **fields)

    def _changeable(self, whose: str, slot: int) -> dict[str, str] | None:
        """Return a schedule that can certainly be changed."""
        found = sorted(self.model.of(whose).items(), key=lambda item: item[1][0])
        left = {which: due - self.now for which, (_, due) in found}
        sure = [which for which in left if left[which] > (SURE_S if which.startswith("n/") else CHANGEABLE_S)]
        if not sure:
            return None
        which = sure[slot % len(sure)]
        return {"name": which} if which.startswith("n/") else {"id": which}

    def _may_be_released(self, whose: str, name: str) -> bool:
        """Return whether the name is so close to its time that either may win."""
        facts = self.model.pending.get((whose, name))
        return facts is not None and facts[1] - self.now <= SURE_S

    def check_lists(self) -> None:
        """Each of them sees what it has in the table, and nothing else."""
        for whose in EVERYBODY:
            wanted = sorted(data for data, due in self.model.of(whose).values() if due - self.now > CHANGEABLE_S)
            since = self.now + CHANGEABLE_S
            answer = self.shared.manage(whose, "list", **{"from": since})
            assert wanted == sorted(each["data"] for each in answer["schedules"])
            span = {"from": since, "to": since + 100_000, "bucket": 100_000}
            assert len(wanted) == self.shared.manage(whose, "forecast", **span)["total"]

    def check_releases(self) -> None:
        self.shared.stack.advance(seconds=max(DELAYS) + 60)
        self.model.release(self.now)
        found: Counter[tuple[str, str]] = Counter()
        for message in self.shared.messages("OutputQueueUrl"):
            found[message.attributes.get("application", {}).get("StringValue", ""), message.body] += 1
        assert self.model.released == found
        left = {item["partition"]["S"].split("#")[0] for item in self.shared.items()}
        assert not {each for each in left if each.isdigit()}


@pytest.mark.slow
@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)
@given(st.lists(OPERATIONS, min_size=5, max_size=25))
def test_applications_and_the_owner_share_nothing(steps: list[tuple[str, str, int, int]]):
    play = Play()
    for step in steps:
        play.step(*step)
    play.check_lists()
    play.check_releases()
