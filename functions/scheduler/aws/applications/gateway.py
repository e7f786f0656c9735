"""API keys and usage plans of API Gateway: the copies of our keys, with the requests a second of each.

A plan belongs to one stage of one API and never changes. Its name, and that of each key, begins with the stack and a
dot, which no name of a stack has. So two stacks in one account do not touch each other's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from botocore.exceptions import ClientError

from scheduler.administering.dependencies import Plan
from scheduler.aws.calls import code, confirmed
from scheduler.errors import NotConfirmed

PAGE_MAX = 500
"""API Gateway, "limit" of its lists."""
GATEWAY_PAGES_MAX = 100


class Gateway:
    def __init__(self, client: Any, stage: str, stack: str) -> None:
        """`stage` is the id of the API and the name of its stage, with a colon in between."""
        self._client, self._stage, self._prefix = client, stage, f"{stack}."

    def keys(self) -> dict[str, str]:
        """Return the ids of the keys that API Gateway knows, and the ids that it gave them."""
        found = self._pages(self._client.get_api_keys, nameQuery=self._prefix)
        return {
            key["name"].removeprefix(self._prefix): key["id"] for key in found if key["name"].startswith(self._prefix)
        }

    def create_key(self, key_id: str, key: str) -> str:
        """Make a key known, and return the id that API Gateway gave it. A repeat finds the key of the first call."""
        try:
            made = confirmed(self._client.create_api_key, name=self._prefix + key_id, value=key, enabled=True)
        except ClientError as failure:
            if code(failure) != "ConflictException":
                raise
            found = self.keys().get(key_id)
            if found is None:
                raise NotConfirmed(f"API Gateway has the key {key_id} and does not list it") from failure
            return found
        return str(made["id"])

    def delete_key(self, gateway_id: str) -> None:
        _unless_gone(self._client.delete_api_key, apiKey=gateway_id)

    def plans(self) -> list[Plan]:
        """Return the plans of this stack, in the same order each time. Some may belong to an API that is gone."""
        found = [self._plan(plan) for plan in self._pages(self._client.get_usage_plans) if self._is_of_this_stack(plan)]
        return sorted(found, key=lambda plan: plan.id)

    def create_plan(self, rate: int, burst: int) -> Plan:
        api_id, _, stage = self._stage.partition(":")
        made = confirmed(
            self._client.create_usage_plan,
            name=f"{self._prefix}{rate}.{burst}",
            apiStages=[{"apiId": api_id, "stage": stage}],
            throttle={"rateLimit": rate, "burstLimit": burst},
        )
        return self._plan(made)

    def delete_plan(self, plan: Plan) -> None:
        """Delete a plan. API Gateway refuses this while a stage belongs to it."""
        for stage in plan.stages:
            leaving = {"op": "remove", "path": "/apiStages", "value": stage}
            _unless_gone(self._client.update_usage_plan, usagePlanId=plan.id, patchOperations=[leaving])
        _unless_gone(self._client.delete_usage_plan, usagePlanId=plan.id)

    def members(self, plan: Plan) -> set[str]:
        """Return the keys of a plan, by the ids that API Gateway gave them."""
        return {key["id"] for key in self._pages(self._client.get_usage_plan_keys, usagePlanId=plan.id)}

    def add(self, plan: Plan, gateway_id: str) -> None:
        try:
            confirmed(self._client.create_usage_plan_key, usagePlanId=plan.id, keyId=gateway_id, keyType="API_KEY")
        except ClientError as failure:
            if code(failure) != "ConflictException" or gateway_id not in self.members(plan):
                raise

    def drop(self, plan: Plan, gateway_id: str) -> None:
        _unless_gone(self._client.delete_usage_plan_key, usagePlanId=plan.id, keyId=gateway_id)

    def _is_of_this_stack(self, plan: dict[str, Any]) -> bool:
        rate, _, burst = str(plan.get("name", "")).removeprefix(self._prefix).partition(".")
        return str(plan.get("name", "")).startswith(self._prefix) and rate.isdigit() and burst.isdigit()

    def _plan(self, plan: dict[str, Any]) -> Plan:
        rate, burst = plan["name"].removeprefix(self._prefix).split(".")
        stages = tuple(f"{each['apiId']}:{each['stage']}" for each in plan.get("apiStages") or [])
        return Plan(plan["id"], int(rate), int(burst), stages, self._stage in stages)

    def _pages(self, call: Any, **arguments: Any) -> Iterator[dict[str, Any]]:
        more: dict[str, Any] = {}
        for _ in range(GATEWAY_PAGES_MAX):
            answer = confirmed(call, limit=PAGE_MAX, **arguments, **more)
            yield from answer.get("items", [])
            if not answer.get("position"):
                return
            more = {"position": answer["position"]}


def _unless_gone(call: Callable[..., Any], **arguments: Any) -> None:
    """Make a call that has nothing to do if the key, the plan or the API of its stage is gone."""
    try:
        confirmed(call, **arguments)
    except ClientError as failure:
        if code(failure) not in ("NotFoundException", "BadRequestException"):
            raise
