"""With `full` set, get and list show every field of a request, so that a caller can send it again as it is."""

import json

import pytest

from punctual.testing import Stack
from punctual.testing.stack import Refused

HOST = "api.example.com"
FIELDS = ("timestamp", "data", "target", "name", "user", "retry", "failure_target", "expires_after")
"""The fields of a request that a listing shows. A token and `if_exists` are about the call."""


def deployed():
    stack = Stack(start="2030-01-01T00:00:00Z", PartitionCount=3, WebhookHosts=HOST)
    return stack, stack.add_target("other"), stack.add_target("topic", "sns"), stack.add_target("failures")


def requests(stack, queue, topic, failure_target):
    """Return requests with every field, every kind of data, and targets of several kinds."""
    hook = {"url": f"https://{HOST}/hook?a=1", "method": "PUT", "headers": {"X-A": "b"}, "cookies": {"c": "d"}}
    made = [
        {"data": "text"},
        {"data": {"order": 7, "ü": [1, 2.5, None]}},
        {"data": "0123456789" * 100, "user": "Ünal"},
        {"data": "x", "target": queue, "retry": {"max_age_s": 60}},
        {"data": "x", "target": {"arn": topic, "envelope": True}, "failure_target": failure_target},
        {"target": {"url": f"https://{HOST}/ping"}},
        {"data": "x", "target": hook, "retry": {"attempts": 3, "max_age_s": 600}, "failure_target": failure_target},
        {"data": "x", "expires_after": 1.5},
        {"data": "x", "expires_after": 0, "name": "n/1"},
        {"data": "a" * 1_000, "name": "n/2", "target": hook, "user": "u", "expires_after": 60, "failure_target": topic},
    ]
    return [{"timestamp": stack.now + 5_000 + 100.5 * number, **each} for number, each in enumerate(made)]


def exported(stack, **fields):
    """Return the requests of all pages as an export writes them."""
    found, more = [], {}
    while True:
        answer = stack.manage("list", full=True, **fields, **more)
        found += answer["schedules"]
        if answer["next"] is None:
            return [{field: each[field] for field in FIELDS if each[field] is not None} for each in found]
        more = {"next": answer["next"]}


@pytest.mark.parametrize("fields", [{}, {"limit": 3}])
def test_a_full_listing_sent_to_another_stack_makes_the_same_schedules(fields):
    stack, *targets = deployed()
    other, *_ = deployed()
    sent = requests(stack, *targets)
    assert len(sent) == stack.schedule(sent)["accepted"]
    first = exported(stack, **fields)
    assert len(sent) == other.schedule(first)["accepted"]
    assert first == exported(other)
    for wanted, each in zip(sent, first, strict=True):
        text = wanted.get("data")
        text = text if isinstance(text, str | None) else json.dumps(text, ensure_ascii=False, separators=(",", ":"))
        webhook = isinstance(wanted.get("target"), dict) and "url" in wanted["target"]
        without = {"data", "target"} if webhook else {"data"}
        assert text == each.get("data")
        assert {k: v for k, v in wanted.items() if k not in without} == {
            k: v for k, v in each.items() if k not in without
        }
    for stack_ in (stack, other):
        stack_.advance(seconds=7_000)
    assert shape(stack) == shape(other)


def shape(stack):
    """Return what came out, without the ids."""
    released = sorted((each.data, each.due, each.user or "", each.name or "") for each in stack.released())
    return released, sorted((each.target, each.data) for each in stack.delivered())


def test_get_shows_the_same_as_a_full_listing():
    stack, *targets = deployed()
    stack.schedule(requests(stack, *targets))
    for each in stack.manage("list", full=True)["schedules"]:
        which = {"name": each["name"]} if each["name"] else {"id": each["id"]}
        assert each == stack.manage("get", full=True, **which)
        rest = {"user", "retry", "failure_target", "expires_after"}
        assert {k: v for k, v in each.items() if k not in rest} == stack.manage("get", **which)


def test_a_listing_by_prefix_is_full_too():
    stack, *targets = deployed()
    stack.schedule(requests(stack, *targets))
    with_name = [each for each in exported(stack) if "name" in each]
    assert with_name == exported(stack, prefix="n/")
    assert 1_000 == len(with_name[1]["data"])


def test_a_listing_without_full_cuts_the_data_and_has_no_rare_fields():
    stack, *targets = deployed()
    stack.schedule(requests(stack, *targets))
    for each in [*stack.manage("list")["schedules"], *stack.manage("list", prefix="n/")["schedules"]]:
        assert len(each["data"] or "") <= 256
        assert not {"user", "retry", "failure_target", "expires_after"} & each.keys()
    assert 256 == len(stack.manage("list", prefix="n/2")["schedules"][0]["data"])


@pytest.mark.slow
@pytest.mark.parametrize("named", [False, True])
def test_pages_of_large_schedules_fit_an_answer_and_hold_each_once(named):
    """Forty times 250 KB are ten megabytes: two answers at least. A limit of schedules alone would not do."""
    stack, *_ = deployed()
    for number in range(40):
        more = {"name": f"n/{number:02d}"} if named else {}
        stack.schedule({"delay": 5_000 + number, "data": f"{number:02d}" * 125_000, **more})
    for fields in ({}, {"prefix": ""}) if named else ({},):
        found, more, pages = [], {}, 0
        while True:
            answer = stack.manage("list", full=True, limit=1_000, **fields, **more)
            assert len(json.dumps(answer)) < 5_500_000
            found += [each["data"] for each in answer["schedules"]]
            pages += 1
            if answer["next"] is None:
                break
            more = {"next": answer["next"]}
        assert [f"{number:02d}" * 125_000 for number in range(40)] == found
        assert 2 <= pages <= 4


def test_full_must_be_true_or_false():
    stack, *_ = deployed()
    for operation, which in (("list", {}), ("list", {"prefix": "none"}), ("get", {"name": "n"})):
        with pytest.raises(Refused, match="full is 'yes'; wanted: true or false"):
            stack.manage(operation, full="yes", **which)
