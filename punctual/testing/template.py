"""Read template.yml: apply parameters, evaluate conditions, and resolve every reference to a name or an ARN.

It knows only the intrinsic functions that the template uses. Any other is an error.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

ACCOUNT = "123456789012"
REGION = "eu-central-1"
STACK = "virtual"

_NO_VALUE = object()
_DEPTH_MAX = 50
_ARNS = {
    "AWS::DynamoDB::Table": "arn:aws:dynamodb:{region}:{account}:table/{name}",
    "AWS::SQS::Queue": "arn:aws:sqs:{region}:{account}:{name}",
    "AWS::SNS::Topic": "arn:aws:sns:{region}:{account}:{name}",
    "AWS::Events::EventBus": "arn:aws:events:{region}:{account}:event-bus/{name}",
    "AWS::Serverless::Function": "arn:aws:lambda:{region}:{account}:function:{name}",
    "AWS::IAM::ManagedPolicy": "arn:aws:iam::{account}:policy/{name}",
    "AWS::IAM::Role": "arn:aws:iam::{account}:role/{name}",
}
_REFERRED_BY_ARN = ("AWS::IAM::ManagedPolicy", "AWS::SNS::Topic")


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms: `!Ref x` as {"Ref": x}, `!Sub x` as {"Fn::Sub": x}."""


def _short_form(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)
        value = loader.construct_mapping(node, deep=True)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short_form)


@functools.cache
def _document(text: str) -> dict[str, Any]:
    """Return the parsed template. It is cached, and no caller changes it."""
    document: dict[str, Any] = yaml.load(text, Loader=_Loader)
    return document


class Template:
    """One template with one set of parameters."""

    def __init__(self, path: Path, parameters: Mapping[str, Any]) -> None:
        self._document = _document(path.read_text(encoding="utf-8"))
        declared = self._document["Parameters"]
        for name in parameters:
            if name not in declared:
                raise ValueError(f"{name} is not a parameter of the template; it has {', '.join(declared)}")
        self.parameters: dict[str, Any] = {
            name: _typed(declaration, parameters.get(name, declaration.get("Default")))
            for name, declaration in declared.items()
        }
        self.resources = {
            name: self.resolve({key: part for key, part in resource.items() if key != "Condition"})
            for name, resource in self._document["Resources"].items()
            if "Condition" not in resource or self.holds(resource["Condition"])
        }
        self.outputs = {
            name: self.resolve(output["Value"])
            for name, output in self._document["Outputs"].items()
            if "Condition" not in output or self.holds(output["Condition"])
        }

    def of_type(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return the properties of the resources of one type, by their logical ids."""
        return {
            name: resource.get("Properties", {})
            for name, resource in self.resources.items()
            if resource["Type"] == kind
        }

    def name(self, logical_id: str) -> str:
        return f"{STACK}-{logical_id}"

    def holds(self, condition: str) -> bool:
        return bool(self.resolve(self._document["Conditions"][condition]))

    def resolve(self, value: Any, depth: int = 0) -> Any:
        if depth > _DEPTH_MAX:
            raise ValueError("the template is nested too deeply")
        if isinstance(value, list):
            found = [self.resolve(each, depth + 1) for each in value]
            return [each for each in found if each is not _NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((word, argument),) = value.items()
            function = self._functions().get(word)
            if function is not None:
                return function(argument)
            if word.startswith("Fn::"):
                raise NotImplementedError(f"the virtual CloudFormation does not know {word}")
        made = {key: self.resolve(each, depth + 1) for key, each in value.items()}
        return {key: each for key, each in made.items() if each is not _NO_VALUE}

    def _functions(self) -> dict[str, Callable[[Any], Any]]:
        return {
            "Ref": self._ref,
            "Condition": self.holds,
            "Fn::GetAtt": self._attribute,
            "Fn::Sub": self._sub,
            "Fn::Join": lambda parts: str(parts[0]).join(map(str, self.resolve(parts[1]))),
            "Fn::If": lambda parts: self.resolve(parts[1] if self.holds(parts[0]) else parts[2]),
            "Fn::Equals": lambda parts: str(self.resolve(parts[0])) == str(self.resolve(parts[1])),
            "Fn::Not": lambda parts: not self.resolve(parts[0]),
            "Fn::And": lambda parts: all(self.resolve(part) for part in parts),
            "Fn::Or": lambda parts: any(self.resolve(part) for part in parts),
            "Fn::Select": lambda parts: self.resolve(parts[1])[int(parts[0])],
            "Fn::FindInMap": self._find_in_map,
            "Fn::Split": lambda parts: self.resolve(parts[1]).split(parts[0]),
        }

    def _ref(self, name: str) -> Any:
        pseudo = {
            "AWS::NoValue": _NO_VALUE,
            "AWS::Region": REGION,
            "AWS::AccountId": ACCOUNT,
            "AWS::StackName": STACK,
            "AWS::Partition": "aws",
            "AWS::URLSuffix": "amazonaws.com",
        }
        if name in pseudo:
            return pseudo[name]
        if name in self.parameters:
            return self.parameters[name]
        kind = self._document["Resources"][name]["Type"]
        if kind == "AWS::SQS::Queue":
            return f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{self.name(name)}"
        return self._attribute(f"{name}.Arn") if kind in _REFERRED_BY_ARN else self.name(name)

    def _attribute(self, path: str | list[str]) -> str:
        name, _, attribute = path.partition(".") if isinstance(path, str) else (path[0], ".", path[1])
        if attribute in ("QueueName", "TopicName", "Name"):
            return self.name(name)
        kind = self._document["Resources"][name]["Type"]
        if attribute in ("Arn", "TopicArn") and kind in _ARNS:
            return _ARNS[kind].format(region=REGION, account=ACCOUNT, name=self.name(name))
        return f"{name}.{attribute}"  # A resource without a virtual form, whose attributes are never used.

    def _find_in_map(self, place: list[Any]) -> Any:
        name, first, second = [str(self.resolve(each)) for each in place]
        return self._document["Mappings"][name][first][second]

    def _sub(self, argument: str | list[Any]) -> str:
        text, more = (argument, {}) if isinstance(argument, str) else argument

        def value(found: re.Match[str]) -> str:
            word = found.group(1)
            if word in more:
                return str(self.resolve(more[word]))
            return str(self._attribute(word) if "." in word else self._ref(word))

        return re.sub(r"\$\{([^!}][^}]*)\}", value, text)


def _typed(declaration: Mapping[str, Any], value: Any) -> Any:
    """Return the parameter as CloudFormation does: text within its limits, or a list split at commas."""
    if declaration["Type"] in ("CommaDelimitedList", "List<String>"):
        return value if isinstance(value, list) else str(value or "").split(",")
    if isinstance(value, list):
        value = ",".join(map(str, value))
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if text not in declaration.get("AllowedValues", [text]):
        raise ValueError(f"{text} is not one of {declaration['AllowedValues']}")
    fits = len(text) <= declaration.get("MaxLength", len(text))
    if not fits or not re.fullmatch(declaration.get("AllowedPattern", "(?s:.*)"), text):
        raise ValueError(f"{text} is not allowed: {declaration.get('ConstraintDescription', declaration)}")
    return text
