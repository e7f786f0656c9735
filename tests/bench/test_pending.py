"""The section about many pending schedules finds everything in its place, with few calls."""

from dataclasses import replace
from pathlib import Path

import pytest

from bench.laboratory.processes import Laboratory
from bench.sections.pending import PARTITIONS, pending
from bench.trials import QUICK, Size

COUNT = 20_000
PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"


@pytest.mark.slow
def test_the_answers_are_right_and_a_first_page_costs_few_calls():
    """A forecast that is exact reads every item. An estimate makes a query for each bucket."""
    with Laboratory() as laboratory:
        figures = list(pending(laboratory, replace(QUICK, pending=COUNT)))
    found = {figure.name: figure.ours for figure in figures}
    assert not [figure.name for figure in figures if figure.wanted and not figure.wanted.met_by(figure)]
    assert 4 == sum(name.endswith("missing or wrong") for name in found)
    assert found["month in 30 buckets, exact: items read"] >= COUNT
    assert found["first page, limit 100: AWS calls"] <= 5 * PARTITIONS
    assert found["month in 30 buckets, estimate: AWS calls"] <= 30 + PARTITIONS + 33


@pytest.mark.soak
def test_the_figures_of_the_page_are_those_of_a_million_schedules():
    """The counts are the same at every run. The rows are in the order of the looks."""
    with Laboratory() as laboratory:
        figures = list(pending(laboratory, Size()))
    counted = [figure for figure in figures if figure.name.endswith(("AWS calls", "items read", "read units"))]
    rows = [[f"{figure.ours:,.0f}" for figure in counted[at : at + 3]] for at in range(0, len(counted), 3)]
    section = PAGE.read_text().split("## What a look at a million schedules reads")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")][1:]
    assert rows == [[each.strip() for each in line.split("|")[2:5]] for line in lines]
