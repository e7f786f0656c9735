"""Check that the Serverless Application Repository (SAR) accepts a template, as far as AWS documents its rules.

    python -m tools.publishing.sar .aws-sam/published.json

`make publish` runs this before it publishes. SAR publishes its rules in several places, and each rule names its own.
The command prints one line for each fault and exits with status 1.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from samtranslator.model.exceptions import InvalidDocumentException
from samtranslator.yaml_helper import yaml_parse

from tools.publishing.metadata import metadata_faults
from tools.publishing.resources import SAM_TRANSFORM, all_resources, code_faults, type_faults

TEMPLATE_BYTES_MAX, RESOURCES_MAX, PARAMETERS_MAX, OUTPUTS_MAX = 1_000_000, 500, 200, 200
"""CloudFormation, "quotas": the size of a template in a bucket, and what it may declare.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
"""
IAM_TYPES = ("AWS::IAM::Group", "AWS::IAM::InstanceProfile", "AWS::IAM::ManagedPolicy", "AWS::IAM::Policy")
ROLE_TYPE = "AWS::IAM::Role"
NAME_PROPERTIES = ("GroupName", "InstanceProfileName", "ManagedPolicyName", "RoleName")
RESOURCE_POLICY_TYPES = (
    "AWS::ApplicationAutoScaling::ScalingPolicy",
    "AWS::Events::EventBusPolicy",
    "AWS::IAM::Policy",
    "AWS::Lambda::LayerVersionPermission",
    "AWS::Lambda::Permission",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::QueuePolicy",
)
"""https://docs.aws.amazon.com/serverlessrepo/latest/devguide/acknowledging-application-capabilities.html"""
BROAD_ACTIONS = {"*", "iam:*", "iam:AttachRolePolicy", "iam:PutRolePolicy"}
BROAD_POLICY = "AWSLambda_FullAccess"
"""SAR refuses these on all resources.

https://docs.aws.amazon.com/serverlessrepo/latest/devguide/using-aws-sam.html
"""


def faults(template: dict[str, Any], folder: Path) -> Iterator[str]:
    """Yield what SAR would refuse. Files that the metadata names are in the folder, or in a bucket."""
    yield from _transform_faults(template)
    yield from metadata_faults(template.get("Metadata", {}).get("AWS::ServerlessRepo::Application"), folder)
    yield from code_faults(template)
    yield from _broad_rights(template)
    try:
        made = all_resources(template)
    except InvalidDocumentException as refusal:
        yield f"SAM refuses the template: {refusal.message}"
        return
    yield from type_faults(made)
    yield from _size_faults(template, len(made))


def capabilities(template: dict[str, Any]) -> set[str]:
    """Return the capabilities to acknowledge at a deployment."""
    found = set()
    for resource in all_resources(template).values():
        kind, properties = resource["Type"], resource.get("Properties", {})
        if kind == ROLE_TYPE or kind in IAM_TYPES:
            is_named = any(name in properties for name in NAME_PROPERTIES)
            found.add("CAPABILITY_NAMED_IAM" if is_named else "CAPABILITY_IAM")
        if kind in RESOURCE_POLICY_TYPES:
            found.add("CAPABILITY_RESOURCE_POLICY")
        if kind == "AWS::Serverless::Application":
            found.add("CAPABILITY_AUTO_EXPAND")
    return found


def _transform_faults(template: dict[str, Any]) -> Iterator[str]:
    transforms = template.get("Transform", [])
    named = transforms if isinstance(transforms, list) else [transforms]
    if named != [SAM_TRANSFORM]:
        yield f"Transform is {', '.join(map(str, named)) or 'missing'}; SAR takes {SAM_TRANSFORM} and no other"
    if any(key == "Fn::Transform" for node in nodes(template) for key in node):
        yield "Fn::Transform is in the template; SAR takes no macros"


def _size_faults(template: dict[str, Any], resources: int) -> Iterator[str]:
    size = len(json.dumps(template, indent=2).encode())
    counted = {
        "bytes": (size, TEMPLATE_BYTES_MAX),
        "resources after the transform": (resources, RESOURCES_MAX),
        "parameters": (len(template.get("Parameters", {})), PARAMETERS_MAX),
        "outputs": (len(template.get("Outputs", {})), OUTPUTS_MAX),
    }
    for what, (count, most) in counted.items():
        if count > most:
            yield f"the template has {count:,} {what}; CloudFormation takes at most {most:,}"


def _broad_rights(template: dict[str, Any]) -> Iterator[str]:
    for name, resource in template.get("Resources", {}).items():
        for node in nodes(resource):
            actions = _listed(node.get("Action")) if node.get("Effect") == "Allow" else []
            broad = BROAD_ACTIONS.intersection(each for each in actions if isinstance(each, str))
            if broad and "*" in _listed(node.get("Resource")):
                yield f"{name} allows {', '.join(sorted(broad))} on all resources; SAR refuses that"
        if re.search(rf"\b{BROAD_POLICY}\b", json.dumps(resource)):
            yield f"{name} has the policy {BROAD_POLICY}; SAR refuses it: list the actions"


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every object in the template."""
    if isinstance(value, dict):
        yield value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from nodes(each)


def main(path: str) -> int:
    logging.getLogger("samtranslator").setLevel(logging.CRITICAL)  # It reports on itself.
    template = yaml_parse(Path(path).read_text(encoding="utf-8"))
    found = list(faults(template, Path(path).parent))
    for fault in found:
        print(f"error: {fault}", file=sys.stderr)
    if not found:
        metadata = template["Metadata"]["AWS::ServerlessRepo::Application"]
        print(f"{metadata['Name']} {metadata['SemanticVersion']} keeps the rules of SAR.")
        print(f"A deployment acknowledges {', '.join(sorted(capabilities(template)))}.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
