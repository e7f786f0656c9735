"""The resources of a template, and those that SAM makes from them. SAR accepts the types of a list."""

from __future__ import annotations

import contextlib
import copy
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from samtranslator.translator.transform import transform

SAM_TRANSFORM = "AWS::Serverless-2016-10-31"
REGION = "us-east-1"
LIST = Path(__file__).parent / "sar_resources.txt"


class _NoManagedPolicies:
    """A template that names policies of AWS by a short name needs this; the check asks AWS nothing."""

    def load(self) -> dict[str, str]:
        return {}


def supported() -> set[str]:
    """Return the resource types that SAR accepts."""
    lines = LIST.read_text(encoding="utf-8").splitlines()
    return {line for line in lines if line and not line.startswith("#")}


def type_faults(resources: dict[str, Any]) -> Iterator[str]:
    accepted = supported()
    for name, resource in resources.items():
        if resource["Type"] not in accepted:
            yield f"{name} has the type {resource['Type']}, which SAR does not take; see {LIST.name}"


def code_faults(template: dict[str, Any]) -> Iterator[str]:
    for name, resource in template.get("Resources", {}).items():
        code = resource.get("Properties", {}).get("CodeUri", "s3://")
        if not (isinstance(code, str) and code.startswith("s3://")):
            yield f"the code of {name} is at {code}; publish the template that `sam package` wrote"


def all_resources(template: dict[str, Any]) -> dict[str, Any]:
    """Return the resources of the template and those that SAM makes at the deployment."""
    written: dict[str, Any] = template.get("Resources", {})
    document = copy.deepcopy(template)
    for resource in document.get("Resources", {}).values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = "s3://bucket/key"
    with _region():
        made: dict[str, Any] = transform(document, {}, _NoManagedPolicies())["Resources"]
    return {**written, **made}


@contextlib.contextmanager
def _region() -> Iterator[None]:
    """Name a region if the environment names none. SAM wants one, and makes the same types in all."""
    before = os.environ.get("AWS_DEFAULT_REGION")
    os.environ["AWS_DEFAULT_REGION"] = before or REGION
    try:
        yield
    finally:
        if before is None:
            del os.environ["AWS_DEFAULT_REGION"]
