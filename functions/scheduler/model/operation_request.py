"""A request that names an operation: what the requests to the manage and to the admin function have in common."""

from __future__ import annotations

from collections.abc import Mapping

from scheduler.errors import InvalidRequest
from scheduler.text import shown
from scheduler.value_class import value_class


@value_class
class OperationRequest:
    operation: str
    fields: Mapping[str, object]

    def truth(self, field: str) -> bool:
        value = self.fields.get(field, False)
        if not isinstance(value, bool):
            raise InvalidRequest(f"{field} is {shown(value)}; wanted: true or false")
        return value

    def whole(self, field: str, default: int, most: int) -> int:
        value = self.fields.get(field, default)
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
            raise InvalidRequest(f"{field} is {shown(value)}; wanted: a whole number from 1 to {most}")
        return value
