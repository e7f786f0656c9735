"""Derive a template without properties that the Serverless Application Repository (SAR) refuses.

    python tools/plain_template.py packaged.yml plain.json RecursiveLoop LoggingConfig

`all` stands for every name in `PROPERTIES`. SAR publishes a list of resource types but no list of properties, so it may
refuse a newer property at publication. The stack works without each of these properties, but loses a convenience: see
docs/operations.md. The script also removes parameters and conditions that become unused.
"""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from samtranslator.yaml_helper import yaml_parse

PROPERTIES = (
    "RecursiveLoop",
    "ProvisionedPollerConfig",
    "ScalingConfig",
    "LoggingConfig",
    "RuntimeManagementConfig",
    "RetainExceptOnCreate",
)
"""`RetainExceptOnCreate` is a value of DeletionPolicy. The script replaces it with `Retain`."""

FUNCTION = "AWS::Serverless::Function"


def plain(template: dict[str, Any], names: set[str]) -> dict[str, Any]:
    """Return a copy of the template without these properties."""
    unknown = names - set(PROPERTIES)
    if unknown:
        raise ValueError(f"{', '.join(sorted(unknown))}: not among {', '.join(PROPERTIES)}")
    changed = copy.deepcopy(template)
    if "LoggingConfig" in names:
        _log_under_the_usual_names(changed["Resources"])
    if "RetainExceptOnCreate" in names:
        for resource in changed["Resources"].values():
            if resource.get("DeletionPolicy") == "RetainExceptOnCreate":
                resource["DeletionPolicy"] = "Retain"
    if "ProvisionedPollerConfig" in names:
        for condition in changed["Conditions"].values():
            _without(condition, {"Condition": "HasPollers"})  # No limit has to make way for pollers.
    for holder in _holders(changed):
        for name in names & set(holder):
            del holder[name]
    _drop_what_nothing_uses(changed)
    return changed


def _holders(template: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield everything that can have one of the properties: the globals, the functions and their event sources."""
    yield template.get("Globals", {}).get("Function", {})
    for function in _functions(template["Resources"]).values():
        yield function["Properties"]
        for event in function["Properties"].get("Events", {}).values():
            yield event["Properties"]


def _functions(resources: dict[str, Any]) -> dict[str, Any]:
    return {name: each for name, each in resources.items() if each["Type"] == FUNCTION}


def _log_under_the_usual_names(resources: dict[str, Any]) -> None:
    """Name each log group /aws/lambda/<function name>, where a function without LoggingConfig logs.

    The group then needs the function, and the function needs its role. A role that named the group would close that
    circle, so each role names all log groups of the stack's functions.
    """
    everything = "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group:/aws/lambda/${AWS::StackName}-*"
    for name, function in _functions(resources).items():
        group = function["Properties"].get("LoggingConfig", {}).get("LogGroup", {}).get("Ref")
        if group is None:
            continue
        resources[group]["Properties"]["LogGroupName"] = {"Fn::Sub": f"/aws/lambda/${{{name}}}"}
        role = resources[function["Properties"]["Role"]["Fn::GetAtt"][0]]
        for policy in role["Properties"]["Policies"]:
            for statement in policy.get("PolicyDocument", {}).get("Statement", []):
                if statement["Resource"] == {"Fn::GetAtt": [group, "Arn"]}:
                    statement["Resource"] = {"Fn::Sub": everything}


def _without(node: Any, part: Any) -> None:
    """Remove a part from every list that holds it."""
    if isinstance(node, list) and part in node:
        node.remove(part)
    for each in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        _without(each, part)


def _drop_what_nothing_uses(template: dict[str, Any]) -> None:
    """Remove unused parameters and conditions in turns, because conditions use parameters and other conditions."""
    while True:
        used = set(_used({key: part for key, part in template.items() if key not in ("Metadata", "Parameters")}))
        sections = [(template["Conditions"], "Condition"), (template["Parameters"], "Ref")]
        unused = [(section, name) for section, kind in sections for name in section if (kind, name) not in used]
        if not unused:
            break
        for section, name in unused:
            del section[name]
    interface = template.get("Metadata", {}).get("AWS::CloudFormation::Interface", {})
    for group in interface.get("ParameterGroups", []):
        group["Parameters"] = [name for name in group["Parameters"] if name in template["Parameters"]]


def _used(node: Any) -> Iterator[tuple[str, str]]:
    """Yield every reference as ("Ref", name) or ("Condition", name)."""
    if isinstance(node, list):
        for each in node:
            yield from _used(each)
    if not isinstance(node, dict):
        return
    for key, value in node.items():
        if key in ("Ref", "Condition") and isinstance(value, str):
            yield key, value
        if key == "Fn::If":
            yield "Condition", value[0]
        if key == "Fn::Sub":
            text = value if isinstance(value, str) else value[0]
            yield from (("Ref", piece.partition("}")[0]) for piece in text.split("${")[1:])
        yield from _used(value)


def main(source: str, destination: str, *names: str) -> None:
    wanted = set(PROPERTIES) if "all" in names else set(names)
    made = plain(yaml_parse(Path(source).read_text()), wanted)
    Path(destination).write_text(json.dumps(made, indent=2) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
