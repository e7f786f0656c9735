"""Read the targets, failure targets, hosts, default target and limits that an application may use.

All of it has to be within what the parameters of the stack allow, because the roles of the functions allow no more.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from scheduler.administering.dependencies import AdminDependencies
from scheduler.administering.request import AdminRequest
from scheduler.errors import InvalidRequest, InvalidSchedule
from scheduler.limits import (
    API_BURST_MAX,
    API_RATE_MAX,
    APPLICATION_BURST_DEFAULT,
    APPLICATION_QUOTA_MAX,
    APPLICATION_RATE_DEFAULT,
)
from scheduler.model import targets
from scheduler.model.application import OUTPUT, Application
from scheduler.text import origin_only, shown

APPLICATION_TARGETS_MAX = 50
"""More than the stack's TargetArns has room for."""
APPLICATION_HOSTS_MAX = 100
UNDECIDED = Application("", "", rate=APPLICATION_RATE_DEFAULT, burst=APPLICATION_BURST_DEFAULT)
"""The defaults of a new application."""
DEFAULT_WANTED = "output, an ARN, or a URL that begins with https://"


def read(request: AdminRequest, dependencies: AdminDependencies, kept: Application = UNDECIDED) -> dict[str, Any]:
    """Return the fields of the application that the caller decides. A field that is not given keeps its value.

    Kept values are not checked again: the stack may have allowed them before. The default target is always among the
    targets, or its host among the hosts.
    """
    arns, hosts = _targets(request, dependencies, kept), _hosts(request, dependencies, kept)
    default = _default_target(request, dependencies) if request.gives("default_target") else kept.default_target
    if default is not None and default != OUTPUT:
        if targets.kind(default) == targets.WEBHOOK:
            hosts = _with_host_of(default, hosts)
        elif targets.arn_of(default) not in arns:
            arns.append(targets.arn_of(default))
    return {
        "targets": tuple(arns),
        "failure_targets": tuple(_failure_targets(request, dependencies, kept)),
        "hosts": tuple(hosts),
        "default_target": default,
        **_limits(request, kept),
    }


def _limits(request: AdminRequest, kept: Application) -> dict[str, int]:
    """Return rate, burst and quota. A rate that is given without a burst decides the burst, too."""
    rate = request.whole("rate", kept.rate, API_RATE_MAX)
    burst = min(2 * rate, API_BURST_MAX) if request.gives("rate") else kept.burst
    return {
        "rate": rate,
        "burst": request.whole("burst", burst, API_BURST_MAX),
        "quota": request.whole("quota", 0, APPLICATION_QUOTA_MAX) if request.gives("quota") else kept.quota,
    }


def _targets(request: AdminRequest, dependencies: AdminDependencies, kept: Application) -> list[str]:
    if not request.gives("targets"):
        return list(kept.targets)
    return [_checked(request, "targets", each, dependencies) for each in _arns(request, "targets")]


def _failure_targets(request: AdminRequest, dependencies: AdminDependencies, kept: Application) -> list[str]:
    if not request.gives("failure_targets"):
        return list(kept.failure_targets)
    return [_checked_failure(each, dependencies) for each in _arns(request, "failure_targets")]


def _hosts(request: AdminRequest, dependencies: AdminDependencies, kept: Application) -> list[str]:
    if not request.gives("hosts"):
        return list(kept.hosts)
    hosts = request.texts("hosts", "a host such as api.example.com or *.example.com", APPLICATION_HOSTS_MAX)
    for host in hosts:
        _check_host(host, dependencies)
    return hosts


def _arns(request: AdminRequest, field: str) -> list[str]:
    return request.texts(field, targets.LISTED_WANTED, APPLICATION_TARGETS_MAX)


def _checked(request: AdminRequest, field: str, value: object, dependencies: AdminDependencies) -> str:
    """Return the canonical text of a target that the stack allows. A list holds plain ARNs."""
    try:
        return targets.checked(value, dependencies.listed)
    except InvalidSchedule as refusal:
        said = str(refusal).replace("target", field, 1)
        wanted = targets.TARGET_WANTED if field == "default_target" else targets.LISTED_WANTED
        raise InvalidRequest(said.replace(targets.TARGET_WANTED, wanted)) from None


def _checked_failure(value: str, dependencies: AdminDependencies) -> str:
    try:
        return targets.checked_failure_target(value, dependencies.listed)
    except InvalidSchedule as refusal:
        raise InvalidRequest(str(refusal).replace("failure_target", "failure_targets", 1)) from None


def _default_target(request: AdminRequest, dependencies: AdminDependencies) -> str | None:
    value = request.fields.get("default_target")
    if value is None or value == OUTPUT:
        return value if value is None else OUTPUT
    if isinstance(value, str) and value.startswith(("https://", "http://")):
        value = {"url": value}
    elif isinstance(value, str) and not value.startswith("arn:"):
        raise InvalidRequest(f"default_target is {shown(origin_only(value))}; wanted: {DEFAULT_WANTED}")
    return _checked(request, "default_target", value, dependencies)


def _check_host(text: str, dependencies: AdminDependencies) -> None:
    """Raise InvalidRequest if the text is no entry of a list of hosts, or if the stack's WebhookHosts lacks it."""
    from scheduler.webhooks.allowed_hosts import Hosts

    if len(text.replace(",", " ").split()) != 1:
        raise InvalidRequest(f"hosts has {shown(text)} in it; wanted: one host in each entry")
    try:
        (entry,) = Hosts.read(text, False).entries
    except ValueError as fault:
        raise InvalidRequest(f"hosts: {fault}") from None
    if dependencies.hosts is None or not dependencies.hosts.lists(entry):
        raise InvalidRequest(
            f"hosts has {shown(text)} in it, which the stack does not allow; "
            "wanted: a host that the parameter WebhookHosts covers; add it there and deploy the stack again"
        )


def _with_host_of(webhook: str, hosts: list[str]) -> list[str]:
    """Return the hosts, with the host of the default target if none of them covers it."""
    from scheduler.webhooks.allowed_hosts import Hosts, origin

    url = urlsplit(json.loads(webhook)["url"])
    its_origin = origin(url.scheme, url.netloc)
    if Hosts.read(" ".join(hosts), False).lists(its_origin):
        return hosts
    return [*hosts, its_origin.authority if url.scheme == "https" else f"http://{its_origin.authority}"]
