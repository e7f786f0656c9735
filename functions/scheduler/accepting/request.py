"""Validate a request from a caller. An InvalidSchedule says what is wrong and what is accepted.

No code trusts the input before it has passed here, and no later code checks it again.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping

from scheduler import timestamps
from scheduler.errors import InvalidSchedule
from scheduler.limits import (
    DATA_BYTES_MAX,
    DUE_MS_MAX,
    NESTING_MAX,
    SPREAD_S_MAX,
    TOKEN_CHARACTERS_MAX,
    USER_CHARACTERS_MAX,
)
from scheduler.model import targets
from scheduler.model.name_record import checked_name
from scheduler.model.schedule import OLDER_FIELDS, Request
from scheduler.text import deeper_than, did_you_mean, fault, shown
from scheduler.value_class import value_class

SCHEDULE_FIELDS = (
    "timestamp",
    "delay",
    "zone",
    "spread",
    "data",
    "target",
    "name",
    "if_exists",
    "token",
    "failure_target",
    "retry",
    "user",
    "expires_after",
)
LATER_FIELDS = frozenset({"zone", "spread"})
"""Fields that the previous version did not know."""


SCHEDULE_WANTED = 'an object such as {"timestamp": 1893456000, "data": "some payload"}'
EXPIRY_WANTED = "a number of seconds, 0 or more, after which it is dropped rather than released late"
SPREAD_WANTED = f"a number of seconds from 0 to {SPREAD_S_MAX}, within which it is due at a random moment"
IF_EXISTS = ("replace", "keep", "fail")
MEANT_ELSEWHERE = {
    "operation": "an operation goes to the manage function (output ManageFunction)",
    "cron": timestamps.SINGLE_MOMENTS,
    "rate": timestamps.SINGLE_MOMENTS,
    "repeat": f"it is reserved for a later version, and until then {timestamps.SINGLE_MOMENTS}",
}
"""Fields that a schedule does not have, and a hint for a caller who sends one."""
FIELD_CHARACTERS_MAX = 32
"""How much of an unknown field is compared with the known fields."""
DATA_WANTED = f"a string of 1 byte to {DATA_BYTES_MAX} bytes in UTF-8, or any JSON value but null"


@value_class
class AcceptRules:
    """The rules that the owner of the stack has set."""

    listed: targets.AllowedTargets = targets.AllowedTargets()
    require_user: bool = False
    default_target: str | None = None
    """The target of a request without one. None is the output queue."""
    default_fault: str = ""
    """Why a request without a target is refused, if it is."""

    def target_left_out(self) -> str | None:
        """Return the target of a request without one. Raise InvalidSchedule if the request needs one."""
        if self.default_fault:
            raise InvalidSchedule(self.default_fault)
        return self.default_target


def parse(
    raw: object,
    now_ms: int,
    rules: AcceptRules,
    under_token: bool = False,
    by_older_rules: bool = False,
    before_zones: bool = False,
) -> Request:
    """Return one validated request, or raise InvalidSchedule.

    `under_token` means that the request is in a batch with a token. `by_older_rules` accepts all that an earlier
    version accepted. `before_zones` refuses the fields that an earlier version did not know. In both cases that version
    may have accepted a part of the same input message, and sent the rest back.
    """
    if not isinstance(raw, dict):
        raise InvalidSchedule(f"the schedule is {shown(raw)}; wanted: {SCHEDULE_WANTED}")
    if before_zones and not LATER_FIELDS.isdisjoint(raw):
        raise InvalidSchedule(f"{shown(min(LATER_FIELDS.intersection(raw)))} is not a field; send the schedule again")
    if OLDER_FIELDS.isdisjoint(raw):
        request = _parse(raw, now_ms, rules, under_token, by_older_rules)
        check_use(raw, by_older_rules)
        return request
    from scheduler.accepting import older_shapes

    try:
        to_current = older_shapes.to_current(raw)
        request = _parse(to_current, now_ms, rules, under_token, by_older_rules)
        check_use(to_current, by_older_rules, any_method=True)
    except InvalidSchedule as refusal:
        raise older_shapes.with_older_field_names(refusal, raw) from None
    return request


def _parse(
    raw: Mapping[str, object], now_ms: int, rules: AcceptRules, under_token: bool, by_older_rules: bool
) -> Request:
    _only_known_fields(raw)
    token = _string(raw, "token", TOKEN_CHARACTERS_MAX)
    if "delay" in raw and (token or under_token) and not by_older_rules:
        raise InvalidSchedule(
            "delay and token are both given, and a repeat would be another moment; wanted: timestamp with a token"
        )
    target = targets.checked(raw["target"], rules.listed) if "target" in raw else rules.target_left_out()
    due_ms = checked_due_ms(raw, now_ms)
    request = Request(
        due_ms=due_ms,
        data=checked_data(raw, target, rules.listed),
        target=target,
        user=checked_user(raw, rules.require_user),
        expires_after_ms=checked_expires_after_ms(raw),
        token=token,
        terms=_terms(raw, rules.listed),
        name=checked_name(raw["name"]) if "name" in raw else None,
        if_exists=_if_exists(raw),
        spread_ms=checked_spread_ms(raw, due_ms) if "spread" in raw else 0,
    )
    check_size(request)
    return request


def check_size(request: Request) -> None:
    """Refuse data that is larger than its target accepts."""
    if targets.is_tight(request.target):
        from scheduler.accepting import payload_size

        payload_size.check(request)


def check_use(raw: Mapping[str, object], by_older_rules: bool, any_method: bool = False) -> None:
    """Refuse a webhook whose request could not be sent, or which its receiver would not understand.

    The older system accepted any method.
    """
    target = raw.get("target")
    if by_older_rules or not isinstance(target, dict) or "url" not in target:
        return
    from scheduler.webhooks import webhook

    webhook.check_headers(target)
    if not any_method:
        webhook.check_method(target)


def batch_token(batch: Mapping[str, object]) -> str | None:
    """Return the token of a batch as a whole."""
    return _string(batch, "token", TOKEN_CHARACTERS_MAX)


def _only_known_fields(raw: Mapping[str, object]) -> None:
    unknown = [field for field in raw if field not in SCHEDULE_FIELDS]
    if not unknown:
        return
    field = next((known for known in MEANT_ELSEWHERE if known in unknown), str(unknown[0]))
    hint = MEANT_ELSEWHERE.get(field)
    meant = _meant(field[:FIELD_CHARACTERS_MAX]) if hint is None else f": {hint}"
    raise InvalidSchedule(f"{shown(field)} is not a field{meant}; accepted are {', '.join(SCHEDULE_FIELDS)}")


@functools.lru_cache(64)
def _meant(field: str) -> str:
    """Return a hint that names the closest known field.

    It is cached, because a batch may repeat a wrong field 10,000 times, and each comparison takes 0.1 ms.
    """
    return did_you_mean(field, SCHEDULE_FIELDS)


def checked_due_ms(raw: Mapping[str, object], now_ms: int) -> int:
    """Return the due time from `timestamp`, `delay` and `zone`, or raise InvalidSchedule."""
    if "timestamp" in raw and "delay" in raw:
        raise InvalidSchedule("timestamp and delay are both given; wanted: exactly one of the two")
    if "zone" in raw and "timestamp" not in raw:
        beside = "beside a delay" if "delay" in raw else "without a timestamp"
        raise InvalidSchedule(f"zone is given {beside}; wanted: {timestamps.ZONE_WANTED}")
    if "zone" in raw:
        return timestamps.due_ms_in_zone(raw["timestamp"], raw["zone"])
    if "timestamp" in raw:
        return timestamps.due_ms_from_timestamp(raw["timestamp"])
    if "delay" in raw:
        return timestamps.due_ms_from_delay(raw["delay"], now_ms)
    raise InvalidSchedule(
        f"timestamp is missing; wanted: {timestamps.TIMESTAMP_WANTED}, or a delay: {timestamps.DELAY_WANTED}"
    )


def checked_spread_ms(raw: Mapping[str, object], due_ms: int) -> int:
    """Return the spread of a request. Its end must be a time that a schedule can have."""
    spread_ms = timestamps.duration_ms("spread", raw["spread"], SPREAD_WANTED)
    if spread_ms > SPREAD_S_MAX * 1000:
        raise InvalidSchedule(f"spread is {shown(raw['spread'])}; wanted: {SPREAD_WANTED}")
    if due_ms + spread_ms > DUE_MS_MAX:
        raise InvalidSchedule(f"spread is {shown(raw['spread'])}, which ends past the year 9999; wanted: a shorter one")
    return spread_ms


def checked_data(raw: Mapping[str, object], target: str | None, listed: targets.AllowedTargets) -> str:
    """Return the payload as the queue will carry it. Error messages never quote it, because they appear in logs."""
    if raw.get("data") in (None, ""):
        return _no_data(raw, target, listed)
    value = raw["data"]
    text = value if isinstance(value, str) else _compact(value)
    found = fault(text)
    if found:
        raise InvalidSchedule(f"data holds {found}; wanted: {DATA_WANTED}")
    size_bytes = len(text) if text.isascii() else len(text.encode())
    if not 1 <= size_bytes <= DATA_BYTES_MAX:
        raise InvalidSchedule(f"data is a string of {size_bytes} bytes; wanted: {DATA_WANTED}")
    return text


def _no_data(raw: Mapping[str, object], target: str | None, listed: targets.AllowedTargets) -> str:
    """Return the empty data of a webhook that has none, or raise InvalidSchedule.

    The error mentions that exception only if the stack allows webhooks.
    """
    is_webhook = targets.kind(target) == targets.WEBHOOK
    if is_webhook and "data" not in raw:
        return ""
    state = "missing" if "data" not in raw else "null" if raw["data"] is None else "a string of 0 bytes"
    hint = "; only a webhook may leave it out" if listed.check_webhook is not None else ""
    raise InvalidSchedule(f"data is {state}; wanted: {DATA_WANTED}{hint}")


def _compact(value: object) -> str:
    if deeper_than(value, NESTING_MAX):
        raise InvalidSchedule(f"data is nested more than {NESTING_MAX} levels deep; wanted: {DATA_WANTED}")
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except ValueError:
        raise InvalidSchedule(f"data holds a number that JSON has no way to write; wanted: {DATA_WANTED}") from None


def _if_exists(raw: Mapping[str, object]) -> str:
    value = raw.get("if_exists", IF_EXISTS[0])
    if not isinstance(value, str) or value not in IF_EXISTS:
        raise InvalidSchedule(f"if_exists is {shown(value)}; wanted: one of {', '.join(IF_EXISTS)}")
    if "if_exists" in raw and "name" not in raw:
        raise InvalidSchedule("if_exists is given without a name; wanted: both, for it is the name that may exist")
    return value


def _terms(raw: Mapping[str, object], listed: targets.AllowedTargets) -> str | None:
    if "retry" not in raw and "failure_target" not in raw:
        return None
    from scheduler.model import delivery_options

    return delivery_options.checked(raw, listed)


def checked_user(raw: Mapping[str, object], required: bool) -> str | None:
    user = _string(raw, "user", USER_CHARACTERS_MAX)
    if required and user is None:
        raise InvalidSchedule(
            f"user is missing, and this stack requires it; wanted: 1 to {USER_CHARACTERS_MAX} characters"
        )
    return user


def checked_expires_after_ms(raw: Mapping[str, object]) -> int | None:
    if "expires_after" not in raw:
        return None
    return timestamps.duration_ms("expires_after", raw["expires_after"], EXPIRY_WANTED)


def _string(raw: Mapping[str, object], field: str, characters_max: int) -> str | None:
    if field not in raw:
        return None
    value = raw[field]
    wanted = f"a string of 1 to {characters_max} characters"
    if not isinstance(value, str) or not 1 <= len(value) <= characters_max:
        raise InvalidSchedule(f"{field} is {shown(value)}; wanted: {wanted}")
    found = fault(value)
    if found:
        raise InvalidSchedule(f"{field} holds {found}; wanted: {wanted}")
    return value
