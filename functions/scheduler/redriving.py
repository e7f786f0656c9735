"""Schedule again what could not be released: one, or all that failed in a time.

It is due now, or at random within a spread, and keeps its id, by which a receiver tells a repeat, unless it has a name
or is due beyond the reach. First it is scheduled, then its failure is deleted: a crash in between repeats it.

If the id may be a new one, the first call notes it on the failure before it schedules anything. A repeat, and a call
at the same time, find that id and use it too. So nothing is delivered under two ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from scheduler import cursor, failed, log, naming, placing
from scheduler.errors import InvalidRequest, NotConfirmed, NotFound, OutOfTime
from scheduler.failed import DAY_MS, Drawer
from scheduler.inquiry import Inquiry
from scheduler.limits import DUE_MS_MAX
from scheduler.naming import Wanted
from scheduler.office import Failure, Office
from scheduler.outcome import Outcome
from scheduler.patience import Patience, ask, insist
from scheduler.record import asked_at
from scheduler.schedule import Schedule, index_of, key_of, random_key

STEP_MAX = 100
"""Redriven at once: what a crash can repeat."""
SPREAD_MS_MAX = 30 * DAY_MS


def redrive(inquiry: Inquiry, office: Office, patience: Patience) -> dict[str, Any]:
    spread_ms = inquiry.duration_ms("spread", 0, SPREAD_MS_MAX, 0)
    if "id" in inquiry.fields:
        others = [field for field in ("from", "to") if field in inquiry.fields]
        if others:
            raise InvalidRequest(f"id and {others[0]} are both given; wanted: one failure, or those of a time")
        return _redrive_one(inquiry, spread_ms, office, patience)
    if "from" not in inquiry.fields or "to" not in inquiry.fields:
        raise InvalidRequest("id is missing, and so is from or to; wanted: an id, or both of the others")
    return _redrive_all(inquiry, spread_ms, office, patience)


def _redrive_one(inquiry: Inquiry, spread_ms: int, office: Office, patience: Patience) -> dict[str, Any]:
    """As it failed last, as far as there was time to look; its other failures that were found are deleted with that."""
    schedule_id = inquiry.id() or ""
    found, next_place = _failures_of(schedule_id, inquiry.fields.get("next"), office, patience)
    if not found and next_place is not None:
        return _answer(Outcome(), next_place)
    if not found:
        raise NotFound(f"{schedule_id} is not among the failures that are kept")
    outcome = _again(found[-1:], spread_ms, office, patience)
    if outcome.left:
        raise NotConfirmed(f"AWS did not confirm it in time ({outcome.why}); try again")
    if outcome.refused:
        raise InvalidRequest(f"{schedule_id} {outcome.refused[0][1]}")
    if not outcome.done:
        raise NotFound(f"{schedule_id} is not among the failures that are kept any more")
    insist(office.table.delete, [each.key for each in found[:-1]], patience)  # It has failed more than once.
    return _answer(outcome, None)


def _failures_of(
    schedule_id: str, place: object, office: Office, patience: Patience
) -> tuple[list[Failure], str | None]:
    """What was put aside under the id, or else what failed, and where the next call goes on to look."""
    partition, sort, begun_ms = _place(place, "redrive one", patience.now_ms())
    if place is None:  # A later call goes on with the pages below, which end with what is put aside.
        with suppress(OutOfTime):
            aside = failed.put_aside(schedule_id, office, patience.half())
            if aside is not None:
                return [aside], None
    found, rest = failed.of_id(schedule_id, begun_ms, (partition, sort), office, patience)
    return found, None if rest is None else _next(rest, "redrive one", begun_ms)


def _redrive_all(inquiry: Inquiry, spread_ms: int, office: Office, patience: Patience) -> dict[str, Any]:
    """Step by step until patience ends. What cannot be scheduled again is left where it is, and counted.

    Only what had failed when the first call began: what fails anew meanwhile would go round for ever.
    """
    span, (partition, sort, begun_ms) = inquiry.span(), _place(inquiry.fields.get("next"), "redrive", patience.now_ms())
    total: Outcome[Failure] = Outcome()
    begun = False
    each_drawer = failed.filled(failed.drawers(span, begun_ms, (partition, sort)), office, patience)
    looked = False
    for drawer, page in failed.pages(each_drawer, STEP_MAX, office, patience):
        if looked and patience.over():
            return _answer(total, _next(drawer, "redrive", begun_ms))
        looked = True
        outcome = _again(page.failures, spread_ms, office, patience)
        if outcome.left and not (begun or outcome.done):
            raise NotConfirmed(f"AWS did not confirm a single one in time ({outcome.why}); try again")
        if outcome.left:  # This page is read once more, and what is refused of it counts then.
            total.done += outcome.done
            return _answer(total, _next(drawer, "redrive", begun_ms))
        total.add(outcome)
        begun = begun or bool(page.failures)
    return _answer(total, None)


def _answer(total: Outcome[Failure], next_place: str | None) -> dict[str, Any]:
    return {"redriven": len(total.done), "left": len(total.refused), "next": next_place}


def _next(drawer: Drawer, kind: str, begun_ms: int) -> str:
    return cursor.written(kind, drawer.partition, drawer.from_sort, begun_ms)


def _place(value: object, kind: str, now_ms: int) -> tuple[str, str, int]:
    partition, sort, begun_ms = cursor.read(value, kind, str, str, int) or ("", "", now_ms)
    if value is not None and not (cursor.is_sort(sort) and cursor.is_moment(begun_ms)):
        raise cursor.refused(value)
    return partition, sort, begun_ms


def _again(found: Sequence[Failure], spread_ms: int, office: Office, patience: Patience) -> Outcome[Failure]:
    """Schedule them, side by side, then delete the failures of those that are confirmed."""

    def one(failure: Failure) -> Outcome[Failure]:
        if patience.over():
            return Outcome(left=[failure], why="time is over")
        if failure.schedule is None:
            return Outcome(refused=[(failure, "is none that can be read, so it cannot be scheduled again")])
        try:
            refusal = _schedule(failure, failure.schedule, spread_ms, office, patience)
        except NotConfirmed as reason:
            return Outcome(left=[failure], why=str(reason))
        except NotFound:  # Another call has redriven it, and counts it.
            return Outcome()
        except InvalidRequest as reason:
            return Outcome(refused=[(failure, f"cannot be scheduled again: {reason}")])
        return Outcome(refused=[(failure, refusal)]) if refusal else Outcome(done=[failure])

    total: Outcome[Failure] = Outcome()
    for outcome in office.crew.run(one, found):
        total.add(outcome)
    deleted = insist(office.table.delete, [each.key for each in total.done], patience)
    if deleted.left:  # They are scheduled again all the same, and would be once more.
        log.outcome("not deleted", failures=len(deleted.left), why=deleted.why)
    return total


def _schedule(failure: Failure, old: Schedule, spread_ms: int, office: Office, patience: Patience) -> str:
    """Nothing, or why it is left as it is."""
    keyring, now_ms = office.keyring, patience.now_ms()
    if old.name is not None and failure.failed_ms is None:  # A timer: whoever it wakes looks at its record.
        placing.place(replace(old, due_ms=now_ms), office, patience)
        return ""
    due_ms = min(DUE_MS_MAX, now_ms + round(spread_ms * keyring.randomness.random()))
    new = replace(old, due_ms=due_ms)
    placing.get_ready(new, now_ms, office, patience)
    if old.name is not None or not placing.is_near(new, now_ms, office):
        new = replace(new, key=random_key(due_ms, keyring.partition_count, keyring.randomness), index=None)
    if old.name is not None or spread_ms or failure.again is not None:
        new = _as_noted(failure, new, office, patience)
    if old.name is None:
        placing.place(new, office, patience)
        return ""
    named = naming.register(Wanted(new, asked_at(now_ms), if_exists="keep"), office.records, patience, office.reach_ms)
    if named.timer is not None:
        placing.place(named.timer, office, patience)
    if named.result != "kept" or named.schedule.id == new.id:
        return ""
    ask(lambda: office.catalogue.forget_again(failure.key, new.id), patience)
    return f"has the name {old.name!r}, under which {named.schedule.id} is pending"


def _as_noted(failure: Failure, new: Schedule, office: Office, patience: Patience) -> Schedule:
    """Return the schedule under the id that the first call noted, which may be this one. NotFound if the failure is
    gone."""
    again = ask(lambda: office.catalogue.note_again(failure.key, new.id), patience)
    if again is None:
        raise NotFound("the failure is gone")
    if again == new.id:
        return new
    key = key_of(again)
    return replace(new, key=key, index=index_of(again), due_ms=max(key.due_ms, patience.now_ms()))
