"""Evaluate the condition and update expressions of DynamoDB that the scheduler uses. Refuse all others.

punctual.testing has a fuller reader. This one lets the stand-in depend only on this folder and boto3.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from operator import eq, ge, gt, le, lt, ne
from typing import Any

Item = dict[str, dict[str, Any]]
Value = dict[str, Any]

_TOKEN = re.compile(r"\s*(<=|>=|<>|[=<>(),]|[#:]?\w+)")
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {"=": eq, "<>": ne, "<": lt, "<=": le, ">": gt, ">=": ge}


class Expression:
    """One expression, read from left to right against one item."""

    def __init__(self, text: str, names: Mapping[str, str], values: Mapping[str, Value]) -> None:
        self._tokens = _TOKEN.findall(text)
        if "".join(self._tokens) != re.sub(r"\s", "", text):
            raise ValueError(f"no expression: {text}")
        self._names, self._values = names, values
        self._at = 0

    def holds(self, item: Item) -> bool:
        self._at = 0
        result = self._any(item)
        if self._at != len(self._tokens):
            raise ValueError(f"not understood: {self._next()}")
        return result

    def update(self, item: Item) -> Item:
        """Return the item after the update: SET to given values, and REMOVE."""
        changed, clause = dict(item), ""
        while self._at < len(self._tokens):
            word = self._next()
            if word in ("SET", "REMOVE"):
                clause = word
                word = self._next()
            elif word == ",":
                word = self._next()
            if clause == "SET" and self._take("="):
                changed[self._names[word]] = self._values[self._next()]
            elif clause == "REMOVE":
                changed.pop(self._names[word], None)
            else:
                raise ValueError(f"not understood: {word}")
        return changed

    def _any(self, item: Item) -> bool:
        results = [self._all(item)]
        while self._take("OR"):
            results.append(self._all(item))
        return any(results)

    def _all(self, item: Item) -> bool:
        results = [self._one(item)]
        while self._take("AND"):
            results.append(self._one(item))
        return all(results)

    def _one(self, item: Item) -> bool:
        if self._take("NOT"):
            return not self._one(item)
        if self._take("("):
            result = self._any(item)
            self._expect(")")
            return result
        word = self._next()
        if word in ("attribute_exists", "attribute_not_exists"):
            self._expect("(")
            there = self._names[self._next()] in item
            self._expect(")")
            return there == (word == "attribute_exists")
        left, comparison = self._operand(word, item), _COMPARISONS[self._next()]
        right = self._operand(self._next(), item)
        if left is None or right is None or left[0] != right[0]:
            return comparison is ne
        return comparison(left[1], right[1])

    def _operand(self, token: str, item: Item) -> tuple[str, Any] | None:
        """Return type and value in a form that compares as in DynamoDB."""
        value = self._values[token] if token.startswith(":") else item.get(self._names[token])
        if value is None:
            return None
        ((kind, content),) = value.items()
        return kind, Decimal(content) if kind == "N" else content

    def _next(self) -> str:
        token: str = self._tokens[self._at]
        self._at += 1
        return token

    def _take(self, wanted: str) -> bool:
        if self._at == len(self._tokens) or self._tokens[self._at] != wanted:
            return False
        self._at += 1
        return True

    def _expect(self, wanted: str) -> None:
        if not self._take(wanted):
            raise ValueError(f"wanted: {wanted}")
