"""Tables, JSON and questions on the terminal."""

import io
import json

import pytest

from punctual.cli.errors import WrongUsage
from punctual.cli.output import Output, Row, counted, printable, shortened
from tests.cli.conftest import Terminal


def printed(*, as_json: bool = False, rows: list[Row]) -> str:
    out = io.StringIO()
    Output(as_json=as_json, out=out, err=io.StringIO()).list(["due", "name"], rows, empty="none")
    return out.getvalue()


def test_a_table_fits_80_columns_and_loses_nothing() -> None:
    name = "n" * 128
    text = printed(rows=[Row(["2030-06-01 09:00:00 +02:00", name], {})])
    assert 80 >= max(map(len, text.splitlines()))
    assert 128 == text.count("n") - 1, "the heading has one"


def test_output_without_a_terminal_has_no_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b" not in printed(rows=[Row(["a", "b"], {})])


def test_control_characters_of_others_never_reach_the_terminal() -> None:
    assert r"\x1b]0;owned\x07" in printed(rows=[Row(["\x1b]0;owned\x07", "[bold]b[/]"], {})])
    assert "[bold]b[/]" in printed(rows=[Row(["a", "[bold]b[/]"], {})])
    assert r"a\nb" == printable("a\nb")


def test_a_list_is_one_object_a_line_with_json() -> None:
    text = printed(as_json=True, rows=[Row(["a"], {"id": "1"}), Row(["b"], {"id": "2"})])
    assert [{"id": "1"}, {"id": "2"}] == [json.loads(line) for line in text.splitlines()]


def test_a_long_list_is_printed_as_it_comes() -> None:
    """So memory stays bounded, and the heading comes once."""
    text = printed(rows=[Row([str(number), "x"], {}) for number in range(1000)])
    assert 1001 == len(text.splitlines())
    assert 1 == text.count("due")


def test_an_empty_list_is_said_on_standard_error() -> None:
    out, err = io.StringIO(), io.StringIO()
    Output(out=out, err=err).list(["due"], [], empty="no schedules")
    assert ("", "no schedules\n") == (out.getvalue(), err.getvalue())


def test_a_question_without_a_terminal_is_wrong_usage() -> None:
    """It says which option answers it."""
    with pytest.raises(WrongUsage, match="Add --yes"):
        Output(err=io.StringIO()).confirm("Cancel 12 schedules?", yes=False)
    Output(err=io.StringIO()).confirm("Cancel 12 schedules?", yes=True)


def test_a_long_text_ends_with_an_ellipsis() -> None:
    assert "abcdefg" == shortened("abcdefg", 7)
    assert "abcd..." == shortened("abcdefgh", 7)


def test_headings_are_bold_on_a_terminal_unless_no_color_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    shown = Terminal()
    Output(out=shown).list(["due"], [Row(["now"], {})], empty="")
    assert "\x1b[1mdue\x1b[0m\nnow\n" == shown.getvalue()

    monkeypatch.setenv("NO_COLOR", "1")
    plain = Terminal()
    Output(out=plain).list(["due"], [Row(["now"], {})], empty="")
    assert "due\nnow\n" == plain.getvalue()


def test_wide_characters_take_two_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table with Chinese text is in line, too."""
    lines = printed(rows=[Row(["早上", "a"], {}), Row(["abcd", "b"], {})]).splitlines()
    assert ["早上  a", "abcd  b"] == lines[1:]


@pytest.mark.parametrize(("count", "text"), [(0, "0 schedules"), (1, "1 schedule"), (1200, "1,200 schedules")])
def test_a_count_agrees_with_its_noun(count: int, text: str) -> None:
    assert text == counted(count, "schedule")
    assert ["2 deliveries", "2 ways"] == [counted(2, "delivery"), counted(2, "way")]
