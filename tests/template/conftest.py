"""The template as CloudFormation reads it, with short forms of intrinsic functions expanded."""

from pathlib import Path

import pytest
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def template():
    return yaml_parse((ROOT / "template.yml").read_text())


@pytest.fixture(scope="session")
def readme():
    return (ROOT / "README.md").read_text()
