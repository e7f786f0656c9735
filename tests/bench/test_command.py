"""The command line of the bench."""

import json

import pytest

import bench.__main__ as command
from bench import report
from bench.trials import Figure, at_least, at_most


class NoLaboratory:
    """The sections here need no processes."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None


def works(laboratory, size):
    yield Figure("Works", "schedules per second", "", 5000.0)


def fails(laboratory, size):
    yield Figure("Fails", "measured before it failed", "", 7.0)
    raise RuntimeError("a trial failed")


def is_interrupted(laboratory, size):
    yield Figure("Interrupted", "measured before Ctrl-C", "", 7.0)
    raise KeyboardInterrupt


@pytest.fixture(autouse=True)
def own_sections(monkeypatch):
    monkeypatch.setattr(command, "Laboratory", NoLaboratory)
    monkeypatch.setattr(command, "SECTIONS", {"fails": fails, "works": works, "is interrupted": is_interrupted})


def test_a_section_that_fails_takes_no_figure_from_the_others(tmp_path, capsys):
    """All that was measured is shown, and nothing is written over the results of a whole run."""
    assert 1 == command.main(["--only", "fails", "--only", "works", "--results", str(tmp_path)])
    shown = capsys.readouterr()
    assert "schedules per second" in shown.out
    assert "measured before it failed" in shown.out
    assert "fails failed: a trial failed" in shown.err
    assert "These sections failed: fails. So nothing was written.\n" in shown.err
    assert [] == list(tmp_path.iterdir())


def figures_in(folder):
    return {each["name"]: each["ours"] for each in json.loads((folder / "results.json").read_text())["figures"]}


def test_a_part_replaces_its_sections_and_leaves_the_others(tmp_path, monkeypatch):
    """A whole run takes an hour, and one section may have to be measured again."""
    earlier = [
        Figure("Works", "schedules per second", "", 1.0, 2.0, 0.5, at_least(0.95)),
        Figure("Works", "gone by now", "", 1.0),
        Figure("Others", "calls per schedule", "", 1_234.5, None, None, at_most(2_000, False)),
    ]
    report.write(earlier, tmp_path, "Medians.")
    assert earlier == report.known(tmp_path)
    assert 0 == command.main(["--only", "works", "--results", str(tmp_path)])
    assert {"schedules per second": 5_000.0, "calls per schedule": 1_234.5} == figures_in(tmp_path)
    assert "| calls per schedule | ≤ 2,000 |" in (tmp_path / "results.md").read_text()


def test_a_part_of_another_machine_is_refused_before_anything_is_measured(tmp_path, monkeypatch, capsys):
    report.write([Figure("Works", "schedules per second", "", 1.0)], tmp_path, "Medians.")
    monkeypatch.setattr(report, "machine", lambda: {"cores": 64, "python": "3.13.0", "boto3": "1"})
    with pytest.raises(SystemExit):
        command.main(["--only", "works", "--results", str(tmp_path)])
    assert "those of another machine" in capsys.readouterr().err


def test_a_quick_part_mixes_with_no_results(tmp_path):
    report.write([Figure("Others", "calls per schedule", "", 1.0)], tmp_path, "Medians.")
    assert 0 == command.main(["--only", "works", "--quick", "--results", str(tmp_path)])
    assert {"schedules per second": 5_000.0} == figures_in(tmp_path)


def test_a_part_that_fails_is_only_named(capsys):
    """A part of a run writes nothing anyway."""
    assert 1 == command.main(["--only", "fails"])
    assert capsys.readouterr().err.endswith("These sections failed: fails.\n")


def test_an_interrupted_run_shows_what_it_has_measured(tmp_path, capsys):
    with pytest.raises(KeyboardInterrupt):
        command.main(["--only", "is interrupted", "--results", str(tmp_path)])
    assert "measured before Ctrl-C" in capsys.readouterr().out
    assert [] == list(tmp_path.iterdir())


def test_a_whole_run_is_written(tmp_path, capsys):
    assert 0 == command.main(["--only", "works", "--results", str(tmp_path)])
    assert "schedules per second" in capsys.readouterr().out
    assert (tmp_path / "results.json").exists()
