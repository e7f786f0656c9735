"""The Serverless Application Repository (SAR) may refuse newer properties. The template is whole without them."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from samtranslator.translator.transform import transform

import punctual
import scheduler
from punctual.testing import Stack
from punctual.testing.template import Template
from tests.template_document import template_document
from tools.plain_template import PROPERTIES, plain

ROOT = Path(__file__).parents[2]
DOCUMENT = template_document()

ONE_BY_ONE = [{name} for name in PROPERTIES]


class NoManagedPolicies:
    def load(self):
        raise NotImplementedError


def transformed(document):
    made = json.loads(json.dumps(document))
    for resource in made["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = "s3://bucket/key"
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("AWS_DEFAULT_REGION", "eu-central-1")
        return transform(made, {}, NoManagedPolicies())


def test_the_package_the_repository_the_functions_and_the_stack_have_one_version():
    """The package's version is the source. A release that forgets one of the others does not pass."""
    assert re.fullmatch(r"\d+\.\d+\.\d+", punctual.__version__)
    assert punctual.__version__ == DOCUMENT["Metadata"]["AWS::ServerlessRepo::Application"]["SemanticVersion"]
    assert punctual.__version__ == DOCUMENT["Outputs"]["Version"]["Value"]
    assert punctual.__version__ == Stack().output("Version")
    assert punctual.__version__ == scheduler.VERSION


def test_the_template_stays_unchanged_if_nothing_is_left_out():
    assert DOCUMENT == plain(DOCUMENT, set())


@pytest.mark.parametrize("names", [*ONE_BY_ONE, set(PROPERTIES)], ids=lambda names: "+".join(sorted(names)))
def test_an_omitted_property_is_nowhere_and_the_rest_is_a_valid_template(names):
    """SAM accepts it, and it has the same resources and outputs."""
    made = plain(DOCUMENT, names)
    text = json.dumps(made)
    assert not [name for name in names if f'"{name}"' in text]
    assert set(made["Resources"]) == set(DOCUMENT["Resources"])
    assert set(made["Outputs"]) == set(DOCUMENT["Outputs"])
    transformed(made)


@pytest.mark.slow
def test_the_linter_of_cloudformation_accepts_the_rest(cfnlint):
    """Every reference resolves, and every declaration is used."""
    assert [] == cfnlint.api.lint(json.dumps(plain(DOCUMENT, set(PROPERTIES))), regions=["us-east-1"])


def test_parameters_without_an_effect_are_left_out_too():
    """A deployment does not ask for unused values."""
    gone = {"DeliveryPollers", "LogLevel"}
    made = plain(DOCUMENT, {"ProvisionedPollerConfig", "LoggingConfig"})
    assert gone == set(DOCUMENT["Parameters"]) - set(made["Parameters"])
    listed = [
        name
        for group in made["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
        for name in group["Parameters"]
    ]
    assert sorted(made["Parameters"]) == sorted(listed)


def test_log_groups_without_a_name_have_lambdas_default_names(tmp_path):
    """The roles may write to them, and the alarm's filter reads the feed's group."""
    path = tmp_path / "template.json"
    path.write_text(json.dumps(plain(DOCUMENT, {"LoggingConfig"})))
    made = Template(path, {})
    assert "/aws/lambda/virtual-FeedFunction" == made.resources["FeedLogs"]["Properties"]["LogGroupName"]
    (filter_,) = made.of_type("AWS::Logs::MetricFilter").values()
    assert filter_["LogGroupName"] == "virtual-FeedLogs"
    statements = [
        statement
        for policy in made.resources["FeedRole"]["Properties"]["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
        if "logs:PutLogEvents" in statement["Action"]
    ]
    (statement,) = statements
    assert statement["Resource"].endswith(":log-group:/aws/lambda/virtual-*")


def test_an_unknown_name_is_refused():
    """The template would otherwise be published with the property."""
    with pytest.raises(ValueError, match="RecursionLoop: not among RecursiveLoop"):
        plain(DOCUMENT, {"RecursionLoop"})


def test_the_command_writes_the_template(tmp_path):
    """`make publish WITHOUT=all` calls it."""
    made = tmp_path / "published.json"
    script = ROOT / "tools" / "plain_template.py"
    subprocess.run([sys.executable, script, ROOT / "template.yml", made, "all"], check=True, timeout=60)
    assert plain(DOCUMENT, set(PROPERTIES)) == json.loads(made.read_text())
    makefile = (ROOT / "Makefile").read_text()
    assert "tools/plain_template.py .aws-sam/packaged.yml .aws-sam/published.json $(WITHOUT)" in makefile


def test_the_documentation_says_what_each_property_costs():
    """The order is the same."""
    page = (ROOT / "docs" / "operations.md").read_text().split("| left out | effect |")[1]
    assert list(PROPERTIES) == re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)
