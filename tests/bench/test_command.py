"""The command line of the bench."""

import pytest

import bench.__main__ as command
from bench.trials import Figure


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
