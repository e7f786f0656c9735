"""The parts of DynamoDB's expressions that are used here. It rejects everything else, and never guesses.

Attribute names have to be `#placeholders`. DynamoDB reserves 573 words, `partition`, `data` and `count` among them, and
may reserve more.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from punctual.testing.services.attribute_values import (
    Item,
    Value,
    added,
    copied,
    existing,
    holds,
    sum_of,
    text_of,
    without,
)
from punctual.testing.services.aws_errors import invalid

Test = Callable[[Item], bool]
Operand = Callable[[Item], Value | None]
Bounds = tuple[str | None, str | None]

EVERYTHING: Bounds = (None, None)

_TOKEN = re.compile(r"\s*(?:(<=|>=|<>|[=<>(),+-])|([#:]?[A-Za-z0-9_.]+))")
_COMPARISONS = ("=", "<>", "<", "<=", ">", ">=")
_FUNCTIONS = ("attribute_exists", "attribute_not_exists", "begins_with", "contains")


class Expression:
    """The tokens of one expression, and the names and values that it may use."""

    def __init__(self, text: str, names: Mapping[str, str], values: Mapping[str, Value], used: set[str]) -> None:
        self._names, self._values, self._used = names, values, used
        self._tokens = _tokens(text)
        self._at = 0

    # ------------------------------------------------------------------------------------------------- conditions

    def condition(self) -> Test:
        test = self._either()
        self._expect_end()
        return test

    def _either(self) -> Test:
        tests = [self._both()]
        while self._take("OR"):
            tests.append(self._both())
        return tests[0] if len(tests) == 1 else lambda item: any(test(item) for test in tests)

    def _both(self) -> Test:
        tests = [self._negation()]
        while self._take("AND"):
            tests.append(self._negation())
        return tests[0] if len(tests) == 1 else lambda item: all(test(item) for test in tests)

    def _negation(self) -> Test:
        if self._take("NOT"):
            test = self._negation()
            return lambda item: not test(item)
        if self._take("("):
            test = self._either()
            self._expect(")")
            return test
        return self._comparison()

    def _comparison(self) -> Test:
        if self._peek() in _FUNCTIONS:
            return self._function()
        left = self._operand()
        word = self._next()
        if word == "BETWEEN":
            constant = self._peek().startswith(":")
            low = self._operand()
            self._expect("AND")
            constant = constant and self._peek().startswith(":")
            high = self._operand()
            if constant and not holds("<=", low({}), high({})):
                raise invalid("The BETWEEN operator requires upper bound to be greater than or equal to lower bound")
            return lambda item: holds("<=", low(item), left(item)) and holds("<=", left(item), high(item))
        if word == "IN":
            choices = self._arguments()
            return lambda item: any(holds("=", left(item), choice(item)) for choice in choices)
        if word not in _COMPARISONS:
            raise invalid(f"Invalid condition: Syntax error; token: {word}")
        right = self._operand()
        return lambda item: holds(word, left(item), right(item))

    def _function(self) -> Test:
        function = self._next()
        arguments = self._arguments()
        if function == "attribute_exists":
            return lambda item: arguments[0](item) is not None
        if function == "attribute_not_exists":
            return lambda item: arguments[0](item) is None
        if len(arguments) != 2:
            raise invalid(f"Incorrect number of operands for operator or function: {function}")
        within = str.startswith if function == "begins_with" else str.__contains__

        def test(item: Item) -> bool:
            whole, part = text_of(arguments[0](item)), text_of(arguments[1](item))
            return whole is not None and part is not None and within(whole, part)

        return test

    def _arguments(self) -> list[Operand]:
        self._expect("(")
        found = [self._operand()]
        while self._take(","):
            found.append(self._operand())
        self._expect(")")
        return found

    def _operand(self) -> Operand:
        token = self._next()
        if token.startswith(":"):
            value = self._value(token)
            return lambda item: value
        name = self._name(token)
        return lambda item: item.get(name)

    # ------------------------------------------------------------------------------------------------------ updates

    def update(self) -> list[tuple[str, Callable[[Item], Value | None]]]:
        """Return each changed attribute and how to compute its value from the old item. A result of None removes it."""
        changes: list[tuple[str, Callable[[Item], Value | None]]] = []
        while self._at < len(self._tokens):
            clause = self._next()
            if clause not in ("SET", "REMOVE", "ADD", "DELETE"):
                raise NotImplementedError(f"the virtual DynamoDB knows no {clause} in an update")
            changes.append(self._change(clause))
            while self._take(","):
                changes.append(self._change(clause))
        if len({name for name, _ in changes}) != len(changes):
            raise invalid("Invalid UpdateExpression: Two document paths overlap with each other")
        return changes

    def _change(self, clause: str) -> tuple[str, Callable[[Item], Value | None]]:
        name = self._name(self._next())
        if clause == "REMOVE":
            return name, lambda item: None
        if clause in ("ADD", "DELETE"):
            become, operand = added if clause == "ADD" else without, self._operand()
            return name, lambda item: become(item.get(name), operand(item))
        self._expect("=")
        left = self._assigned()
        if self._peek() not in ("+", "-"):
            return name, lambda item: existing(left(item))
        sign, right = self._next(), self._assigned()
        return name, lambda item: sum_of(sign, left(item), right(item))

    def _assigned(self) -> Operand:
        if self._peek() != "if_not_exists":
            return self._operand()
        self._next()
        first, second = self._arguments()
        return lambda item: first(item) or second(item)

    # -------------------------------------------------------------------------------------------------- projections

    def projection(self) -> list[str]:
        found = [self._name(self._next())]
        while self._take(","):
            found.append(self._name(self._next()))
        self._expect_end()
        return found

    # -------------------------------------------------------------------------------------------------------- keys

    def key_condition(self, hash_name: str, range_name: str | None) -> tuple[str, Test, Bounds]:
        """Return the hash key's value, the condition on the range key, and bounds of the range keys that fulfil it."""
        if self._peek() in _FUNCTIONS:
            raise invalid("Query condition missed key schema element")
        name = self._name(self._next())
        self._expect("=")
        value = self._operand()({})
        if name != hash_name or value is None or "S" not in value:
            raise invalid(f"Query condition missed key schema element: {hash_name}")
        if not self._take("AND"):
            self._expect_end()
            return value["S"], lambda item: True, EVERYTHING
        if self._peek() in ("attribute_exists", "attribute_not_exists", "contains", "NOT", "("):
            raise invalid("Invalid operator used in KeyConditionExpression")
        start = self._at
        test = self._comparison()
        named = [self._name(token) for token in self._tokens[start : self._at] if token.startswith("#")]
        if named != [range_name] or "<>" in self._tokens[start : self._at] or "IN" in self._tokens[start : self._at]:
            raise invalid("Query key condition not supported")
        self._expect_end()
        return value["S"], test, self._bounds(self._tokens[start:])

    def _bounds(self, tokens: tuple[str, ...]) -> Bounds:
        """Return the least and the greatest range key that may fulfil a condition. None: no bound."""
        texts = [text_of(self._values.get(token)) for token in tokens if token.startswith(":")]
        if tokens[1] == "BETWEEN":
            return texts[0], texts[1]
        if tokens[0] == "begins_with":
            return texts[0], None
        if not tokens[0].startswith("#"):
            return EVERYTHING
        least, most = tokens[1] in ("=", ">", ">="), tokens[1] in ("=", "<", "<=")
        return texts[0] if least else None, texts[0] if most else None

    # ------------------------------------------------------------------------------------------------------- tokens

    def _name(self, token: str) -> str:
        if not token.startswith("#"):
            raise NotImplementedError(f"the virtual DynamoDB takes names as #placeholders, not {token!r}")
        if token not in self._names:
            raise invalid(f"An expression attribute name used in the document path is not defined: {token}")
        self._used.add(token)
        return self._names[token]

    def _value(self, token: str) -> Value:
        if token not in self._values:
            raise invalid(f"An expression attribute value used in expression is not defined: {token}")
        self._used.add(token)
        return self._values[token]

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        token = self._peek()
        if not token:
            raise invalid("Invalid expression: Syntax error; token: <EOF>")
        self._at += 1
        return token

    def _take(self, wanted: str) -> bool:
        if self._peek() != wanted:
            return False
        self._at += 1
        return True

    def _expect(self, wanted: str) -> None:
        token = self._next()
        if token != wanted:
            raise invalid(f"Invalid expression: Syntax error; token: {token}")

    def _expect_end(self) -> None:
        if self._at != len(self._tokens):
            raise invalid(f"Invalid expression: Syntax error; token: {self._peek()}")


@lru_cache(maxsize=1000)
def _tokens(text: str) -> tuple[str, ...]:
    tokens: list[str] = []
    at, text = 0, text.rstrip()
    if not text:
        raise invalid("The expression can not be empty;")
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise invalid(f"Invalid expression: Syntax error; token: {text[at]}")
        word = found.group(1) or found.group(2)
        tokens.append(word.upper() if word.upper() in _KEYWORDS else word)
        at = found.end()
    return tuple(tokens)


_KEYWORDS = ("AND", "OR", "NOT", "BETWEEN", "IN", "SET", "REMOVE", "ADD", "DELETE")
PLACEHOLDERS = ("ExpressionAttributeNames", "ExpressionAttributeValues")


def parsed(request: dict[str, Any], parameter: str, used: set[str]) -> Expression:
    """Return the expression in a parameter of a request. Add the placeholders that it uses to `used`."""
    names = request.get("ExpressionAttributeNames", {})
    values = request.get("ExpressionAttributeValues", {})
    return Expression(request[parameter], names, values, used)


def kept_by(request: dict[str, Any], used: set[str]) -> Callable[[Item], bool]:
    """Return the filter of a request, which keeps everything if it has none."""
    if "FilterExpression" not in request:
        return lambda item: True
    return parsed(request, "FilterExpression", used).condition()


def shaped_by(request: dict[str, Any], used: set[str]) -> Callable[[Item], Item]:
    """Return what reduces an item to the attributes that a request wants."""
    if "ProjectionExpression" not in request:
        return copied
    names = parsed(request, "ProjectionExpression", used).projection()
    return lambda item: copied({name: item[name] for name in names if name in item})


def check_all_used(request: dict[str, Any], used: set[str]) -> None:
    for parameter in PLACEHOLDERS:
        for name in request.get(parameter, {}):
            if name not in used:
                raise invalid(f"Value provided in {parameter} unused in expressions: keys: {{{name}}}")
