"""Strings as SQS takes them, and values as an error message shows them."""

from __future__ import annotations

import re

SHOWN_CHARACTERS_MAX = 60

# What SQS carries is what XML 1.0 allows: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
# Those that it does not are named: to compile the others would take every cold start ten times as long.
_REFUSED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def fault(text: str) -> str | None:
    """What SQS would refuse in this string, in words; None where it would take it."""
    found = _REFUSED.search(text)
    if found is None:
        return None
    code = ord(found.group())
    kind = "a lone surrogate" if 0xD800 <= code <= 0xDFFF else "a character that SQS refuses"
    return f"U+{code:04X} at position {found.start()}, {kind}"


def origin_only(url: str) -> str:
    """As much of a URL as an error may show: nothing behind the host, and no credentials."""
    scheme, mark, rest = url.partition("://") if "://" in url else ("", "", url)
    return scheme + mark + re.split(r"[/?#]", rest, maxsplit=1)[0].rpartition("@")[2]


def shown(value: object) -> str:
    """A value for an error message: recognisable to who sent it, short, printable, and never a whole payload."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        start = ascii(value[:SHOWN_CHARACTERS_MAX])  # Which makes ten characters of one that is not ASCII.
        cut = len(value) > SHOWN_CHARACTERS_MAX or len(start) > 2 * SHOWN_CHARACTERS_MAX
        return f"{start[: 2 * SHOWN_CHARACTERS_MAX]}… ({len(value)} characters)" if cut else start
    if isinstance(value, int):
        bits = value.bit_length()  # Python refuses to print integers of thousands of digits.
        return str(value) if bits < 256 else f"an integer of {bits} bits"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, dict):
        return f"an object with {len(value)} fields"
    return f"a {type(value).__name__}"


def deeper_than(value: object, levels: int) -> bool:
    """Level by level: a recursive walk would fall into the very pit that it looks for."""
    layer = [value]
    for _ in range(levels + 1):
        layer = [
            child
            for parent in layer
            if isinstance(parent, dict | list)
            for child in (parent.values() if isinstance(parent, dict) else parent)
        ]
        if not layer:
            return False
    return True
