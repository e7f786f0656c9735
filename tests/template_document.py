"""The template as CloudFormation reads it, with short forms of intrinsic functions expanded."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from samtranslator.yaml_helper import yaml_parse

PATH = Path(__file__).parents[1] / "template.yml"


@functools.cache
def template_document() -> dict[str, Any]:
    """Return the template, which takes half a second to parse. A test that changes it makes a copy first."""
    document: dict[str, Any] = yaml_parse(PATH.read_text())
    return document
