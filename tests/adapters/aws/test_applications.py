"""The table returns applications and credentials as they were written."""

import pytest

from scheduler.aws.applications import stored
from scheduler.aws.applications.stored import Applications
from scheduler.model.application import Application, Credential, digest_of, new_key

BILLING = Application(
    "1f2e3d4c",
    "billing",
    targets=("arn:aws:sqs:eu-central-1:123456789012:bills",),
    failure_targets=("arn:aws:sns:eu-central-1:123456789012:alarms",),
    hosts=("api.example.com", "*.example.org"),
    default_target="output",
    rate=20,
    burst=40,
    created_ms=1_800_000_000_000,
    quota=1_000,
)
BARE = Application("00000000", "bare", state="deleted")
KEY = new_key(7)


@pytest.mark.parametrize("application", [BILLING, BARE], ids=lambda each: each.name)
def test_an_application_is_read_as_it_was_written(cloud, application):
    applications = Applications(cloud.dynamodb, "schedules")
    cloud.dynamodb.put_item(TableName="schedules", Item=stored.application_item(application))

    assert application == applications.get(application.id)
    assert None is applications.get("ffffffff")


@pytest.mark.parametrize("ends_ms", [None, 1_800_000_900_000])
def test_a_credential_is_read_by_the_hash_of_its_key(cloud, ends_ms):
    applications = Applications(cloud.dynamodb, "schedules")
    credential = Credential("1f2e3d4c-00000001", "1f2e3d4c", "data", "disabled", 1_800_000_000_000, ends_ms)
    cloud.dynamodb.put_item(TableName="schedules", Item=stored.credential_item(digest_of(KEY), credential))

    assert (digest_of(KEY), credential) == applications.credential(digest_of(KEY))
    assert None is applications.credential(digest_of(new_key(8)))
    assert KEY not in str(cloud.items()), "the table has no key, only its hash"


@pytest.mark.parametrize(("name", "value"), [("state", "on"), ("scope", "all")])
def test_a_strange_state_or_scope_is_no_credential(name, value):
    item = stored.credential_item(digest_of(KEY), Credential("1f2e3d4c-00000001", "1f2e3d4c", "data"))
    with pytest.raises(ValueError, match=value):
        stored.read_credential({**item, name: {"S": value}})
