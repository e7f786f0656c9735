"""The commands of operations.md and scaling.md exist in the AWS CLI, and their outputs exist in the template."""

import re
from pathlib import Path

import botocore.session
import pytest
from botocore import xform_name

from tests.template_document import template_document

ROOT = Path(__file__).parents[2]
PAGE = "\n".join((ROOT / "docs" / name).read_text() for name in ("operations.md", "scaling.md"))
BLOCKS = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = sorted(
    {
        (service, operation, options)
        for block in BLOCKS
        for service, operation, options in re.findall(
            r"aws ([a-z0-9-]+) ([a-z-]+)((?:[^\n|)]|\\\n)*)", block.replace("\\\n", " ")
        )
        if service != "configure"
    }
)
OF_AWS = {"OutputKey", "WriteUnitsPerSecond", "Enabled", "PointInTimeRecoveryEnabled"}
"""Fields of AWS that commands of the page set."""
EVERYWHERE = {"query", "output", "cli-binary-format"}
RENAMED = {"notification-endpoint"}
"""Options with another name in the CLI than in the API."""
SERVICES = {"s3api": "s3"}
"""Services with another name in the CLI than in the API."""


@pytest.fixture(scope="module")
def session():
    return botocore.session.get_session()


def test_there_are_commands_to_try():
    assert len(COMMANDS) > 20


@pytest.mark.parametrize(("service", "operation", "options"), COMMANDS)
def test_the_aws_cli_has_the_command_and_its_options(session, service, operation, options):
    """The CLI makes its commands from the same models."""
    model = session.get_service_model(SERVICES.get(service, service))
    operations = {xform_name(name, "-"): name for name in model.operation_names}
    assert operation in operations
    shape = model.operation_model(operations[operation]).input_shape
    known = EVERYWHERE | RENAMED | {xform_name(name, "-") for name in (shape.members if shape else {})}
    for option in re.findall(r" --([a-z][a-z-]+)", options):
        assert {option, option.removeprefix("no-")} & known, option


def test_every_variable_on_the_page_is_set_from_an_output_of_the_template():
    """The page itself may set it, too."""
    outputs = template_document()["Outputs"]
    code = "".join(BLOCKS)
    taken = dict(re.findall(r"(\w+)=\$\(output (\w+)\)", code))
    assert set(taken.values()) <= set(outputs)
    made = set(taken) | set(re.findall(r"(\w+)=\$\(aws", code)) | set(re.findall(r"for (\w+) in", code))
    assert set(re.findall(r"\$(\w\w+)", code)) <= made


def test_every_parameter_on_the_page_is_in_the_template():
    """The page names parameters in commands and in the text."""
    parameters = template_document()["Parameters"]
    without_python = re.sub(r"```python.*?```", "", PAGE, flags=re.DOTALL)
    named = set(re.findall(r"[`\" ]([A-Z][a-z][A-Za-z]+)=", without_python))
    assert len(named) > 5
    assert named - OF_AWS <= set(parameters)
