"""Check a request to the admin function, field by field. An error says how to correct the request."""

from __future__ import annotations

import re

from scheduler import timestamps
from scheduler.errors import InvalidRequest, InvalidSchedule
from scheduler.limits import APPLICATION_NAME_CHARACTERS_MAX
from scheduler.model.application import CANARY_NAME, OWNER_NAME, application_of, is_application_id
from scheduler.model.operation_request import OperationRequest
from scheduler.text import did_you_mean, shown
from scheduler.value_class import value_class

APPLICATION_NAME_WANTED = (
    f"1 to {APPLICATION_NAME_CHARACTERS_MAX} of A-Z a-z 0-9 . _ -, beginning with a letter or digit, "
    "and not eight hex digits"
)
KEY_ID_WANTED = 'the id of a key as `keys` lists it, such as "1f2e3d4c-9a8b7c6d"'
GRACE_S_DEFAULT, GRACE_S_MAX = 24 * 3600, 90 * 24 * 3600
"""How long a key stays valid after another has replaced it."""

DECIDED = ("default_target", "targets", "failure_targets", "hosts", "rate", "burst", "quota")
"""The fields of an application that the owner decides."""
FIELDS_OF_OPERATION: dict[str, tuple[str, ...]] = {
    "create": ("name", *DECIDED),
    "change": ("name", *DECIDED),
    "list": (),
    "keys": ("name", "webhook_secrets"),
    "rotate": ("id", "grace"),
    "disable": ("id",),
    "usage": ("name", "month"),
    "repair": (),
    "delete": ("name",),
}
"""The operations, and the fields that each accepts."""

_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{APPLICATION_NAME_CHARACTERS_MAX - 1}}}")


@value_class
class AdminRequest(OperationRequest):
    def new_name(self) -> str:
        """Return the name of an application that is to be created."""
        value = self._required("name")
        fits = isinstance(value, str) and _NAME.fullmatch(value) is not None and not is_application_id(value)
        if not isinstance(value, str) or not fits:
            raise InvalidRequest(f"name is {shown(value)}; wanted: {APPLICATION_NAME_WANTED}")
        if value != OWNER_NAME and value.casefold() == OWNER_NAME:
            raise InvalidRequest(f"name is {shown(value)}, which looks like the reserved name {OWNER_NAME}")
        if value == CANARY_NAME:
            raise InvalidRequest(f"name is {shown(value)}, which is reserved for the canary; wanted: another name")
        return value

    def name(self) -> str:
        """Return the name or the id of an application."""
        value = self._required("name")
        if not isinstance(value, str) or _NAME.fullmatch(value) is None:
            raise InvalidRequest(f"name is {shown(value)}; wanted: the name or the id of an application")
        return value

    def key_id(self) -> str:
        value = self._required("id")
        if application_of(value) is None or not isinstance(value, str):
            hint = "; a key itself is never sent" if isinstance(value, str) and value.startswith("pk") else ""
            said = "a text" if hint else shown(value)
            raise InvalidRequest(f"id is {said}{hint}; wanted: {KEY_ID_WANTED}")
        return value

    def grace_ms(self) -> int:
        if "grace" not in self.fields:
            return GRACE_S_DEFAULT * 1000
        wanted = f"a number of seconds from 0 to {GRACE_S_MAX}"
        try:
            length_ms = timestamps.duration_ms("grace", self.fields["grace"], wanted)
        except InvalidSchedule as refusal:
            raise InvalidRequest(str(refusal)) from None
        if not 0 <= length_ms <= GRACE_S_MAX * 1000:
            raise InvalidRequest(f"grace is {shown(self.fields['grace'])}; wanted: {wanted}")
        return length_ms

    def gives(self, field: str) -> bool:
        return field in self.fields

    def texts(self, field: str, wanted: str, most: int) -> list[str]:
        """Return a list of texts without repeats. A field that is left out is an empty list."""
        value = self.fields.get(field, [])
        if not isinstance(value, list):
            raise InvalidRequest(f"{field} is {shown(value)}; wanted: a list, each of them {wanted}")
        found = [each for each in value if isinstance(each, str)]
        if len(found) != len(value):
            wrong = next(each for each in value if not isinstance(each, str))
            raise InvalidRequest(f"{field} has {shown(wrong)} in it; wanted: {wanted}")
        if len(found) > most:
            raise InvalidRequest(f"{field} has {len(found)} entries; wanted: at most {most}")
        return list(dict.fromkeys(found))

    def _required(self, field: str) -> object:
        if field not in self.fields:
            raise InvalidRequest(f"{field} is missing; {self.operation} wants {field}")
        return self.fields[field]


def read(event: object) -> AdminRequest:
    """Return the operation and its fields. Raise InvalidRequest if the operation or a field is unknown."""
    if not isinstance(event, dict):
        raise InvalidRequest(f'the request is {shown(event)}; wanted: an object such as {{"operation": "list"}}')
    operation = event.get("operation")
    if not isinstance(operation, str) or operation not in FIELDS_OF_OPERATION:
        state = (
            f"is {shown(operation)}{did_you_mean(operation, list(FIELDS_OF_OPERATION))}"
            if operation is not None
            else "is missing"
        )
        raise InvalidRequest(f"operation {state}; wanted: one of {', '.join(FIELDS_OF_OPERATION)}")
    fields = {field: value for field, value in event.items() if field != "operation"}
    for field in fields:
        if field not in FIELDS_OF_OPERATION[operation]:
            accepted = ", ".join(FIELDS_OF_OPERATION[operation]) or "none"
            meant = did_you_mean(field, FIELDS_OF_OPERATION[operation])
            raise InvalidRequest(f"{shown(field)} is not a field of {operation}{meant}; accepted are {accepted}")
    return AdminRequest(operation, fields)
