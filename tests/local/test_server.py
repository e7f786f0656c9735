"""The errors of functions have their types on the local AWS. tests/stack shows it with the real functions."""

import traceback

import pytest

from punctual.local.emulation.server import PLACEHOLDER, exception_name, with_error_type, with_error_types

pytestmark = pytest.mark.slow


class Refused(Exception):
    pass


def failed(error, before=""):
    """Return the result that ministack has for a function that raised this error."""
    try:
        raise error
    except Exception as raised:  # noqa: BLE001 - Any exception has a class.
        log = f"{before}\n{traceback.format_exc()}"
        return {"body": {"errorMessage": str(raised), "errorType": PLACEHOLDER}, "error": True, "log": log}


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (Refused("timestamp is missing; wanted: a number"), "Refused"),
        (Refused(""), "Refused"),
        (Refused("two\nlines: of it"), "Refused"),
        (Refused("it ends with a blank "), "Refused"),
        (KeyError("field"), "KeyError"),
        (ValueError("a: b: c"), "ValueError"),
        (UnicodeDecodeError("utf-8", b"x", 0, 1, "bad"), "UnicodeDecodeError"),
    ],
)
def test_an_error_gets_the_class_of_its_exception(error, name):
    """The message and the log stay as they are."""
    result = failed(error, before='{"outcome": "scheduled"}')
    assert result | {"body": {"errorMessage": str(error), "errorType": name}} == with_error_type(result)


@pytest.mark.parametrize(
    "result",
    [
        {"body": {"id": "1"}, "log": "ValueError: x"},
        {"body": {"errorMessage": "Task timed out", "errorType": "Sandbox.Timedout"}, "error": True, "log": ""},
        {"body": {"errorMessage": "Worker process died", "errorType": PLACEHOLDER}, "error": True, "log": ""},
        {"body": {"errorMessage": "gone", "errorType": PLACEHOLDER}, "error": True, "log": "a line of its own: gone"},
        {"body": {"errorMessage": "gone", "errorType": PLACEHOLDER}, "error": True},
        {"body": "text", "error": True},
        {"body": None},
    ],
)
def test_every_other_result_stays_as_it_is(result):
    """An answer, a timeout, a dead process, and a log that ends with no traceback."""
    assert result == with_error_types(lambda: result)()


def test_a_log_without_the_message_names_no_exception():
    assert exception_name("other", "Traceback\nValueError: x\n") is None
