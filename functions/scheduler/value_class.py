"""Classes of values: dataclasses that cost little at a cold start and little to create.

`@dataclass(frozen=True, slots=True)` compiles six methods for each class, in half a millisecond. A function has forty
such classes. Their objects also take three times as long to create, and a feed creates thousands a second.

`@value_class` compiles only `__init__`. All classes share the other methods, and the type checker forbids assignments.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Any, TypeVar, dataclass_transform

Value = TypeVar("Value")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def value_class(cls: type[Value]) -> type[Value]:
    """Make a class of values, which are equal if their fields are. Values of different classes are never equal."""
    cls.__doc__ = cls.__doc__ or cls.__name__  # Otherwise `dataclass` builds one from the signature, which takes long.
    made = dataclass(slots=True, eq=False, repr=False)(cls)
    its: Any = made
    its.__eq__, its.__hash__, its.__repr__ = _equals, _hash, _representation
    its._compared = staticmethod(_getter([each.name for each in fields(its) if each.compare]))
    return made


def _getter(names: list[str]) -> Callable[[Any], Any]:
    return attrgetter(*names) if names else lambda _: ()


def _equals(self: Any, other: Any) -> bool:
    return bool(self._compared(self) == self._compared(other)) if type(self) is type(other) else NotImplemented


def _hash(self: Any) -> int:
    return hash(self._compared(self))


def _representation(self: Any) -> str:
    named = (f"{each.name}={getattr(self, each.name)!r}" for each in fields(self) if each.repr)
    return f"{type(self).__qualname__}({', '.join(named)})"
