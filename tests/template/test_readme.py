"""README and docs are correct: parameters, outputs, commands, links and figures."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from scheduler.accepting.request import FIELDS

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def rows(text, heading):
    """Return the first two cells of each row of the table under a heading."""
    section = re.split(r"^## ", text.split(f"\n## {heading}\n")[1], flags=re.MULTILINE)[0]
    cells = [[cell.strip() for cell in line.split("|")[1:3]] for line in section.splitlines() if line.startswith("|")]
    return cells[2:]


def test_the_parameters_are_those_of_the_template_with_their_defaults(readme, template):
    """The order is the same."""
    told = [(name.strip("`"), default) for name, default in rows(readme, "Parameters")]
    assert [(name, str(each["Default"])) for name, each in template["Parameters"].items()] == told


def test_the_outputs_are_those_of_the_template(readme, template):
    """All of them are in it, in the same order."""
    told = [name.strip("`") for names, _ in rows(readme, "Outputs") for name in names.split(", ")]
    assert list(template["Outputs"]) == told


def test_the_fields_are_those_of_a_request(readme):
    """No field is missing or unknown."""
    assert set(FIELDS) == {name.strip("`") for name, _ in rows(readme, "Schedule")}


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


def test_the_figures_are_those_of_the_bench(readme):
    """The lines equal those that `make bench` wrote."""
    (section,) = re.findall(r"^## What it takes$(.*?)^## ", readme, re.MULTILINE | re.DOTALL)
    quoted = {line for line in section.splitlines() if line.startswith("|")}
    assert len(quoted) > 10
    assert quoted <= set((ROOT / "bench" / "results" / "results.md").read_text().splitlines())


def test_the_costs_are_those_that_the_command_prints(readme):
    """The lines are equal."""
    printed = subprocess.run(
        [sys.executable, ROOT / "bench" / "cost.py"], capture_output=True, text=True, check=True, timeout=120
    ).stdout
    million, idle = [block for block in printed.split("\n\n") if block.startswith("|")]
    assert million.strip() in readme
    assert idle.strip() in (ROOT / "docs" / "operations.md").read_text()


def test_the_two_commands_come_first(readme):
    """No other command precedes them."""
    block = readme.split("```sh")[1].split("```")[0].strip()
    assert ["make run", "make test"] == [line.split("#")[0].strip() for line in block.splitlines()]
