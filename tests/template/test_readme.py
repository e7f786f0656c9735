"""README and docs are correct: parameters, outputs, variables, commands, links and figures."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from scheduler.accepting.request import SCHEDULE_FIELDS
from scheduler.managing.operations import OPERATIONS

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md"))]


def rows(text, heading):
    """Return the first two cells of each row of the table under a heading, before the next heading of any level."""
    section = re.split(r"^#+ ", text.split(f"\n## {heading}\n")[1], flags=re.MULTILINE)[0]
    cells = [[cell.strip() for cell in line.split("|")[1:3]] for line in section.splitlines() if line.startswith("|")]
    return cells[2:]


@pytest.fixture(scope="module")
def reference():
    return (ROOT / "docs" / "reference.md").read_text()


def test_the_parameters_are_those_of_the_template_with_their_defaults(reference, template):
    """The order is the same."""
    told = [(name.strip("`"), default) for name, default in rows(reference, "Parameters")]
    assert [(name, str(each["Default"])) for name, each in template["Parameters"].items()] == told


def test_the_outputs_are_those_of_the_template(reference, template):
    """All of them are in it, in the same order."""
    told = [name.strip("`") for names, _ in rows(reference, "Outputs") for name in names.split(", ")]
    assert list(template["Outputs"]) == told


def test_the_variables_are_those_of_the_template(reference, template):
    """Each row names the functions that have the variable."""
    told = {name.strip("`"): set(functions.split(", ")) for name, functions in rows(reference, "Environment variables")}
    wanted: dict[str, set[str]] = {}
    for name, resource in template["Resources"].items():
        if resource["Type"] == "AWS::Serverless::Function":
            for variable in resource["Properties"].get("Environment", {}).get("Variables", {}):
                wanted.setdefault(variable, set()).add(name.removesuffix("Function").lower())
    assert wanted == told


def test_the_fields_are_those_of_a_request(reference):
    """No field is missing or unknown."""
    assert set(SCHEDULE_FIELDS) == {name.strip("`") for name, _ in rows(reference, "A schedule")}


def test_the_operations_are_those_of_the_manage_function(reference):
    """Each has its own section."""
    section = re.split(r"^## ", reference.split("\n## Operations\n")[1], flags=re.MULTILINE)[0]
    told = {name for names in re.findall(r"^### (.+)$", section, re.MULTILINE) for name in names.split(", ")}
    assert set(OPERATIONS) == told


def test_the_glossary_is_short_and_sorted():
    """It has at most twenty-five words of our own."""
    words = [
        line.split("|")[1].strip()
        for line in (ROOT / "docs" / "glossary.md").read_text().splitlines()[2:]
        if line.startswith("| ")
    ]
    assert words[1:] == sorted(words[1:])
    assert len(words[1:]) <= 25


def test_the_readme_is_short(readme):
    """It is an introduction. The reference has the rest."""
    assert len(readme.splitlines()) <= 200


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_named_make_target_exists(page):
    """README and docs name them."""
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"(?:^|`)make ([a-z]+)", page.read_text(), flags=re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file(page):
    """This covers links within the repository."""
    for link in re.findall(r"\]\(([^)#]+)", page.read_text()):
        if not link.startswith("http"):
            assert (page.parent / link).exists(), link


def test_the_figures_are_those_of_the_bench():
    """The lines equal those that `make bench` wrote."""
    page = (ROOT / "docs" / "benchmarks.md").read_text()
    (section,) = re.findall(r"^## What it takes$(.*?)^## ", page, re.MULTILINE | re.DOTALL)
    quoted = {line for line in section.splitlines() if line.startswith("|")}
    assert len(quoted) > 10
    assert quoted <= set((ROOT / "bench" / "results" / "results.md").read_text().splitlines())


@pytest.mark.slow
def test_the_costs_are_those_that_the_command_prints(readme):
    """The lines are equal."""
    printed = subprocess.run(
        [sys.executable, ROOT / "bench" / "cost.py"], capture_output=True, text=True, check=True, timeout=120
    ).stdout
    million, idle, capacity = [block for block in printed.split("\n\n") if block.startswith("|")]
    assert million.strip() in readme
    assert idle.strip() in (ROOT / "docs" / "operations.md").read_text()
    assert capacity.strip() in (ROOT / "docs" / "scaling.md").read_text()


def test_the_two_commands_come_first(readme):
    """No other command precedes them."""
    block = readme.split("```sh")[1].split("```")[0].strip()
    assert ["make run", "make test"] == [line.split("#")[0].strip() for line in block.splitlines()]
