"""Callers ask for times in a time zone, for a random moment in a spread, and for changes of any field.

Half of the runs have none of this, because each change costs several calls.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from punctual.testing.timeline import US
from simulator.workload.callers import CALL, QUEUE, TOPIC, TRIES_MAX, Change, Submission
from simulator.workload.expected import ZONES_S, ExpectedSchedule, local_time

if TYPE_CHECKING:
    from simulator.simulation import Simulation

LOCAL_MS_MAX = 32_000_000_000_000
NAMES = ("name/0", "name/1", "local/0")


def plan(run: Simulation) -> None:
    draw = random.Random(f"punctual local times {run.seed}")
    if draw.random() < 0.5:
        return
    for _ in range(draw.randint(1, 3)):
        _submit(run, draw, run.start_us + round(draw.uniform(0, 3600) * US))
    for at_us, expected_schedules in run.orders:
        begin_us = at_us + round(draw.uniform(30, 200) * US)
        far = [each for each in expected_schedules if (each.due_ms or 0) * 1000 > begin_us + 1000 * US]
        for expected in draw.sample(far, min(len(far), draw.choice((0, 0, 1, 2)))):
            _change(run, draw, begin_us + draw.randrange(20_000), expected)
    for _ in range(draw.randint(1, 4)):
        _change(run, draw, run.start_us + round(draw.uniform(0, 4000) * US), None)


def _submit(run: Simulation, draw: random.Random, at_us: int) -> None:
    size = draw.choice((1, 2, 4, 8))
    batch = size > 1 or draw.random() < 0.2
    token = f"local {len(run.expected_schedules.by_tag)}" if draw.random() < 0.6 else None
    ahead_s = draw.choice((0.0, 30.0, 899.5, 1000.0, draw.uniform(900, 7200), 10 ** draw.uniform(4, 9)))
    name = draw.choice(NAMES) if draw.random() < 0.3 else None
    made = [_expected(run, draw, (at_us, ahead_s), None if batch else token, name) for _ in range(size)]
    way = draw.choice((CALL, CALL, QUEUE, TOPIC))
    tries = draw.randint(2, TRIES_MAX) if token and way == CALL else 1
    run.requested_us.append(at_us)
    if name is None and way == CALL:
        run.orders.append((at_us, made))
    run.callers.begin(Submission(at_us, made, batch, token, tries, way))


def _expected(
    run: Simulation, draw: random.Random, at: tuple[int, float], token: str | None, name: str | None
) -> ExpectedSchedule:
    at_us, ahead_s = at
    due_ms = at_us // 1000 + round((ahead_s + draw.choice((0.0, 0.5, 20.0))) * 1000)
    if name is None:
        expected = run.expected_schedules.make(at_us, due_ms, token, draw.random() < 0.5, True)
    else:
        expected = run.expected_schedules.make_named(at_us, due_ms, name, "replace", token, True)
    zone = draw.choice(sorted(ZONES_S)) if draw.random() < 0.5 and due_ms < LOCAL_MS_MAX else None
    run.expected_schedules.localise(expected, zone, draw.choice((0, 0.25, 60, 900, 7200)))
    return expected


def _change(run: Simulation, draw: random.Random, at_us: int, expected: ExpectedSchedule | None) -> None:
    """Change the time, or the data and other fields, or all of it: of this schedule, or of a name."""
    name = "" if expected is not None else draw.choice(NAMES)
    more, at_ms, spread_ms = _time(draw, at_us) if draw.random() < 0.5 else ({}, None, 0)
    becomes = None
    if not more or draw.random() < 0.5:
        becomes = run.expected_schedules.make_changed(name or None, {**_others(run, draw), **more})
        more = becomes.change or {}
    run.requested_us.append(at_us)
    run.callers.change(Change(at_us, "change", name, expected, more, becomes, at_ms, spread_ms))


def _time(draw: random.Random, at_us: int) -> tuple[dict[str, Any], int, int]:
    """Return the fields of a new time, what they mean, and the spread."""
    ahead_s = draw.choice((0.0, 5.0, 890.0, 1000.0, draw.uniform(900, 7200), 10 ** draw.uniform(4, 9)))
    at_ms, spread_s = at_us // 1000 + round(ahead_s * 1000), draw.choice((0, 0, 60, 7200))
    more: dict[str, Any] = {"timestamp": at_ms / 1000}
    if draw.random() < 0.5 and at_ms < LOCAL_MS_MAX:
        zone = draw.choice(sorted(ZONES_S))
        more = {"timestamp": local_time(at_ms, zone), "zone": zone}
    if spread_s:
        more["spread"] = spread_s
    return more, at_ms, spread_s * 1000


def _others(run: Simulation, draw: random.Random) -> dict[str, Any]:
    """Return other fields of a change. Fields that are left out keep their values."""
    given: dict[str, Any] = {}
    if draw.random() < 0.3:
        given["user"] = draw.choice((None, "another user"))
    if draw.random() < 0.3:
        given["target"] = draw.choice((None, *sorted(run.targets)))
    if draw.random() < 0.2:
        given["expires_after"] = draw.choice((None, 7200))
    return given
