"""The ways of docs/install.md name parameters and outputs that exist, and arguments that their tools take."""

import json
import re
from pathlib import Path

import pytest

import punctual
from punctual.cli.deploying.formation import CAPABILITIES
from tools.publishing import dist

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "install.md").read_text()
TERRAFORM = {
    "name",
    "template_url",
    "capabilities",
    "parameters",
    "disable_rollback",
    "iam_role_arn",
    "notification_arns",
    "on_failure",
    "policy_url",
    "tags",
    "timeout_in_minutes",
}
"""Read on 2026-11-26:
https://registry.terraform.io/providers/hashicorp/aws/latest/docs/resources/cloudformation_stack
"""


def block(language):
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return found


def heading_of(link):
    return link.lower().replace(" ", "-")


def test_every_way_of_the_table_has_a_section():
    links = re.findall(r"^\| .*?\]\(#([a-z-]+)\)", PAGE.split("\n## ")[0], re.MULTILINE)
    headings = {heading_of(each) for each in re.findall(r"^## (.+)$", PAGE, re.MULTILINE)}
    assert len(links) > 5
    assert set(links) <= headings


def test_terraform_gets_arguments_that_its_provider_takes(template):
    text = block("hcl")
    resource = text.split('"aws_cloudformation_stack" "punctual" {')[1].split("\n}")[0]
    given = set(re.findall(r"^  (\w+) += ", resource, re.MULTILINE))
    assert {"name", "template_url", "capabilities", "parameters"} == given <= TERRAFORM
    assert set(CAPABILITIES) == set(json.loads(re.search(r"capabilities = (\[.*\])", resource)[1]))
    parameters = resource.split("parameters = {")[1].split("}")[0]
    assert set(re.findall(r"(\w+) +=", parameters)) <= set(template["Parameters"])
    assert set(re.findall(r'outputs\["(\w+)"\]', text)) <= set(template["Outputs"])


def test_the_cdk_gets_parameters_and_outputs_of_the_template(template):
    text = block("ts")
    (parameters,) = re.findall(r"parameters: \{(.*?)\}", text)
    assert set(re.findall(r"(\w+):", parameters)) <= set(template["Parameters"])
    assert set(re.findall(r"Outputs\.(\w+)", text)) <= set(template["Outputs"])


def test_the_link_has_the_form_that_cloudformation_documents(template):
    (link,) = re.findall(r'echo "(https://\$region\.console.*?)"', PAGE)
    assert re.fullmatch(
        r"https://\$region\.console\.aws\.amazon\.com/cloudformation/home\?region=\$region"
        r"#/stacks/create/review\?templateURL=\$template&stackName=[A-Za-z][A-Za-z0-9-]*",
        link,
    )
    assert set(re.findall(r"&param_(\w+)=", PAGE)) <= set(template["Parameters"])


def test_the_aws_cli_gets_the_files_of_a_release(tmp_path):
    dist.write_stack(tmp_path)
    named = re.search(r"--template-file (punctual-template-\S+)", PAGE)[1].replace("1.0.0", punctual.__version__)
    assert (tmp_path / named).is_file()


@pytest.mark.parametrize("option", sorted(set(re.findall(r"punctual (?:deploy|destroy)[^`\n]*?(--[a-z-]+)", PAGE))))
def test_the_options_of_the_command_exist(option):
    from punctual.cli.deploying.deploy import deploy  # noqa: PLC0415
    from punctual.cli.deploying.destroy import destroy  # noqa: PLC0415
    from punctual.cli.options import with_global_options  # noqa: PLC0415

    known = {
        name for command in (deploy, destroy) for each in with_global_options(command).params for name in each.opts
    }
    assert option in known


def test_the_template_is_too_large_for_a_template_body():
    """So the page uploads it. CloudFormation takes 51,200 bytes in a request, and a megabyte from a bucket."""
    size = (ROOT / "template.yml").stat().st_size
    assert 51_200 < size < 460_800
