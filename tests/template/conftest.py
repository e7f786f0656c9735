"""The template, the README, and the linter and schemas of CloudFormation."""

import importlib
from pathlib import Path

import pytest

from tests.template_document import template_document

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def template():
    return template_document()


@pytest.fixture(scope="session")
def readme():
    return (ROOT / "README.md").read_text()


@pytest.fixture(scope="session")
def cfnlint():
    """The linter of CloudFormation, whose import takes a second: the worker that has none of these tests is spared."""
    return importlib.import_module("cfnlint")


@pytest.fixture(scope="session")
def table_schema(cfnlint):
    """CloudFormation's schema of a table."""
    return cfnlint.schema.PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", "AWS::DynamoDB::Table").schema
