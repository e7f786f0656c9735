"""The hash keys of an application's items.

| what | the owner's | an application's |
|---|---|---|
| far schedules | `3` | `3#<application>` |
| records of names | `names#f` | `names#<application>#f` |
| near names | `near#f` | `near#<application>#f` |
| failures | `failed#2030-01-01#f` | `failed#<application>#2030-01-01#f` |
| quarantine | `quarantine` | `quarantine#<application>` |

Every other hash key belongs to the stack, and no application reads or writes it.
"""

from __future__ import annotations

import re

_OWNERS = re.compile(
    r"(?P<first>[0-9]{1,3}|quarantine)|(?P<kind>names|near|failed)#(?P<rest>[0-9a-f]|[0-9-]{10}(#[0-9a-f])?)"
)


def of_application(hash_key: str, application: str) -> str:
    """Return the application's hash key for one of the owner's. Raise ValueError if an application has no such key."""
    found = _OWNERS.fullmatch(hash_key)
    if found is None:
        raise ValueError(f"an application has no items under {hash_key!r}")
    first = found["first"]
    return f"{first}#{application}" if first is not None else f"{found['kind']}#{application}#{found['rest']}"


def of_owner(hash_key: str, application: str) -> str:
    """Return the owner's hash key for one of the application's. Raise ValueError if it is another's."""
    first, mark, rest = hash_key.partition(f"#{application}")
    if not mark or of_application(first + rest, application) != hash_key:
        raise ValueError(f"{hash_key!r} is not of the application {application}")
    return first + rest
