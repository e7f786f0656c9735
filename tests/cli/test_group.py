"""The command line itself: help, global options, exit statuses and streams."""

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

import punctual
from punctual.cli import app, errors, group
from punctual.cli.options import command
from punctual.cli.run import Run, pass_run

ROOT = Path(__file__).parents[2]
PYTHON = sys.executable
PUNCTUAL = [PYTHON, "-m", "punctual"]
END_S_MAX = 120.0


def started(*arguments: str, code: str | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    command_line = [PYTHON, "-c", code, *arguments] if code else [*PUNCTUAL, *arguments]
    environment = {**os.environ, **variables}
    return subprocess.run(
        command_line, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=END_S_MAX, check=False
    )


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    """Add a subcommand `probe` that remembers its Run, and fails as its argument says."""
    seen: list[Run] = []

    @command("probe", example="punctual probe")
    @click.argument("error", default="")
    @pass_run
    def probed(run: Run, error: str) -> None:
        seen.append(run)
        if error:
            raise {
                "broken": BrokenPipeError(),
                "fault": ZeroDivisionError("by\nzero"),
                "interrupted": KeyboardInterrupt(),
                "full": OSError(28, "No space left on device", "journal"),
            }[error]

    monkeypatch.setattr(sys.modules[__name__], "probed", probed, raising=False)
    monkeypatch.setitem(app.SECTIONS, "Test", {"probe": app.Entry(f"{__name__}:probed", "Probe.")})
    return seen


def test_the_help_imports_neither_boto3_nor_a_subcommand() -> None:
    """So it appears at once."""
    code = "import sys; from punctual.cli.app import main; main(['--help']); print(*sorted(sys.modules), sep=chr(10))"
    loaded = set(started(code=code).stdout.split())
    assert "punctual.cli.group" in loaded
    assert not {"boto3", "botocore", "rich"} & loaded
    assert not [name for name in loaded if name.startswith("punctual.cli.schedules.")]


@pytest.mark.parametrize("module", ["click", "rich"])
def test_a_missing_extra_is_named(module: str) -> None:
    code = f"import sys; sys.modules[{module!r}] = None; from punctual.cli.app import main; sys.exit(main(['list']))"
    ended = started(code=code)
    assert 1 == ended.returncode
    assert f"error: {module} is not installed: run pip install 'punctual-aws[cli]'\n" == ended.stderr


def test_a_subcommand_with_an_extra_of_its_own_names_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(app.SECTIONS, "Test", {"probe": app.Entry("punctual.cli.app:main", "Probe.", extra="local")})
    monkeypatch.setitem(sys.modules, "ministack", None)
    assert 1 == group.run(["probe"])
    assert "error: ministack is not installed: run pip install 'punctual-aws[local]'\n" == capsys.readouterr().err


def test_every_subcommand_has_a_short_help_that_fits() -> None:
    for entries in app.SECTIONS.values():
        for name, entry in entries.items():
            assert len(entry.help) <= 62, name


def test_global_options_stand_before_and_after_the_subcommand(
    probe: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The later one counts, and every option comes before the environment."""
    monkeypatch.setenv("PUNCTUAL_STACK", "environment")
    assert 0 == group.run(["probe"])
    assert 0 == group.run(["--stack", "before", "--region", "eu-west-1", "probe"])
    assert 0 == group.run(["--stack", "before", "probe", "--stack", "after", "--json", "--endpoint-url", "http://x"])
    assert ["environment", "before", "after"] == [run.stack for run in probe]
    assert [None, "eu-west-1", None] == [run.region for run in probe]
    assert [False, False, True] == [run.output.as_json for run in probe]
    assert "http://x" == probe[2].endpoint_url


def test_the_default_stack_is_punctual(probe: list[Run], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PUNCTUAL_STACK", raising=False)
    group.run(["probe"])
    assert "punctual" == probe[0].stack


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["nothing"], 2, "error: there is no command 'nothing': see punctual --help"),
        (["prob"], 2, "error: there is no command 'prob': did you mean probe?"),
        (["--stak", "x"], 2, "see punctual --help"),
        (["probe", "--stak"], 2, "see punctual probe --help"),
        (["probe", "a", "b"], 2, "error: got unexpected extra argument"),
        (["probe", "broken"], 0, ""),
        (["probe", "interrupted"], 130, "error: interrupted"),
        (["probe", "full"], 1, "error: No space left on device: journal"),
        (["probe", "fault"], 1, "error: ZeroDivisionError: by zero (this is a fault of punctual"),
    ],
)
def test_every_error_is_one_line_and_a_status(
    arguments: list[str], status: int, said: str, probe: list[Run], capsys: pytest.CaptureFixture[str]
) -> None:
    assert status == group.run(arguments)
    printed = capsys.readouterr()
    assert said in printed.err
    assert len(printed.err.splitlines()) == (1 if said else 0)
    assert "" == printed.out


def test_an_error_is_an_object_with_json(probe: list[Run], capsys: pytest.CaptureFixture[str]) -> None:
    """Also where the command line could not be read."""
    for arguments in (["--json", "probe", "full"], ["probe", "--unknown", "--json"]):
        group.run(arguments)
        assert {"error", "message"} == set(json.loads(capsys.readouterr().err))


def test_a_traceback_needs_a_variable(
    probe: list[Run], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PUNCTUAL_DEBUG", "1")
    group.run(["probe", "fault"])
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (punctual.NotFound, 3),
        (punctual.StackNotFound, 3),
        (punctual.InvalidSchedule, 4),
        (punctual.InvalidRequest, 4),
        (punctual.NotConfirmed, 5),
        (punctual.Unreachable, 5),
        (punctual.OnItsWay, 6),
        (punctual.AccessDenied, 1),
    ],
)
def test_an_error_of_the_client_has_a_status_of_its_own(kind: type[punctual.PunctualError], status: int) -> None:
    found, fields = errors.described(kind("what\nis wrong", field="data", retryable=False))
    assert status == found
    assert {"error": kind.__name__, "message": "what is wrong", "retryable": False, "field": "data"} == fields


def test_no_arguments_show_the_help_and_are_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert 2 == group.run([])
    assert "Usage: punctual" in capsys.readouterr().err


@pytest.mark.parametrize("closing", [">&-", "2>&-", "<&-", ">/dev/full", "2>/dev/full"])
def test_closed_and_full_streams_end_without_a_traceback(closing: str) -> None:
    ended = subprocess.run(
        ["/bin/sh", "-c", f'"$@" --help {closing}', "sh", *PUNCTUAL],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=END_S_MAX,
        check=False,
    )
    assert "Traceback" not in ended.stderr
    assert "Exception ignored" not in ended.stderr
    assert (1 if closing == ">/dev/full" else 0) == ended.returncode


@pytest.mark.parametrize("reading", ["--help", "completion bash"])
def test_a_closed_pipe_ends_quietly(reading: str) -> None:
    """Nobody reads what comes after the command has started."""
    shell = f"({PYTHON} -m punctual {reading}; echo $? >&2) | true"
    ended = subprocess.run(["/bin/sh", "-c", shell], cwd=ROOT, capture_output=True, timeout=END_S_MAX, check=False)
    assert b"0\n" == ended.stderr
