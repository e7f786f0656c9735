"""The virtual API Gateway's control plane: API keys, usage plans, and the stages that the plans cover.

Sources: the API reference of Amazon API Gateway, and "Quotas for creating and managing a REST API" for the limits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from punctual.testing.calls import Call, Service, Watcher
from punctual.testing.services.aws_errors import refusal
from punctual.testing.timeline import Timeline

VALUE_CHARACTERS_MIN = 20
PAGE_DEFAULT, PAGE_MAX = 25, 500


class ApiKeys(Service):
    name = "apigateway"

    def __init__(self, timeline: Timeline, watcher: Watcher) -> None:
        super().__init__(timeline, watcher)
        self.keys: dict[str, dict[str, Any]] = {}
        self.plans: dict[str, dict[str, Any]] = {}
        self.members: dict[str, list[str]] = {}
        """The keys of each plan."""
        self._stages: frozenset[str] = frozenset()
        self._count = 0
        self.operations = {
            "create_api_key": self._create_key,
            "get_api_keys": self._get_keys,
            "delete_api_key": self._delete_key,
            "create_usage_plan": self._create_plan,
            "get_usage_plans": self._get_plans,
            "update_usage_plan": self._update_plan,
            "delete_usage_plan": self._delete_plan,
            "create_usage_plan_key": self._add,
            "get_usage_plan_keys": self._get_members,
            "delete_usage_plan_key": self._drop,
        }

    def deploy(self, stages: Iterable[str]) -> None:
        """Set the stages that exist, each as the id of its API, a colon and a name. A plan loses one that is gone."""
        self._stages = frozenset(stages)
        for plan in self.plans.values():
            plan["apiStages"] = [each for each in plan["apiStages"] if _stage(each) in self._stages]

    # --------------------------------------------------------------------------------------------------------- keys

    def _create_key(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        _only(request, "name", "value", "enabled")
        if len(request["value"]) < VALUE_CHARACTERS_MIN:
            raise _bad("API Key value should be at least 20 characters")
        if any(key["value"] == request["value"] for key in self.keys.values()):
            raise refusal("ConflictException", "API Key already exists", 409)
        key = {"id": self._new_id(), **request}
        self.keys[key["id"]] = key
        return dict(key)

    def _get_keys(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        _only(request, "nameQuery", "limit", "position")
        begins = request.get("nameQuery", "")
        return _page([_without_value(key) for key in self.keys.values() if key["name"].startswith(begins)], request)

    def _delete_key(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        self._known(self.keys, request["apiKey"], "API Key")
        del self.keys[request["apiKey"]]
        for members in self.members.values():
            if request["apiKey"] in members:
                members.remove(request["apiKey"])
        return {}

    # -------------------------------------------------------------------------------------------------------- plans

    def _create_plan(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        _only(request, "name", "apiStages", "throttle")
        for each in request.get("apiStages", []):
            if _stage(each) not in self._stages:
                raise _bad("API Stage not found: " + _stage(each))
        plan = {"id": self._new_id(), "apiStages": [], **request}
        self.plans[plan["id"]], self.members[plan["id"]] = plan, []
        return dict(plan)

    def _get_plans(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        _only(request, "limit", "position")
        return _page([dict(plan) for plan in self.plans.values()], request)

    def _update_plan(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        plan = self._known(self.plans, request["usagePlanId"], "Usage Plan")
        for change in request["patchOperations"]:
            if (change["op"], change["path"]) != ("remove", "/apiStages"):
                raise NotImplementedError(f"the virtual API Gateway does not know the change {change}")
            if change["value"] not in map(_stage, plan["apiStages"]):
                raise _bad("Invalid API Stage specified")
            plan["apiStages"] = [each for each in plan["apiStages"] if _stage(each) != change["value"]]
        return dict(plan)

    def _delete_plan(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        plan = self._known(self.plans, request["usagePlanId"], "Usage Plan")
        if plan["apiStages"]:
            raise _bad("Cannot delete Usage Plan because there are API Stages associated with it")
        del self.plans[plan["id"]], self.members[plan["id"]]
        return {}

    # --------------------------------------------------------------------------------------------- the keys of a plan

    def _add(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        plan = self._known(self.plans, request["usagePlanId"], "Usage Plan")
        key = self._known(self.keys, request["keyId"], "API Key")
        stages = set(map(_stage, plan["apiStages"]))
        for id, members in self.members.items():
            shared = stages & set(map(_stage, self.plans[id]["apiStages"]))
            if key["id"] in members and (id == plan["id"] or shared):
                raise refusal("ConflictException", "The key is in a usage plan with this API stage", 409)
        self.members[plan["id"]].append(key["id"])
        return _without_value(key)

    def _get_members(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        _only(request, "usagePlanId", "limit", "position")
        plan = self._known(self.plans, request["usagePlanId"], "Usage Plan")
        return _page([_without_value(self.keys[id]) for id in self.members[plan["id"]]], request)

    def _drop(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        plan = self._known(self.plans, request["usagePlanId"], "Usage Plan")
        if request["keyId"] not in self.members[plan["id"]]:
            raise refusal("NotFoundException", "Invalid Usage Plan Key identifier specified", 404)
        self.members[plan["id"]].remove(request["keyId"])
        return {}

    # ------------------------------------------------------------------------------------------------------- inside

    def _known(self, things: Mapping[str, dict[str, Any]], id: str, kind: str) -> dict[str, Any]:
        if id not in things:
            raise refusal("NotFoundException", f"Invalid {kind} identifier specified", 404)
        return things[id]

    def _new_id(self) -> str:
        self._count += 1
        return f"{self._count:010x}"


def _stage(stage: Mapping[str, str]) -> str:
    return f"{stage['apiId']}:{stage['stage']}"


def _bad(message: str) -> ClientError:
    return refusal("BadRequestException", message)


def _without_value(key: Mapping[str, Any]) -> dict[str, Any]:
    """Return a key as lists show it. API Gateway shows its value only if it is asked to."""
    return {name: value for name, value in key.items() if name != "value"}


def _page(things: list[dict[str, Any]], request: Mapping[str, Any]) -> dict[str, Any]:
    limit = min(int(request.get("limit", PAGE_DEFAULT)), PAGE_MAX)
    start = int(request.get("position", 0))
    more = {"position": str(start + limit)} if start + limit < len(things) else {}
    return {"items": things[start : start + limit], **more}


def _only(request: Mapping[str, Any], *known: str) -> None:
    for parameter in request:
        if parameter not in known:
            raise NotImplementedError(f"the virtual API Gateway does not know the parameter {parameter} here")
