"""Attribute values of DynamoDB: which are valid, how large they are, and how they compare and add."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

from punctual.testing.services.aws_errors import invalid

Value = dict[str, Any]
Item = dict[str, Value]
NUMBER_DIGITS_MAX = 38


def check_value(value: dict[str, Any]) -> None:
    if len(value) != 1:
        raise invalid("Supplied AttributeValue has to contain exactly one of the supported datatypes")
    if "SS" in value and (not value["SS"] or len(set(value["SS"])) != len(value["SS"])):
        raise invalid("One or more parameter values were invalid: A set is empty or has duplicates")
    if "N" not in value:
        return
    try:
        number = Decimal(value["N"])
    except InvalidOperation:
        raise invalid(f"The parameter cannot be converted to a numeric value: {value['N']}") from None
    if len(number.as_tuple().digits) > NUMBER_DIGITS_MAX:
        raise invalid("Attempting to store more than 38 significant digits in a Number")


def item_size(item: Item) -> int:
    """Return the size of an item by "Item sizes and formats". It is approximate for maps and lists."""
    return sum(len(name.encode()) + _value_size(value) for name, value in item.items())


def _value_size(value: dict[str, Any]) -> int:
    ((kind, content),) = value.items()
    if kind == "S":
        return len(content) if content.isascii() else len(content.encode())
    if kind == "N":
        return len(content.lstrip("-").replace(".", "").strip("0")) // 2 + 2
    if kind == "B":
        return len(content)
    if kind == "M":
        return 3 + sum(1 + len(name.encode()) + _value_size(each) for name, each in content.items())
    if kind == "L":
        return 3 + sum(1 + _value_size(each) for each in content)
    if kind in ("BOOL", "NULL"):
        return 1
    return sum(len(each) for each in content)


def copied(item: Item) -> Item:
    return {name: dict(value) for name, value in item.items()}


def text_of(value: Value | None) -> str | None:
    return None if value is None else value.get("S")


def holds(comparison: str, left: Value | None, right: Value | None) -> bool:
    """Compare as DynamoDB does: a missing value equals nothing, and values of different types never match."""
    if left is None or right is None:
        return comparison == "<>" and (left is None) != (right is None)
    if comparison in ("=", "<>"):
        return (comparable(left) == comparable(right)) == (comparison == "=")
    (left_type, left_value), (right_type, right_value) = comparable(left), comparable(right)
    if left_type != right_type or left_type not in ("S", "N", "B"):
        return False
    return bool(
        {
            "<": left_value < right_value,
            "<=": left_value <= right_value,
            ">": left_value > right_value,
            ">=": left_value >= right_value,
        }[comparison]
    )


def comparable(value: Value) -> tuple[str, Any]:
    ((kind, content),) = value.items()
    return kind, Decimal(content) if kind == "N" else content


def sum_of(sign: str, left: Value | None, right: Value | None) -> Value:
    if left is None or right is None:
        raise invalid("The provided expression refers to an attribute that does not exist in the item")
    if "N" not in left or "N" not in right:
        raise invalid("An operand in the update expression has an incorrect data type")
    total = Decimal(left["N"]) + Decimal(right["N"]) * (1 if sign == "+" else -1)
    return {"N": format(total.normalize(), "f")}


def added(old: Value | None, value: Value | None) -> Value | None:
    """Return a number plus a number, or a set with more members."""
    if value is None or "SS" not in value:
        return sum_of("+", old or {"N": "0"}, value)
    return {"SS": sorted({*_members(old), *value["SS"]})}


def without(old: Value | None, value: Value | None) -> Value | None:
    """Return a set without some members. DynamoDB keeps no empty set, so the attribute goes with its last member."""
    if value is None or "SS" not in value:
        raise invalid("Incorrect operand type for operator or function; operator: DELETE")
    left = sorted({*_members(old)} - {*value["SS"]})
    return {"SS": left} if left else None


def _members(value: Value | None) -> list[str]:
    if value is None:
        return []
    if "SS" not in value:
        raise invalid("An operand in the update expression has an incorrect data type")
    members: list[str] = value["SS"]
    return members


def existing(value: Value | None) -> Value:
    if value is None:
        raise invalid("The provided expression refers to an attribute that does not exist in the item")
    return value
