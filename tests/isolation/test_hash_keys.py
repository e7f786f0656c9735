"""The hash keys of an application's items, and the client that puts them in the place of the owner's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.aws.isolation.client import ApplicationClient
from scheduler.aws.isolation.hash_keys import of_application, of_owner
from scheduler.aws.name_records import partition_of
from shared_stack import A, B

KEYS = {
    "0": "0#aaaaaaaa",
    "255": "255#aaaaaaaa",
    "names#f": "names#aaaaaaaa#f",
    "near#0": "near#aaaaaaaa#0",
    "failed#2030-01-01": "failed#aaaaaaaa#2030-01-01",
    "failed#2030-01-01#f": "failed#aaaaaaaa#2030-01-01#f",
    "quarantine": "quarantine#aaaaaaaa",
}
"""These are stored, so they never change."""


@pytest.mark.parametrize(("owners", "theirs"), KEYS.items())
def test_each_kind_of_item_has_a_hash_key_of_the_application(owners: str, theirs: str):
    assert theirs == of_application(owners, A)
    assert owners == of_owner(theirs, A)


@pytest.mark.parametrize("owners", ["meta", "keys", "runs#2030-01-01", "keys#aaaaaaaa", "", "-1", "1000", "near#"])
def test_an_application_has_no_key_for_what_belongs_to_the_stack(owners: str):
    with pytest.raises(ValueError, match="an application has no items under"):
        of_application(owners, A)


@pytest.mark.parametrize("theirs", [*KEYS.values(), *(key.replace(A, "") for key in KEYS.values())])
def test_a_key_of_another_application_is_never_read_as_ones_own(theirs: str):
    with pytest.raises(ValueError, match=r"is not of the application|an application has no items"):
        of_owner(theirs, B)


@pytest.mark.slow
@given(st.text(max_size=40))
def test_no_text_leads_to_the_key_of_another(text: str):
    """Whatever a caller makes the code ask for, the key holds the own application."""
    for tried in (text, f"{text}#{B}", f"names#{B}#{text}", f"3#{B}{text}"):
        try:
            found = of_application(tried, A)
        except ValueError:
            continue
        assert found.split("#")[1] == A
        assert B not in found


@given(st.from_regex(r"[A-Za-z0-9._:/-]{1,128}", fullmatch=True))
def test_every_name_has_a_key_in_an_application(name: str):
    assert of_application(partition_of(name), A).startswith(f"names#{A}#")


class Recorder:
    """A client that notes its calls."""

    def __init__(self) -> None:
        self.calls: list[dict] = []

    def query(self, **arguments):
        self.calls.append(arguments)
        return {"Items": [], "Count": 0}


def test_a_call_that_the_client_does_not_know_fails():
    """A new call of an adapter cannot pass by the keys."""
    with pytest.raises(AttributeError):
        getattr(ApplicationClient(Recorder(), A), "scan")  # noqa: B009 - It has no such attribute.


def test_a_query_asks_for_the_key_of_the_application():
    client = Recorder()
    ApplicationClient(client, A).query(
        TableName="t",
        KeyConditionExpression="#partition = :partition",
        ExpressionAttributeNames={"#partition": "partition"},
        ExpressionAttributeValues={":partition": {"S": "3"}},
    )
    assert f"3#{A}" == client.calls[0]["ExpressionAttributeValues"][":partition"]["S"]


def test_a_query_without_the_usual_placeholder_fails():
    with pytest.raises(KeyError):
        ApplicationClient(Recorder(), A).query(TableName="t", ExpressionAttributeValues={":other": {"S": "3"}})
