"""Make keys known to API Gateway, which counts the requests of each key and turns away what it does not know.

The table comes first, and API Gateway second. If API Gateway does not confirm a new key, its text is lost, because the
table has only its hash. So the caller gets an error that says to replace it.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

from scheduler import log
from scheduler.administering.dependencies import AdminDependencies, Gateway, Plan, StoredKey
from scheduler.errors import NotConfirmed
from scheduler.execution.deadline import Deadline, retry_call
from scheduler.limits import API_BURST_MAX, API_RATE_MAX
from scheduler.model.application import Application

Limits = tuple[int, int]
"""The requests a second, and how many may come at once."""


def limits_of(application: Application) -> Limits:
    """Return the limits of a key. The owner has those of the whole API."""
    if application.is_owner:
        return API_RATE_MAX, API_BURST_MAX
    return application.rate, application.burst


def admit(
    keys: Sequence[tuple[str, str]], application: Application, dependencies: AdminDependencies, deadline: Deadline
) -> None:
    """Make new keys known, each as its id and its text. Without an API there is nothing to do."""
    gateway = dependencies.gateway
    if gateway is None:
        return
    try:
        plan = plan_for(limits_of(application), retry_call(gateway.plans, deadline), gateway, deadline)
        for key_id, text in keys:
            gateway_id = retry_call(functools.partial(gateway.create_key, key_id, text), deadline)
            retry_call(functools.partial(gateway.add, plan, gateway_id), deadline)
    except NotConfirmed as failure:
        ids = " and ".join(key_id for key_id, _ in keys)
        raise NotConfirmed(f"API Gateway did not confirm the new keys {ids} ({failure}); rotate them") from failure


def dismiss(keys: Sequence[StoredKey], dependencies: AdminDependencies, deadline: Deadline) -> None:
    """Remove keys from API Gateway. If it does not confirm this, `repair` does it. The functions refuse them anyway."""
    gateway = dependencies.gateway
    if gateway is None or not keys:
        return
    try:
        known = retry_call(gateway.keys, deadline)
        for key in keys:
            gateway_id = known.get(key.credential.key_id)
            if gateway_id is not None:
                retry_call(functools.partial(gateway.delete_key, gateway_id), deadline)
    except NotConfirmed as failure:
        log.outcome("not confirmed", error=str(failure), at="API Gateway", keys=[key.credential.key_id for key in keys])


def plan_for(limits: Limits, plans: Sequence[Plan], gateway: Gateway, deadline: Deadline) -> Plan:
    """Return the plan of these limits for the current API. Create it if there is none."""
    for plan in plans:
        if plan.is_current and (plan.rate, plan.burst) == limits:
            return plan
    return retry_call(functools.partial(gateway.create_plan, *limits), deadline)
