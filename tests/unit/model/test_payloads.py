"""The messages that carry a schedule, in each form."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import NOON_MS, OTHER_ARN
from scheduler.model import payloads
from scheduler.model.schedule import Key, Schedule, sort_from

KEY = Key("3", f"{sort_from(NOON_MS + 250)}#0123456789abcdef")
ID = "3-001893456000250-0123456789abcdef"
ENVELOPED = f'{{"arn":"{OTHER_ARN}","envelope":true}}'
DEEP = "[" * 200_000 + "]" * 200_000


def made(data, target=OTHER_ARN, **fields):
    return Schedule(KEY, NOON_MS + 250, data, target, **fields)


def test_the_body_is_the_data_without_an_envelope():
    """The body is exactly the data, also for the output queue. An envelope is compact, its fields in this order."""
    assert ["x", "x"] == [payloads.body(made("x", target)) for target in (None, OTHER_ARN)]
    assert f'{{"id":"{ID}","due":1893456000.25,"data":"x"}}' == payloads.body(made("x", ENVELOPED))
    full = made('{"a": 1}', ENVELOPED, name="bill/7", user="Ünal")
    assert f'{{"id":"{ID}","due":1893456000.25,"name":"bill/7","user":"Ünal","data":{{"a": 1}}}}' == payloads.body(full)


def test_due_is_an_integer_for_whole_seconds():
    """All other answers do the same."""
    whole = Schedule(KEY, NOON_MS, "x", ENVELOPED)
    assert '"due":1893456000,' in payloads.body(whole)


@pytest.mark.parametrize(
    ("data", "within", "document", "detail"),
    [
        ("text", '"text"', '"text"', '{"data":"text"}'),
        ('{"a":1}', '{"a":1}', '{"a":1}', '{"a":1}'),
        ("{}", "{}", "{}", "{}"),
        ("[1]", "[1]", "[1]", '{"data":[1]}'),
        (' {"a": 1.0}\n', ' {"a": 1.0}\n', ' {"a": 1.0}\n', ' {"a": 1.0}\n'),
        ('{"a":1,"a":2}', '{"a":1,"a":2}', '{"a":1,"a":2}', '{"a":1,"a":2}'),
        ("5", '"5"', "5", '{"data":"5"}'),
        ("null", '"null"', "null", '{"data":"null"}'),
        ('"a"', '"\\"a\\""', '"a"', '{"data":"\\"a\\""}'),
        ("NaN", '"NaN"', '"NaN"', '{"data":"NaN"}'),
        ("[NaN]", '"[NaN]"', '"[NaN]"', '{"data":"[NaN]"}'),
        ("[-Infinity]", '"[-Infinity]"', '"[-Infinity]"', '{"data":"[-Infinity]"}'),
        ("{'a':1}", "\"{'a':1}\"", "\"{'a':1}\"", '{"data":"{\'a\':1}"}'),
        ('["a\tb"]', '"[\\"a\\tb\\"]"', '"[\\"a\\tb\\"]"', '{"data":"[\\"a\\tb\\"]"}'),
        ("Zeile\n🎉", '"Zeile\\n🎉"', '"Zeile\\n🎉"', '{"data":"Zeile\\n🎉"}'),
        ("[" + "9" * 5000 + "]", "[" + "9" * 5000 + "]", "[" + "9" * 5000 + "]", '{"data":[' + "9" * 5000 + "]}"),
        ("[1e999]", "[1e999]", "[1e999]", '{"data":[1e999]}'),
    ],
    ids=lambda text: text[:20],
)
def test_json_stays_json_and_other_data_is_a_string(data, within, document, detail):
    """An envelope or a detail embeds objects and lists. A body of its own may be any JSON."""
    assert payloads.enveloped(made(data)).endswith(f',"data":{within}}}')
    assert (document, detail) == (payloads.document(made(data)), payloads.detail(made(data)))


def test_data_that_is_nested_too_deep_becomes_a_string():
    """No version of Python raises."""
    for text in (payloads.document(made(DEEP)), payloads.detail(made(DEEP)), payloads.enveloped(made(DEEP))):
        assert DEEP in text


def test_an_envelope_is_the_detail_or_the_document_itself():
    """It is an object already."""
    schedule = made("x", ENVELOPED)
    assert payloads.body(schedule) == payloads.document(schedule) == payloads.detail(schedule)


def test_attributes_describe_the_schedule():
    """Name and user are optional. The due time has three decimals."""
    plain = {"id": ("String", ID), "due": ("Number", "1893456000.250")}
    full = plain | {"name": ("String", "bill"), "user": ("String", "me")}
    for schedule, expected in ((made("x"), plain), (made("x", name="bill", user="me"), full)):
        found = payloads.attributes(schedule)
        assert expected == {name: (value["DataType"], value["StringValue"]) for name, value in found.items()}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(st.text(min_size=1) | json_values.map(json.dumps), st.text(min_size=1))
def test_every_form_is_json_that_returns_the_data(data, user):
    """Any data survives."""
    schedule = made(data, user=user)
    values = [json.loads(payloads.enveloped(schedule))["data"], json.loads(payloads.document(schedule))]
    for value in values:
        assert value == data or value == json.loads(data)
    assert isinstance(json.loads(payloads.detail(schedule)), dict)
    assert user == json.loads(payloads.enveloped(schedule))["user"]
