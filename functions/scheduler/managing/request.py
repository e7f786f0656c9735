"""Check a request to the manage function, field by field. An error says how to correct the request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scheduler import timestamps
from scheduler.errors import InvalidRequest, InvalidSchedule
from scheduler.limits import DUE_MS_MAX, NAME_CHARACTERS_MAX
from scheduler.model.name_record import checked_name
from scheduler.model.operation_request import OperationRequest
from scheduler.model.schedule import OLDER_FIELDS, is_id, is_prefix
from scheduler.text import did_you_mean, shown
from scheduler.value_class import value_class

ID_WANTED = 'an id as it was answered, such as "3-000001893456000-0123456789abcdef"'
PREFIX_WANTED = f"the beginning of names, 0 to {NAME_CHARACTERS_MAX} of A-Z a-z 0-9 . _ : / -"
SCHEDULE_HINT = "; a schedule goes to the schedule function (output ScheduleFunction)"
_ELSEWHERE = {"cancel": "cancel_where", "cancel_where": "cancel", "list": "get", "move": "change"}
"""Operations that callers confuse, because one is about many schedules and the other about one."""
FIRST_MS, END_MS = 0, DUE_MS_MAX + 1
"""The range of all due times: the start is included, the end is not."""


@value_class
class ManageRequest(OperationRequest):
    def which(self) -> tuple[str, str]:
        """Return the name and an empty string, or an empty string and the id."""
        if ("name" in self.fields) == ("id" in self.fields):
            state = "both given" if "name" in self.fields else "both missing"
            raise InvalidRequest(f"name and id are {state}; wanted: exactly one of the two")
        return self.name() or "", self.id() or ""

    def name(self) -> str | None:
        if "name" not in self.fields:
            return None
        try:
            return checked_name(self.fields["name"])
        except InvalidSchedule as refusal:
            raise InvalidRequest(str(refusal)) from None

    def id(self) -> str | None:
        if "id" not in self.fields:
            return None
        value = self.fields["id"]
        if not is_id(value):
            hint = "; is it a name?" if isinstance(value, str) and 0 < len(value) <= NAME_CHARACTERS_MAX else ""
            raise InvalidRequest(f"id is {shown(value)}{hint}; wanted: {ID_WANTED}")
        return value

    def prefix(self) -> str | None:
        if "prefix" not in self.fields:
            return None
        value = self.fields["prefix"]
        if not isinstance(value, str) or not is_prefix(value):
            raise InvalidRequest(f"prefix is {shown(value)}; wanted: {PREFIX_WANTED}")
        return value

    def required(self, *fields: str) -> None:
        for field in fields:
            if field not in self.fields:
                raise InvalidRequest(f"{field} is missing; {self.operation} wants {', '.join(fields)}")

    def span(self) -> tuple[int, int]:
        """Return the start (included) and the end (excluded). If both are left out, that is all time."""
        from_ms, to_ms = self.moment("from", FIRST_MS), self.moment("to", END_MS)
        if to_ms <= from_ms:
            raise InvalidRequest(
                f"to is {shown(self.fields.get('to'))}, not after from; wanted: a moment later than from"
            )
        return from_ms, to_ms

    def moment(self, field: str, default_ms: int) -> int:
        if field not in self.fields:
            return default_ms
        try:
            return timestamps.due_ms_from_timestamp(self.fields[field])
        except InvalidSchedule as refusal:
            raise InvalidRequest(str(refusal).replace("timestamp", field, 1)) from None

    def due_ms(self, now_ms: int) -> int:
        """Return the due time from `timestamp` or `delay`, whichever is given."""
        if ("timestamp" in self.fields) == ("delay" in self.fields):
            state = "both given" if "delay" in self.fields else "both missing"
            raise InvalidRequest(f"timestamp and delay are {state}; wanted: exactly one of the two")
        try:
            if "delay" in self.fields:
                return timestamps.due_ms_from_delay(self.fields["delay"], now_ms)
            return timestamps.due_ms_from_timestamp(self.fields["timestamp"])
        except InvalidSchedule as refusal:
            raise InvalidRequest(str(refusal)) from None

    def duration_ms(self, field: str, least_ms: int, most_ms: int, default_ms: int | None = None) -> int:
        if field not in self.fields and default_ms is not None:
            return default_ms
        wanted = f"a number of seconds from {timestamps.epoch_s(least_ms)} to {timestamps.epoch_s(most_ms)}"
        try:
            length_ms = timestamps.duration_ms(field, self.fields.get(field), wanted)
        except InvalidSchedule as refusal:
            raise InvalidRequest(str(refusal)) from None
        if not least_ms <= length_ms <= most_ms:
            raise InvalidRequest(f"{field} is {shown(self.fields[field])}; wanted: {wanted}")
        return length_ms

    def limit(self, default: int, most: int) -> int:
        return self.whole("limit", default, most)

    def decided(self, field: str, wanted: str) -> bool:
        """Return true or false as the caller has decided. There is no default, because a mistake does harm."""
        value = self.fields.get(field)
        if not isinstance(value, bool):
            state = f"is {shown(value)}" if field in self.fields else "is missing"
            raise InvalidRequest(f"{field} {state}; wanted: {wanted}")
        return value


def read(event: object, operations: Mapping[str, Sequence[str]]) -> ManageRequest:
    """Return the operation and its fields. Raise InvalidRequest if the operation or a field is unknown."""
    if not isinstance(event, dict):
        hint = SCHEDULE_HINT if isinstance(event, list) else ""
        raise InvalidRequest(f'the request is {shown(event)}{hint}; wanted: an object such as {{"operation": "list"}}')
    operation = event.get("operation")
    if operation is None:
        hint = SCHEDULE_HINT if _is_schedule(event) else ""
        raise InvalidRequest(f"operation is missing{hint}; wanted: one of {', '.join(operations)}")
    if not isinstance(operation, str) or operation not in operations:
        meant = did_you_mean(operation, list(operations)) or (SCHEDULE_HINT if _is_schedule(event) else "")
        raise InvalidRequest(f"operation is {shown(operation)}{meant}; wanted: one of {', '.join(operations)}")
    fields = {field: value for field, value in event.items() if field != "operation"}
    for field in fields:
        if field not in operations[operation]:
            other, accepted = _ELSEWHERE.get(operation, ""), ", ".join(operations[operation]) or "none"
            known_there = field in operations.get(other, ())
            meant = f"; {other} takes it" if known_there else did_you_mean(field, operations[operation])
            raise InvalidRequest(f"{shown(field)} is not a field of {operation}{meant}; accepted are {accepted}")
    return ManageRequest(operation, fields)


def _is_schedule(event: Mapping[str, object]) -> bool:
    """Return whether this was probably meant for the schedule function, as one schedule or a batch."""
    return not {"timestamp", "delay", "data", "schedules", *OLDER_FIELDS}.isdisjoint(event)
