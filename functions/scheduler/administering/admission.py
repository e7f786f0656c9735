"""Make keys known to API Gateway, which counts the requests of each key and turns away what it does not know.

The table comes first, and API Gateway second. If API Gateway does not confirm a new key, its text is lost, because the
table has only its hash. So the caller gets an error that says to replace it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence

from scheduler import log
from scheduler.administering.dependencies import AdminDependencies, Gateway, Plan, StoredKey
from scheduler.errors import NotConfirmed
from scheduler.execution.deadline import Deadline, retry_call
from scheduler.limits import API_BURST_MAX, API_RATE_MAX
from scheduler.model.application import Application

Limits = tuple[int, int]
"""The requests a second, and how many may come at once."""
Step = Callable[[], None]


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
    """Return the plan of these limits for the current API. Create it if it is missing."""
    for plan in plans:
        if plan.is_current and (plan.rate, plan.burst) == limits:
            return plan
    return retry_call(functools.partial(gateway.create_plan, *limits), deadline)


def limit(
    keys: Sequence[StoredKey], application: Application, dependencies: AdminDependencies, deadline: Deadline
) -> None:
    """Move keys to the plan of their application's limits. Without an API there is nothing to do.

    API Gateway has no call that moves a key, so it refuses the key between two calls. A repeat, or `repair`, completes
    a move that it did not confirm.
    """
    gateway = dependencies.gateway
    if gateway is None:
        return
    try:
        known, plans = retry_call(gateway.keys, deadline), retry_call(gateway.plans, deadline)
        plan = plan_for(limits_of(application), plans, gateway, deadline)
        members = {each: retry_call(functools.partial(gateway.members, each), deadline) for each in plans}
        for key in keys:
            gateway_id = known.get(key.credential.key_id)
            for step in moves(gateway_id, plan, members, gateway) if gateway_id is not None else ():
                retry_call(step, deadline)
    except NotConfirmed as failure:
        raise NotConfirmed(
            f"{application.name} is changed, and API Gateway did not confirm its limits ({failure}); "
            "send the change again, or run repair"
        ) from failure


def moves(gateway_id: str, plan: Plan, members: Mapping[Plan, set[str]], gateway: Gateway) -> Iterator[Step]:
    """Yield the changes that leave a key in this plan alone. A key is in one plan of a stage at most.

    The plans of an API that is gone are deleted with all that is in them.
    """
    for other, held in members.items():
        if other.is_current and other != plan and gateway_id in held:
            yield functools.partial(gateway.drop, other, gateway_id)
    if gateway_id not in members.get(plan, ()):
        yield functools.partial(gateway.add, plan, gateway_id)
