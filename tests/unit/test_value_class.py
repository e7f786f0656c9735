"""Values behave like frozen dataclasses with slots, which cost more.

They do so apart from assignments, which only the type checker forbids.
"""

from __future__ import annotations

import dataclasses

import pytest

from scheduler.value_class import value_class


@value_class
class Order:
    """An order of a shop."""

    number: int
    lines: tuple[str, ...] = ()
    note: str = dataclasses.field(default="", compare=False)

    @property
    def is_empty(self) -> bool:
        return not self.lines


@value_class
class ReturnedOrder(Order):
    reason: str = "broken"


@value_class
class Nothing:
    pass


@dataclasses.dataclass(frozen=True, slots=True)
class FrozenOrder:
    number: int
    lines: tuple[str, ...] = ()
    note: str = dataclasses.field(default="", compare=False)


VALUES = [(1,), (1, ("tea",)), (1, ("tea",), "a note"), (2, ("tea",)), (2, ("tea", "salt"), "another")]


def test_they_are_equal_and_hashed_as_frozen_dataclasses_are():
    for one in VALUES:
        for other in VALUES:
            assert (FrozenOrder(*one) == FrozenOrder(*other)) == (Order(*one) == Order(*other))
            assert (FrozenOrder(*one) != FrozenOrder(*other)) == (Order(*one) != Order(*other))
        assert hash(FrozenOrder(*one)) == hash(Order(*one))
        assert repr(FrozenOrder(*one)) == f"Frozen{Order(*one)!r}"
    assert ReturnedOrder(1, note="a note") == ReturnedOrder(1)


def test_classes_have_no_equal_values():
    assert Order(1) != ReturnedOrder(1)
    assert Order(1) != (1, ())
    assert ReturnedOrder(1, reason="late") != ReturnedOrder(1)


def test_a_class_without_fields_has_one_value():
    assert Nothing() == Nothing()
    assert 1 == len({Nothing(), Nothing()})
    assert "Nothing()" == repr(Nothing())


def test_they_have_slots_and_work_with_the_functions_for_dataclasses():
    order = Order(1, ("tea",))
    assert Order(2, ("tea",)) == dataclasses.replace(order, number=2)
    assert {"number": 1, "lines": ("tea",), "note": ""} == dataclasses.asdict(order)
    assert not order.is_empty
    with pytest.raises(AttributeError):
        order.colour = "red"  # There is no place for it.


def test_only_the_initializer_is_compiled_for_each_class():
    """Each compiled method makes the cold start of every function longer."""
    assert "__init__" in vars(Order)
    assert vars(Order).keys().isdisjoint({"__setattr__", "__delattr__"})
    assert Order.__eq__ is Nothing.__eq__
    assert Order.__hash__ is Nothing.__hash__
    assert Order.__repr__ is Nothing.__repr__
