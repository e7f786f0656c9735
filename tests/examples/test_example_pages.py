"""The pages of examples/ are short and correct, and each application has only the rights that it needs."""

import re
from pathlib import Path

import pytest
from samtranslator.yaml_helper import yaml_parse

from tests.template_document import template_document

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
APPLICATIONS = sorted(path.parent.name for path in EXAMPLES.glob("*/template.yaml"))
PAGES = [EXAMPLES / "README.md", *sorted(EXAMPLES.glob("*/README.md"))]
LINES_MAX = 90
"""A page on a screen."""


def template(name):
    return yaml_parse((EXAMPLES / name / "template.yaml").read_text())


def test_the_list_has_every_example():
    """Each row has one sentence."""
    told = re.findall(r"^\| \[(\w+)\]\((\w+)\) \|", (EXAMPLES / "README.md").read_text(), re.MULTILINE)
    assert {(path.parent.name,) * 2 for path in EXAMPLES.glob("*/README.md")} == set(told)
    assert 5 == len(APPLICATIONS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_every_link_leads_to_a_file_and_a_heading(page):
    for link, heading in re.findall(r"\]\(([^)#]*)#?([^)]*)\)", page.read_text()):
        if not link.startswith("http"):
            target = page.parent / link if link else page
            assert target.exists(), link
            assert not heading or heading in headings(target), heading


def headings(page):
    """Return the anchors that GitHub gives to the headings of a page."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^a-z0-9_ -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_a_page_is_short(page):
    assert len(page.read_text().splitlines()) <= LINES_MAX


@pytest.mark.parametrize("name", APPLICATIONS)
def test_a_page_sets_every_parameter_without_a_default_and_no_other(name):
    parameters = template(name)["Parameters"]
    flags = re.DOTALL | re.MULTILINE
    (command,) = re.findall(r"^sam deploy .*?[^\\]$", (EXAMPLES / name / "README.md").read_text(), flags)
    given = set(re.findall(r"\b([A-Z]\w+)=", command))
    assert {each for each, facts in parameters.items() if "Default" not in facts} <= given <= set(parameters)


@pytest.mark.parametrize("name", APPLICATIONS)
def test_a_parameter_of_punctual_is_named_after_an_output_of_its_stack(name):
    outputs = template_document()["Outputs"]
    named = [each.removeprefix("Punctual") for each in template(name)["Parameters"] if each.startswith("Punctual")]
    assert set(named) <= set(outputs)


@pytest.mark.parametrize("name", APPLICATIONS)
def test_a_role_may_use_only_resources_that_the_template_names(name):
    """A function may invoke only the functions of Punctual that are its parameters."""
    parameters, resources = template(name)["Parameters"], template(name)["Resources"]
    functions = [each["Properties"] for each in resources.values() if each["Type"] == "AWS::Serverless::Function"]
    statements = [each for function in functions for policy in function["Policies"] for each in policy["Statement"]]
    assert statements
    for statement in statements:
        assert isinstance(statement["Action"], str)
        assert "*" not in statement["Action"]
        named = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
        assert all(isinstance(each, dict) for each in named), named
        if statement["Action"] == "lambda:InvokeFunction":
            assert {each["Ref"] for each in named} <= {each for each in parameters if each.startswith("Punctual")}
