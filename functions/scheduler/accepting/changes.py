"""Validate a change of an accepted schedule: the given fields by the rules for a request, and the result as a whole.

Fields that are not given keep their values, and are not checked again. The owner of the stack may have changed the
rules since the schedule was accepted, and a caller must still be able to change its time.
"""

from __future__ import annotations

from collections.abc import Mapping

from scheduler.accepting import request
from scheduler.accepting.request import AcceptRules
from scheduler.errors import InvalidSchedule
from scheduler.model import targets
from scheduler.model.schedule import Request, Schedule

TIMES = ("timestamp", "delay", "zone", "spread")


def revised(old: Schedule, given: Mapping[str, object], now_ms: int, rules: AcceptRules) -> Request:
    """Return the schedule with the given fields, as a request. Raise InvalidSchedule if it could not be accepted.

    A null removes an optional field.
    """
    target = _target(old, given, rules)
    due_ms, spread_ms = _time(old, given, now_ms)
    found = Request(
        due_ms=due_ms,
        data=_data(old, given, target, rules),
        target=target,
        user=request.checked_user(_without_nulls(given), rules.require_user) if "user" in given else old.user,
        expires_after_ms=_expires_after_ms(old, given),
        terms=_terms(old, given, rules),
        name=old.name,
        spread_ms=spread_ms,
    )
    request.check_size(found)
    return found


def _time(old: Schedule, given: Mapping[str, object], now_ms: int) -> tuple[int, int]:
    """Return the due time and the spread from there."""
    times = {field: given[field] for field in TIMES if field in given and not _is_left_out(field, given)}
    if not times:
        return old.due_ms, 0
    if "spread" in times and len(times) == 1:
        raise InvalidSchedule("spread is given without a time; wanted: a timestamp or a delay beside it")
    due_ms = request.checked_due_ms(times, now_ms)
    return due_ms, request.checked_spread_ms(times, due_ms) if "spread" in times else 0


def _is_left_out(field: str, given: Mapping[str, object]) -> bool:
    return field in ("zone", "spread") and given[field] is None


def _target(old: Schedule, given: Mapping[str, object], rules: AcceptRules) -> str | None:
    if "target" not in given:
        return old.target
    if given["target"] is None:
        return rules.target_left_out()
    target = targets.checked(given["target"], rules.listed)
    request.check_use(given, by_older_rules=False)
    return target


def _data(old: Schedule, given: Mapping[str, object], target: str | None, rules: AcceptRules) -> str:
    """Return the data. Only a webhook can do without."""
    if given.get("data") is not None:
        return request.checked_data(given, target, rules.listed)
    if "data" not in given and old.data:
        return old.data
    is_webhook = targets.kind(target) == targets.WEBHOOK
    return request.checked_data({} if is_webhook else given, target, rules.listed)


def _expires_after_ms(old: Schedule, given: Mapping[str, object]) -> int | None:
    if "expires_after" not in given:
        return old.expires_after_ms
    return request.checked_expires_after_ms(_without_nulls(given))


def _terms(old: Schedule, given: Mapping[str, object], rules: AcceptRules) -> str | None:
    if "retry" not in given and "failure_target" not in given:
        return old.terms
    from scheduler.model import delivery_options

    return delivery_options.changed(old.terms, given, rules.listed)


def _without_nulls(given: Mapping[str, object]) -> dict[str, object]:
    return {field: value for field, value in given.items() if value is not None}
