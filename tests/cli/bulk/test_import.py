"""`punctual import`, as a user calls it, against the virtual stack."""

from __future__ import annotations

import io
import json
import os
import re
import stat
from pathlib import Path

import pytest

from punctual.cli import group
from punctual.cli.bulk import cost
from punctual.cli.bulk.sending.journal import Journal
from punctual.cli.output import Output
from punctual.cli.run import Run
from punctual.testing import Stack
from punctual.testing.calls import Call, CallFault, Fair

README = Path(__file__).parents[3] / "README.md"
START = 1_893_456_000


@pytest.fixture(scope="module")
def shared() -> Stack:
    return Stack(start=START)


@pytest.fixture
def stack() -> Stack:
    return Stack(start=START)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "orders.ndjson"


def punctual(stack: Stack, *arguments: object) -> int:
    return group.run([str(each) for each in arguments], Run(world=stack))


def write(file: Path, requests: list[dict], more: str = "") -> Path:
    file.write_text("".join(json.dumps(each) + "\n" for each in requests) + more)
    return file


def pending(stack: Stack) -> list[str]:
    """Return the data of everything that is released in the next days."""
    stack.advance(days=3)
    return sorted(each.data for each in stack.released())


def far(count: int, **fields: object) -> list[dict]:
    return [{"delay": 90_000 + number, "data": f"{number:04d}", **fields} for number in range(count)]


def test_every_line_is_released_at_its_time(stack, file, capsys):
    assert 0 == punctual(stack, "import", write(file, far(50)), "--batch-size", 20)
    captured = capsys.readouterr()
    assert captured.out.startswith("Accepted 50 of 50 lines in ")
    assert "" == captured.err
    stack.advance(days=2)
    assert [(f"{number:04d}", START + 90_000 + number) for number in range(50)] == [
        (each.data, each.due) for each in stack.released()
    ]


def test_equal_lines_stay_two_schedules(stack, file):
    assert 0 == punctual(stack, "import", write(file, [far(1)[0]] * 5), "--batch-size", 2)
    assert ["0000"] * 5 == pending(stack)


def test_a_second_run_sends_only_what_is_missing(stack, file, capsys):
    punctual(stack, "import", write(file, far(30)))
    capsys.readouterr()
    assert 0 == punctual(stack, "import", file)
    assert "Nothing to send: every line was sent before." in capsys.readouterr().out
    with file.open("a") as opened:
        opened.write(json.dumps({"delay": 95_000, "data": "more"}) + "\n")
    assert 0 == punctual(stack, "import", file, "--json")
    shown = json.loads(capsys.readouterr().out)
    assert (1, 1, 0, 0, True) == tuple(
        shown[field] for field in ("lines", "accepted", "rejected", "unconfirmed", "complete")
    )
    assert [*(f"{number:04d}" for number in range(30)), "more"] == pending(stack)


def test_a_new_run_sends_every_line_again(stack, file):
    punctual(stack, "import", write(file, far(3)))
    assert 0 == punctual(stack, "import", file, "--new-run")
    assert 6 == len(pending(stack))


def test_a_damaged_journal_stops_an_import_and_names_the_way_out(stack, file, capsys):
    punctual(stack, "import", write(file, far(3)))
    journal = Path(f"{file}.journal")
    journal.write_text(journal.read_text().replace("begin 1", "begin 7"))
    assert 1 == punctual(stack, "import", file)
    assert "is damaged" in capsys.readouterr().err
    assert 0 == punctual(stack, "import", file, "--new-run")
    assert 6 == len(pending(stack))


def test_rejected_lines_go_to_a_file_with_their_reasons(stack, file, capsys):
    """The lines around them are accepted, and the status says that some were not."""
    write(file, far(2), 'no json\n{"delay": 90000}\n{"delay": 90000, "data": "last"}\n')
    assert 4 == punctual(stack, "import", file)
    errors = capsys.readouterr().err.splitlines()
    assert "line 3: it is not JSON: Expecting value at character 1" == errors[0]
    assert errors[1].startswith("line 4: data is missing")
    rejected = Path(f"{file}.rejected")
    assert f"Rejected lines are in {rejected}, each with its reason." == errors[2]
    assert [(3, "no json"), (4, '{"delay": 90000}')] == [
        (each["line"], each["text"]) for each in map(json.loads, rejected.read_text().splitlines())
    ]
    assert 0o600 == stat.S_IMODE(rejected.stat().st_mode)
    assert ["0000", "0001", "last"] == pending(stack)


def test_rejected_lines_of_a_folder_that_cannot_be_written_lie_beside_the_journal(stack, tmp_path, monkeypatch, capsys):
    """The user has named another place for the journal. Otherwise the import would stop at the first rejected line."""
    folder, own = tmp_path / "read-only", tmp_path / "own"
    folder.mkdir()
    own.mkdir()
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != folder and access(path, mode))
    file, journal = write(folder / "orders.ndjson", [{"data": "no time"}, *far(1)]), own / "orders.journal"
    assert 4 == punctual(stack, "import", file, "--journal", journal)
    assert {"orders.journal", "orders.journal.rejected"} == {each.name for each in own.iterdir()}
    assert [file] == list(folder.iterdir())
    assert "orders.journal.rejected" in capsys.readouterr().err


class TableThrottled(Fair):
    """DynamoDB processes no write of a batch."""

    def call_fault(self, call: Call) -> CallFault:
        fault = super().call_fault(call)
        if call.operation == "batch_write_item":
            fault.spoilt = lambda size: list(range(size))
        return fault


def test_the_user_is_told_of_rejected_lines_that_are_not_in_the_file_yet(stack, file, capsys):
    """They are sent again with the unconfirmed lines of their batch."""
    write(file, far(2), "no json\n")
    rejected = Path(f"{file}.rejected")
    stack._cloud.network.faults = TableThrottled()
    assert 5 == punctual(stack, "import", file, "--json")
    captured = capsys.readouterr()
    shown = json.loads(captured.out)
    assert (0, 1, 2, None) == tuple(shown[field] for field in ("accepted", "rejected", "unconfirmed", "rejected_file"))
    assert f"Rejected lines that are not yet in {rejected}: 1. The next run sends them again, " in captured.err
    assert f"Rejected lines are in {rejected}" not in captured.err
    assert not rejected.exists()

    stack._cloud.network.faults = Fair()
    assert 4 == punctual(stack, "import", file)
    assert f"Rejected lines are in {rejected}, each with its reason." in capsys.readouterr().err
    assert [3] == [json.loads(line)["line"] for line in rejected.read_text().splitlines()]
    assert ["0000", "0001"] == pending(stack)


def test_a_table_is_known_by_its_name(stack, tmp_path):
    file = tmp_path / "orders.csv"
    file.write_text('delay,data:json,name\n90000,"{""order"": 7}",order/7\n')
    assert 0 == punctual(stack, "import", file)
    assert {"order": 7} == json.loads(stack.manage("get", name="order/7")["data"])


def test_standard_input_needs_a_place_for_its_journal(stack, tmp_path, monkeypatch, capsys):
    """A second run reads it from the beginning again."""
    assert 2 == punctual(stack, "import", "-")
    assert "error: standard input has no place for a journal; name one with --journal" in capsys.readouterr().err
    content = "".join(json.dumps(each) + "\n" for each in far(10)).encode()
    for expected in (10, 0):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
        assert 0 == punctual(stack, "import", "-", "--journal", tmp_path / "journal", "--json")
        assert expected == json.loads(capsys.readouterr().out)["lines"]
    assert 10 == len(pending(stack))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda stack, file: stack.update(PartitionCount=8), "PartitionCount was '4' and is '8'"),
        (lambda stack, file: file.write_text(file.read_text().replace("0003", "xxxx")), "was edited or reordered"),
        (lambda stack, file: file.write_text(""), "was edited or reordered"),
    ],
    ids=["stack", "edited", "emptied"],
)
def test_what_changed_since_stops_an_import_before_it_sends(stack, file, capsys, change, reason):
    punctual(stack, "import", write(file, far(10)))
    change(stack, file)
    with file.open("a") as opened:
        opened.write(json.dumps(far(1)[0]) + "\n")
    capsys.readouterr()
    assert 4 == punctual(stack, "import", file)
    (line,) = capsys.readouterr().err.splitlines()
    assert reason in line
    assert "--new-run" in line
    assert 10 == len(pending(stack))


def test_another_format_than_before_stops_an_import(stack, file, capsys):
    punctual(stack, "import", write(file, far(1)))
    assert 4 == punctual(stack, "import", file, "--format", "csv")
    assert "a file of ndjson, and this is csv" in capsys.readouterr().err


def test_a_journal_that_another_import_uses_is_left_alone(stack, file, capsys):
    write(file, far(1))
    with Journal(Path(f"{file}.journal")):
        assert 1 == punctual(stack, "import", file)
    assert f"error: another import uses the journal {file}.journal; wait for it to end\n" == capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "status", "message"),
    [
        (None, 2, "cannot read {file}: No such file or directory"),
        ("time,data\n1,x\n", 4, "{file}, line 1: 'time' is not a field"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line(shared, tmp_path, capsys, content, status, message):
    file = tmp_path / "bad.csv"
    if content is not None:
        file.write_text(content)
    assert status == punctual(shared, "import", file)
    (line,) = capsys.readouterr().err.splitlines()
    assert message.format(file=file) in line
    assert not Path(f"{file}.rejected").exists()


def test_a_dry_run_checks_every_line_and_sends_none(stack, file, capsys):
    """The rules are those of the function of this stack."""
    target = stack.add_target("mine")
    lines = [
        {"delay": 10, "data": "near"},
        {"delay": 90_000, "data": "far", "name": "a"},
        {"delay": 90_000, "data": "x", "target": target},
        {"delay": 90_000, "data": "x", "target": f"{target}-unlisted"},
        {"delay": 90_000, "dato": "x"},
        {"timestamp": 1, "data": "x", "expires_after": 60},
    ]
    assert 4 == punctual(stack, "import", write(file, lines, "no json\n"), "--dry-run")
    shown = capsys.readouterr().out.splitlines()
    assert ["line 4: ", "line 5: ", "line 6: ", "line 7: "] == [re.match("line .: ", line)[0] for line in shown[:4]]
    assert "TargetArns" in shown[0]
    assert "did you mean data?" in shown[1]
    assert "3 of 7 lines are valid. 4 would be rejected. Nothing was sent." == shown[4]
    assert "less than $0.01" in shown[5]
    assert [file.name] == [each.name for each in file.parent.iterdir()]
    assert [] == pending(stack)


def test_a_dry_run_as_json_has_a_line_for_each_fault(shared, file, capsys):
    assert 4 == punctual(shared, "import", write(file, far(3, name="a"), "no json\n"), "--dry-run", "--json")
    fault, summary = map(json.loads, capsys.readouterr().out.splitlines())
    assert 4 == fault["line"]
    assert {"lines": 4, "valid": 3, "rejected": 1, "named": 3, "far": 3, "dollars": 6e-06} == summary


def test_a_dry_run_needs_no_journal_for_standard_input(shared, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'{"delay": 1, "data": "x"}\n')))
    assert 0 == punctual(shared, "import", "-", "--dry-run")


def test_the_prices_are_those_of_the_readme():
    rows = dict(re.findall(r"^\| ([^|]+) \| ([0-9.]+) \|", README.read_text(), re.MULTILINE))
    assert cost.DOLLARS_PER_MILLION == {
        (False, False): float(rows["near, in batches of 1,000"]),
        (False, True): float(rows["far, in batches of 1,000, random data"]),
        (True, False): float(rows["named, near, in batches of 1,000"]),
        (True, True): float(rows["named, far, in batches of 1,000"]),
    }
    assert f"${cost.WEBHOOK_DOLLARS_PER_MILLION:.2f} a million" in README.read_text()


def test_an_import_into_a_stack_that_is_gone_says_how_to_go_on(stack, file, capsys, monkeypatch):
    """The function is there at first and then missing."""
    write(file, far(4))
    functions = stack._cloud.functions.functions
    functions.pop(stack.output("ScheduleFunction"))
    assert 3 == punctual(stack, "import", file)
    (line,) = capsys.readouterr().err.splitlines()
    assert "Mend it and run the same command again: it sends the rest" in line


def test_a_journal_that_cannot_be_written_is_one_line_and_sends_nothing(stack, file, tmp_path, capsys):
    write(file, far(4))
    assert 1 == punctual(stack, "import", file, "--journal", tmp_path / "missing" / "journal")
    (line,) = capsys.readouterr().err.splitlines()
    assert "error: cannot open the journal " in line
    assert "No such file or directory; name another place with --journal" in line
    assert [] == pending(stack)


def test_the_data_itself_is_never_taken_for_a_journal(stack, file, capsys):
    content = write(file, far(4)).read_bytes()
    assert 1 == punctual(stack, "import", file, "--journal", file, "--new-run")
    assert "is no journal of an import" in capsys.readouterr().err
    assert content == file.read_bytes()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_rate_and_time_left(stack, file, capsys):
    """Without one, standard error is quiet."""
    terminal = Terminal()
    write(file, far(60))
    assert 0 == group.run(["import", str(file), "--batch-size", "20"], Run(world=stack, output=Output(err=terminal)))
    shown = terminal.getvalue()
    assert "60 lines" in shown
    assert "100%" in shown
    assert "0:00:00" in shown
