"""How deep a JSON value is nested: what is too deep makes parsers give up, ours and those further on."""

from __future__ import annotations


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
