"""The functions that carry out an operation. IAM may allow a caller only one with smaller rights."""

from __future__ import annotations

ALL_RIGHTS = "ManageFunction"
SMALLER_RIGHTS = {
    "ViewFunction": ("get", "list", "forecast", "failures", "deliveries", "runs", "status"),
    "CallerFunction": ("get", "list", "cancel", "change", "move", "fire", "cancel_where"),
}
"""The operations of the view and of the caller function. Both refuse the others, whatever IAM allows."""
POLICIES = {
    "ScheduleFunction": ("CallerPolicy", "OperatorPolicy"),
    "CallerFunction": ("CallerPolicy", "OperatorPolicy"),
    "ViewFunction": ("ViewerPolicy", "OperatorPolicy"),
}
"""The policies of the stack that allow to invoke a function. Only OperatorPolicy allows the others."""


def functions_for(operation: str) -> list[str]:
    """Return the outputs of the functions that carry out the operation, the one with the most rights first."""
    return [ALL_RIGHTS, *(function for function, operations in SMALLER_RIGHTS.items() if operation in operations)]


def advice(function: str, operation: str = "") -> str:
    """Return which policies of the stack allow the call, or do the same by another function."""
    functions = functions_for(operation) if function == ALL_RIGHTS else [function]
    found = sorted({policy for each in functions for policy in POLICIES.get(each, ("OperatorPolicy",))})
    named = " and ".join([", ".join(found[:-1]), found[-1]] if found[:-1] else found)
    return f", which {named} of the stack {'have' if found[:-1] else 'has'}"
