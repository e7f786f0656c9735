"""The version of what the functions store in the table and send through the delivery queue.

An item or a message without `v` has format 1, so it costs no byte. Code that writes something which earlier code would
misread adds `v`: the lowest format that a reader has to know. A new attribute that earlier code may ignore needs none.

Code that meets a newer format changes nothing. It says so, and leaves the item or message for newer code.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scheduler.errors import NotConfirmed

FIELD = "v"
READ_MAX = 1
"""The newest format that this code reads."""


def check(version: object) -> None:
    """Raise NotConfirmed for a format that only newer code reads, and ValueError for a value that is no format."""
    if type(version) is not int or version < 1:
        raise ValueError("its format is no whole number from 1 on")
    if version > READ_MAX:
        raise NotConfirmed(
            f"newer code stored it in format {version}, and this version of Punctual reads formats up to {READ_MAX}; "
            "update the stack to the version that stored it",
            lasting=True,
        )


def check_item(item: Mapping[str, Mapping[str, Any]]) -> None:
    """Check the format of a DynamoDB item. Raise KeyError, ValueError or NotConfirmed as `check` does."""
    if FIELD in item:
        check(int(item[FIELD]["N"]))
