"""What the template does on real AWS under other parameters than the default ones."""

from pathlib import Path

import pytest
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

from punctual.testing.template import Template

PATH = Path(__file__).parents[2] / "template.yml"


class NoManagedPolicies:
    """The template names none, so that SAM never asks."""

    def load(self):
        raise NotImplementedError


@pytest.fixture(scope="module")
def transformed():
    """The template as SAM hands it to CloudFormation."""
    document = yaml_parse(PATH.read_text())
    for resource in document["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = "s3://bucket/key"
    defaults = {name: each["Default"] for name, each in document["Parameters"].items()}
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("AWS_DEFAULT_REGION", "eu-central-1")
        return transform(document, defaults, NoManagedPolicies())


def deployed(**parameters):
    """The template with these parameters, conditions decided and references resolved."""
    return Template(PATH, parameters)


def mapping(function, **parameters):
    """The properties of the event source mapping of a function."""
    (event,) = deployed(**parameters).resources[function]["Properties"]["Events"].values()
    return event["Properties"]


def test_pollers_are_left_alone_set_or_taken_away():
    """Lambda keeps what an update does not mention. An empty configuration ends provisioned mode."""
    assert "ProvisionedPollerConfig" not in mapping("DeliverFunction", DeliveryPollers="0")
    assert {"MinimumPollers": "7"} == mapping("DeliverFunction", DeliveryPollers="7")["ProvisionedPollerConfig"]
    assert {} == mapping("DeliverFunction", DeliveryPollers="off")["ProvisionedPollerConfig"]


def test_sam_hands_the_empty_configuration_on(transformed):
    """It does not take it for nothing."""
    config = transformed["Resources"]["DeliverFunctionDue"]["Properties"]["ProvisionedPollerConfig"]
    assert {"Fn::If": ["EndsPollers", {}, {"Ref": "AWS::NoValue"}]} == config["Fn::If"][2]
