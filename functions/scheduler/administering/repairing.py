"""Bring API Gateway in line with the table.

It differs after a call that API Gateway did not confirm, after the end of a replaced key, and after the API was off and
on again, when the new API has no plan yet. A key that was made while the API was off is unknown to API Gateway, and its
text to us: `repair` lists it, and the owner rotates it.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from scheduler.administering import admission, deletion
from scheduler.administering.admission import Limits, Step
from scheduler.administering.dependencies import AdminDependencies, Gateway, Plan
from scheduler.administering.request import AdminRequest
from scheduler.errors import NotConfirmed
from scheduler.execution.deadline import Deadline, retry_call
from scheduler.model.application import OWNER


def repair(_: AdminRequest, dependencies: AdminDependencies, deadline: Deadline) -> dict[str, Any]:
    """Change what differs, as long as there is time. `left` counts the changes that a repeat makes."""
    ended = deletion.end_feeding(dependencies, deadline)
    gateway = dependencies.gateway
    if gateway is None:
        return {"api": False, "ended": ended, "changed": 0, "left": 0, "rotate": []}
    known, plans = retry_call(gateway.keys, deadline), retry_call(gateway.plans, deadline)
    wanted = _wanted(dependencies, deadline)  # Read last: a key is in the table before API Gateway has it.
    steps = _steps(wanted, known, plans, gateway, deadline)
    changed = _carried_out(steps, deadline)
    rotate = sorted(wanted.keys() - retry_call(gateway.keys, deadline).keys())
    return {"api": True, "ended": ended, "changed": changed, "left": len(steps) - changed, "rotate": rotate}


def _wanted(dependencies: AdminDependencies, deadline: Deadline) -> dict[str, Limits]:
    """Return the limits of every key that API Gateway has to know."""
    applications = {each.id: each for each in [OWNER, *retry_call(dependencies.applications.all, deadline)]}
    return {
        key.credential.key_id: admission.limits_of(applications[key.credential.application])
        for key in retry_call(dependencies.applications.all_keys, deadline)
        if key.credential.is_usable(deadline.now_ms()) and key.credential.application in applications
    }


def _steps(
    wanted: Mapping[str, Limits], known: Mapping[str, str], plans: list[Plan], gateway: Gateway, deadline: Deadline
) -> list[Step]:
    """Return the changes to make. The plans that are missing are created at once, because the changes name them."""
    admitted = {key_id: limits for key_id, limits in wanted.items() if key_id in known}
    current = {
        limits: admission.plan_for(limits, plans, gateway, deadline) for limits in sorted(set(admitted.values()))
    }
    members = {plan: retry_call(functools.partial(gateway.members, plan), deadline) for plan in plans}
    steps: list[Step] = []
    for key_id, limits in admitted.items():
        steps += admission.moves(known[key_id], current[limits], members, gateway)
    unwanted = [known[key_id] for key_id in known if key_id not in wanted]
    steps += [functools.partial(gateway.delete_key, gateway_id) for gateway_id in unwanted]
    unused = [plan for plan in plans if plan not in current.values()]
    return steps + [functools.partial(_delete_unused, plan, gateway) for plan in unused]


def _delete_unused(plan: Plan, gateway: Gateway) -> None:
    """Delete a plan, unless a key was added to it meanwhile. Keys that are gone may still be listed in it."""
    if not (plan.is_current and gateway.members(plan) & set(gateway.keys().values())):
        gateway.delete_plan(plan)


def _carried_out(steps: list[Step], deadline: Deadline) -> int:
    """Return how many changes were made. Raise NotConfirmed if there were some to make, and none was made."""
    for number, step in enumerate(steps):
        if number and deadline.passed():
            return number
        try:
            retry_call(step, deadline)
        except NotConfirmed:
            if not number:
                raise
            return number
    return len(steps)
