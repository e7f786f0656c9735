"""Check strings for SQS, and format values for error messages."""

from __future__ import annotations

import re
from collections.abc import Sequence

SHOWN_CHARACTERS_MAX = 60

# SQS carries the characters of XML 1.0: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
# The pattern lists the refused ones. A pattern of the allowed ones takes ten times as long to compile at a cold start.
_REFUSED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def fault(text: str) -> str | None:
    """Return a description of the first character that SQS would refuse, or None if SQS accepts the string."""
    found = _REFUSED.search(text)
    if found is None:
        return None
    code = ord(found.group())
    kind = "a lone surrogate" if 0xD800 <= code <= 0xDFFF else "a character that SQS refuses"
    return f"U+{code:04X} at position {found.start()}, {kind}"


def origin_only(url: str) -> str:
    """Return the part of a URL that an error may show: no credentials, and nothing after the host."""
    scheme, mark, rest = url.partition("://") if "://" in url else ("", "", url)
    return scheme + mark + re.split(r"[/?#]", rest, maxsplit=1)[0].rpartition("@")[2]


def shown(value: object) -> str:
    """Return a value for an error message: short, printable, and recognisable to the sender. It is never a payload."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        start = ascii(value[:SHOWN_CHARACTERS_MAX])  # ascii() may write ten characters for one.
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
    """Return whether a value is nested deeper than this.

    The loop goes level by level, because a recursive walk would itself exceed Python's recursion limit.
    """
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


def did_you_mean(given: object, known: Sequence[str]) -> str:
    """Return a hint that names the closest known word, or nothing if none is close."""
    import difflib

    near = difflib.get_close_matches(given, known, 1) if isinstance(given, str) else []
    return f"; did you mean {near[0]}?" if near else ""
