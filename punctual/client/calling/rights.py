"""The functions that carry out an operation. IAM may allow a caller only one with smaller rights."""

from __future__ import annotations

ALL_RIGHTS = "ManageFunction"
SMALLER_RIGHTS = {
    "ViewFunction": ("get", "list", "forecast", "failures", "runs"),
    "CallerFunction": ("get", "list", "cancel", "change", "move", "fire", "cancel_where"),
}
"""The operations of the view and of the caller function. Both refuse the others, whatever IAM allows."""


def functions_for(operation: str) -> list[str]:
    """Return the outputs of the functions that carry out the operation, the one with the most rights first."""
    return [ALL_RIGHTS, *(function for function, operations in SMALLER_RIGHTS.items() if operation in operations)]
