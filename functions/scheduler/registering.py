"""The named ones of what is taken in together: their records, those of one name in their order, and their timers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from scheduler import naming
from scheduler.errors import InvalidSchedule, NotConfirmed
from scheduler.naming import Named, Wanted
from scheduler.patience import Patience
from scheduler.record import asked_at
from scheduler.schedule import Request, Timer

if TYPE_CHECKING:
    from scheduler.scheduling import Desk, Failures, Occasion, Taken


def register(
    taken: Taken, names: Mapping[int, Request], failures: Failures, occasion: Occasion, desk: Desk, patience: Patience
) -> list[Timer]:
    """Write the records, those of one name in their order, and note what stands there now. The timers to be set."""
    places_of: dict[str | None, list[int]] = {}
    for place, each in names.items():
        if taken.schedules[place].id not in failures:
            places_of.setdefault(each.name, []).append(place)

    def write(places: list[int]) -> None:
        for place in places:
            asked, repeats = asked_at(occasion.counted_from_ms, place), occasion.sent_ms is not None
            wanted = Wanted(taken.schedules[place], asked, names[place].if_exists, repeats)
            try:
                if place and patience.over():
                    raise NotConfirmed("time is over; send it again")
                taken.named[place] = naming.register(wanted, desk.records(), patience, desk.reach_ms)
            except (InvalidSchedule, NotConfirmed) as failure:
                taken.denied[place] = failure
            else:
                taken.schedules[place] = taken.named[place].schedule

    groups = list(places_of.values())
    if len(groups) > 1:
        desk.crew.run(write, groups)
    else:
        for group in groups:
            write(group)
    return _timers(taken)


def _by_name(taken: Taken) -> list[list[Named]]:
    """What was done under each name, in the order of the batch: the last says what stands."""
    groups: dict[str | None, list[Named]] = {}
    for place in sorted(taken.named):
        groups.setdefault(taken.named[place].schedule.name, []).append(taken.named[place])
    return list(groups.values())


def _timers(taken: Taken) -> list[Timer]:
    """One for each name: of those that were set for what stands now, the first to wake. A second one, such as a member
    that was kept has, would be late; and under a token an earlier call may have left what stands again now."""
    found: list[Timer] = []
    for group in _by_name(taken):
        standing_id = group[-1].schedule.id
        own = [each.timer for each in group if each.schedule.id == standing_id and each.timer is not None]
        found += sorted(own, key=lambda timer: (timer.due_ms, -timer.asked))[:1]
    return found


def fail_together(taken: Taken, failures: Failures) -> None:
    """Of one name only the last has a timer. Where that could not be set none is accepted, and what they replaced
    keeps its own timer, which wakes the name."""
    for group in _by_name(taken):
        failure = failures.get(group[-1].schedule.id)
        if failure is not None:
            failures.update({each.schedule.id: failure for each in group})


def remove_old_timers(taken: Taken, failures: Failures, desk: Desk, patience: Patience) -> None:
    """Of what was replaced, once the new one has its timer. Not of what a later member of the batch put there again."""
    standing = {group[-1].schedule.id for group in _by_name(taken)}

    def remove(timer: Timer) -> None:
        if not patience.over():
            naming.remove(timer, desk.table)

    replaced = [each for each in taken.named.values() if each.schedule.id not in failures]
    olds = [each.old_timer for each in replaced if each.old_timer is not None]
    old_timers = [timer for timer in olds if timer.id not in standing]
    if len(old_timers) > 1:
        desk.crew.run(remove, old_timers)
    elif old_timers:
        remove(old_timers[0])
