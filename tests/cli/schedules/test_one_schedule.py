"""`punctual schedule`, `get`, `move`, `change`, `fire` and `cancel` of one schedule."""

import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from punctual.cli import group
from punctual.cli.run import Run
from punctual.testing import Stack
from tests.cli.conftest import Punctual

START = "2030-01-01T00:00:00Z"


def test_data_comes_out_at_its_time(punctual: Punctual, stack: Stack) -> None:
    ended = punctual("schedule", "hello", "--in", "1h30m", "--name", "order/7", "--user", "u")
    assert 0 == ended.status
    assert "created order/7, due 2030-01-01 01:30:00" in ended.out
    stack.advance(hours=1, minutes=29)
    assert [] == stack.released()
    stack.advance(minutes=2)
    (released,) = stack.released()
    assert ("hello", "order/7", "u") == (released.data, released.name, released.user)


def test_the_accepted_schedule_is_one_object_with_json(punctual: Punctual) -> None:
    fields = punctual("schedule", "x", "--at", "2030-06-01 09:00", "--tz", "Europe/Berlin", "--json").json
    assert ("2030-06-01T07:00:00Z", 1906527600, "stored") == (fields["due"], fields["timestamp"], fields["state"])
    assert {"id", "name", "due", "timestamp", "state", "result"} == set(fields)


@pytest.mark.parametrize(("piped", "data"), [(b"hello\n", "hello"), (b'{"a": 1}', '{"a": 1}'), (b"two\n\n", "two\n")])
def test_data_comes_from_standard_input(
    piped: bytes, data: str, punctual: Punctual, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`echo` adds one line break, which is left out."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(piped)))
    assert 0 == punctual("schedule", "-", "--in", "1s").status
    stack.advance(seconds=3)
    assert [data] == [released.data for released in stack.released()]


def test_data_comes_from_a_file_as_it_is(punctual: Punctual, stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes("é\n".encode())
    assert 0 == punctual("schedule", "--data-file", str(tmp_path / "data"), "--in", "0").status
    stack.advance(seconds=3)
    assert ["é\n"] == [released.data for released in stack.released()]


def test_a_webhook_has_method_headers_and_cookies(punctual: Punctual) -> None:
    url = "https://api.example.com/hook"
    request = ["--target", url, "--method", "PUT", "--header", "X-A: b: c", "--cookie", "k=v=w"]
    assert 0 == punctual("schedule", "x", "--in", "1h", "--name", "web", *request).status
    expected = {"url": url, "method": "PUT", "headers": {"X-A": "b: c"}, "cookies": {"k": "v=w"}}
    assert expected == punctual("get", "web", "--json").json["target"]


def test_get_never_shows_headers_to_a_person(punctual: Punctual) -> None:
    """They may be secret. `--json` has them."""
    punctual(
        "schedule", "x", "--in", "1h", "--name", "web", "--target", "https://api.example.com/", "--header", "K: secret"
    )
    shown = punctual("get", "web").out
    assert "https://api.example.com/" in shown
    assert "secret" not in shown


def test_every_option_reaches_the_request(punctual: Punctual, stack: Stack) -> None:
    arn = stack.add_target("other")
    failure_arn = stack.add_target("broken")
    options = ["--target", arn, "--envelope", "--attempts", "3", "--max-age", "2h", "--failure-target", failure_arn]
    ended = punctual("schedule", "x", "--in", "1h", "--name", "n", "--expires-after", "90m", *options)
    assert (0, "") == (ended.status, ended.err)
    assert {"arn": arn, "envelope": True} == punctual("get", "n", "--json").json["target"]


def test_a_name_that_is_pending_is_kept_on_request(punctual: Punctual) -> None:
    punctual("schedule", "a", "--in", "1h", "--name", "n")
    assert (
        "kept" == punctual("schedule", "b", "--in", "1h", "--name", "n", "--if-exists", "keep", "--json").json["result"]
    )
    assert 4 == punctual("schedule", "b", "--in", "1h", "--name", "n", "--if-exists", "fail").status
    assert "a" == punctual("get", "n", "--json").json["data"]


def test_a_token_makes_a_repeat_harmless(punctual: Punctual) -> None:
    line = ("schedule", "x", "--at", "2030-01-02T00:00Z", "--token", "t", "--json")
    assert punctual(*line).json == punctual(*line).json


def test_get_shows_times_in_a_zone(punctual: Punctual) -> None:
    punctual("schedule", "x", "--at", "2030-06-01T07:00Z", "--name", "n")
    assert "2030-06-01 09:00:00 +02:00 (in 151d 7h)" in punctual("get", "n", "--tz", "Europe/Berlin").out


def test_a_schedule_moves_fires_and_is_cancelled(punctual: Punctual, stack: Stack) -> None:
    punctual("schedule", "x", "--in", "1h", "--name", "n")
    assert "2030-01-01T02:00:00Z" == punctual("move", "n", "--in", "2h", "--json").json["due"]
    assert "2030-01-02T00:00:00Z" == punctual("move", "n", "--at", "2030-01-02T00:00Z", "--json").json["due"]
    assert START == punctual("fire", "n", "--json").json["due"]
    stack.advance(seconds=3)
    assert 1 == len(stack.released())

    id = punctual("schedule", "x", "--in", "1h", "--json").json["id"]
    assert {"id": id, "name": None, "state": "cancelled"} == punctual("cancel", "--id", id, "--json").json
    assert 3 == punctual("cancel", "--id", id).status


def test_change_keeps_the_fields_that_are_not_given(punctual: Punctual, stack: Stack) -> None:
    """`--clear` removes one."""
    punctual("schedule", "old", "--in", "1h", "--name", "n", "--user", "u")
    assert 0 == punctual("change", "n", "--data", "new", "--in", "2h").status
    assert 0 == punctual("change", "n", "--clear", "user").status
    stack.advance(hours=2, minutes=1)
    (released,) = stack.released()
    assert ("new", None, 1893463200) == (released.data, released.user, released.due)


def test_spread_and_zone_meet_in_one_schedule(punctual: Punctual) -> None:
    """The command resolves the zone, and the stack draws the moment."""
    line = ("schedule", "x", "--at", "2030-06-01 09:00", "--tz", "Europe/Berlin", "--spread", "1h", "--json")
    assert 1906527600 <= punctual(*line).json["timestamp"] <= 1906527600 + 3600


def test_change_spreads_the_new_time(punctual: Punctual) -> None:
    punctual("schedule", "x", "--in", "1h", "--name", "n")
    line = ("change", "n", "--at", "2030-06-01T07:00Z", "--spread", "1h", "--json")
    assert 1906527600 < punctual(*line).json["timestamp"] <= 1906527600 + 3600


class _Changeable:
    """A stack with a manage function that answers `change` and remembers the request."""

    def __init__(self, stack: Stack) -> None:
        self.stack, self.sent = stack, dict[str, Any]()

    def outputs(self) -> dict[str, str]:
        return self.stack.outputs()

    def backend(self) -> Any:
        virtual = self.stack.backend()

        def client(service: str) -> Any:
            return SimpleNamespace(invoke=self._invoke)

        return SimpleNamespace(client=client, now=virtual.now, sleep=virtual.sleep, parallel=False)

    def _invoke(self, *, Payload: bytes, **_: Any) -> dict[str, Any]:  # noqa: N803
        self.sent = json.loads(Payload)
        answer = {"id": "0-001893456000000-0123456789abcdef", "timestamp": 1893456000, "state": "stored"}
        return {"StatusCode": 200, "Payload": io.BytesIO(json.dumps(answer | {"result": "replaced"}).encode())}


def test_change_sends_the_fields_that_are_given_and_null_for_cleared_ones(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    world = _Changeable(stack)
    line = [
        "change",
        "n",
        "--data",
        "new",
        "--in",
        "1h",
        "--attempts",
        "3",
        "--clear",
        "user",
        "--clear",
        "failure-target",
    ]
    assert 0 == group.run(line, Run(world=world))
    assert capsys.readouterr().out.startswith("replaced n, due 2030-01-01 00:00:00")
    expected = {"operation": "change", "name": "n", "data": "new", "timestamp": 1893459600, "retry": {"attempts": 3}}
    assert expected | {"user": None, "failure_target": None} == world.sent


def test_the_exit_status_tells_not_found_from_too_late(punctual: Punctual, stack: Stack) -> None:
    missing = punctual("get", "nothing", "--json")
    assert 3 == missing.status
    assert '"error": "NotFound"' in missing.err
    assert "" == missing.out
    punctual("schedule", "x", "--in", "1s", "--name", "n")
    stack.advance(seconds=5)
    assert 6 == punctual("cancel", "n").status


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["schedule", "x"], "no time is given: add --in 90m, or --at"),
        (["schedule", "x", "--in", "90"], "'90' is not a duration"),
        (["schedule", "x", "--in", "1h", "--at", "2030-01-01T00:00Z"], "--at and --in are both given"),
        (["schedule", "x", "--in", "1h", "--tz", "UTC"], "--tz is the zone of --at, which is missing"),
        (["schedule", "x", "--at", "2030-01-01 09:00"], "has no offset: add --tz"),
        (["schedule", "x", "--at", "2030-01-01T09:00Z", "--tz", "UTC"], "leave --tz out"),
        (["schedule", "x", "--at", "2030-01-01 09:00", "--tz", "Europe/Berln"], "did you mean Europe/Berlin?"),
        (["schedule", "x", "--in", "1h", "--header", "a: b"], "give its URL with --target"),
        (["schedule", "x", "--in", "1h", "--target", "https://x", "--header", "ab"], "'ab' has no ':'"),
        (["schedule", "x", "--in", "1h", "--target", "https://x", "--envelope"], "give it with --target"),
        (["schedule", "x", "--in", "1h", "--target", "{oops"], "--target looks like JSON and is none"),
        (["schedule", "--data-file", "/nonexistent", "--in", "1h"], "'/nonexistent' does not exist"),
        (["schedule", "x", "--data-file", "setup", "--in", "1h"], "'setup' does not exist"),
        (["schedule", "x", "--in", "1h", "--if-exists", "maybe"], "'maybe' is not one of"),
        (["schedule", "bad \udcff", "--in", "1h"], "the data is not UTF-8"),
        (["get"], "neither a name nor --id is given"),
        (["get", "a", "--id", "b"], "both a name and --id are given"),
        (["get", "a", "b"], "unexpected extra argument"),
        (["move", "a"], "no time is given"),
        (["move", "--in", "1h"], "neither a name nor --id is given"),
        (["fire"], "neither a name nor --id is given"),
        (["change", "a"], "there is nothing to change"),
        (["change", "a", "--user", "u", "--clear", "user"], "user is both given and cleared"),
        (["change", "a", "--clear", "name"], "'name' is not one of"),
        (["cancel"], "neither a name nor --id is given"),
        (["cancel", "a", "--dry-run"], "go with --prefix"),
        (["cancel", "a", "--prefix", "b"], "give one of them"),
        (["completion"], "missing argument"),
        (["completion", "csh"], "'csh' is not one of"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_2(arguments: list[str], said: str, punctual: Punctual) -> None:
    ended = punctual(*arguments)
    assert (2, "", 1) == (ended.status, ended.out, len(ended.err.splitlines()))
    assert said in ended.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["schedule", "--in", "1h"], "data is missing"),
        (["schedule", "x", "--in", "1h", "--name", "bad name"], "name is"),
        (["schedule", "x", "--in", "1h", "--token", "t"], "delay and token are both given"),
        (["schedule", "x", "--in", "1h", "--target", "https://evil.example.org/"], "not listed"),
        (["get", "bad name"], "name is"),
        (["get", "--id", "nonsense"], "id is"),
    ],
)
def test_an_invalid_request_is_one_line_and_4(arguments: list[str], said: str, punctual: Punctual) -> None:
    ended = punctual(*arguments)
    assert (4, "", 1) == (ended.status, ended.out, len(ended.err.splitlines()))
    assert said in ended.err


def test_an_unreadable_file_is_one_line_and_2(punctual: Punctual, tmp_path: Path) -> None:
    ended = punctual("schedule", "--data-file", str(tmp_path), "--in", "1h")
    assert (2, 1) == (ended.status, len(ended.err.splitlines()))


def test_data_that_is_no_text_is_refused(punctual: Punctual, tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"ab\xff")
    ended = punctual("schedule", "--data-file", str(tmp_path / "data"), "--in", "1h")
    assert 2 == ended.status
    assert "is not UTF-8 (byte 2)" in ended.err
