"""A key is read once a minute, whether it is right or wrong, and it is never shown."""

import random
from dataclasses import replace

import pytest
from botocore.exceptions import ReadTimeoutError

from punctual.testing.cloud import Cloud
from scheduler.aws.applications.keyring import ANSWERS_MAX, Keyring
from scheduler.aws.applications.stored import APPLICATION, Applications, application_item, credential_item
from scheduler.errors import KeyRefused, NotConfirmed
from scheduler.execution.fresh_answers import FRESH_MS
from scheduler.model.application import (
    CONTROL,
    DATA,
    OWNER,
    Application,
    Credential,
    application_of,
    digest_of,
    key_id_of,
    looks_like_key,
    new_key,
)

BILLING = Application("1f2e3d4c", "billing", default_target="output", rate=20, burst=40)
KEY, OTHER = new_key(1), new_key(2)
NOW = 1_800_000_000_000


class Stored:
    """Applications and keys in the virtual DynamoDB, and the reads of them. No read is confirmed while it is `down`."""

    def __init__(self):
        cloud = Cloud(NOW / 1000, random.Random(0))
        cloud.dynamodb.create_table("schedules", "partition", "sort", "ttl")
        self.dynamodb, self.down, self.reads = cloud.client("dynamodb"), False, []
        self.put(application_item(BILLING))

    def put(self, item):
        self.dynamodb.put_item(TableName="schedules", Item=item)

    def add(self, key, **facts):
        facts = {"application": BILLING.id, "scope": CONTROL, **facts}
        self.put(credential_item(digest_of(key), Credential(key_id_of(facts["application"], 0), **facts)))

    def get_item(self, **parameters):
        if self.down:
            raise ReadTimeoutError(endpoint_url="GetItem")
        self.reads.append(parameters["Key"]["sort"]["S"].removeprefix(APPLICATION))
        return self.dynamodb.get_item(**parameters)


@pytest.fixture
def stored():
    return Stored()


@pytest.fixture
def keyring(stored):
    return Keyring(Applications(stored, "schedules"))


def test_a_key_stands_for_its_application_and_scope(stored, keyring):
    stored.add(KEY, scope=DATA)

    credential = keyring.authenticate(KEY, NOW)

    assert (BILLING.id, DATA) == (credential.application, credential.scope)
    assert BILLING == keyring.application(credential.application, NOW)
    assert credential.key_id.startswith("1f2e3d4c-")


def test_a_key_of_the_owner_needs_no_application(stored, keyring):
    stored.add(KEY, application="")

    assert OWNER == keyring.application(keyring.authenticate(KEY, NOW).application, NOW)
    assert [digest_of(KEY)] == stored.reads


def test_a_key_and_its_application_are_read_once_in_60_seconds(stored, keyring):
    stored.add(KEY)
    for passed_ms in range(0, FRESH_MS, 10_000):
        keyring.authenticate(KEY, NOW + passed_ms)
    assert [digest_of(KEY), BILLING.id] == stored.reads

    keyring.authenticate(KEY, NOW + FRESH_MS)
    assert 2 * [digest_of(KEY), BILLING.id] == stored.reads


def test_a_disabled_key_is_refused_within_60_seconds(stored, keyring):
    stored.add(KEY)
    keyring.authenticate(KEY, NOW)
    stored.add(KEY, state="disabled")

    with pytest.raises(KeyRefused, match="disabled"):
        keyring.authenticate(KEY, NOW + FRESH_MS)


def test_a_key_that_was_rotated_ends_with_its_grace(stored, keyring):
    """The end is part of what was read, so it needs no second read."""
    stored.add(KEY, ends_ms=NOW + 5_000)
    keyring.authenticate(KEY, NOW + 4_999)

    with pytest.raises(KeyRefused, match="replaced"):
        keyring.authenticate(KEY, NOW + 5_000)


def test_the_keys_of_an_unknown_application_are_refused(stored, keyring):
    stored.add(KEY, application="0a0b0c0d")

    with pytest.raises(KeyRefused, match="deleted"):
        keyring.authenticate(KEY, NOW)


def test_the_keys_of_a_deleted_application_are_refused_within_60_seconds(stored, keyring):
    stored.add(KEY)
    keyring.authenticate(KEY, NOW)
    stored.put(application_item(replace(BILLING, state="deleted")))

    with pytest.raises(KeyRefused, match="deleted"):
        keyring.authenticate(KEY, NOW + FRESH_MS)


def test_a_wrong_key_is_read_once_in_60_seconds(stored, keyring):
    for passed_ms in (0, 1, FRESH_MS - 1):
        with pytest.raises(KeyRefused):
            keyring.authenticate(KEY, NOW + passed_ms)
    assert [digest_of(KEY)] == stored.reads

    stored.add(KEY)
    assert BILLING.id == keyring.authenticate(KEY, NOW + FRESH_MS).application


@pytest.mark.parametrize("key", ["", "pk", KEY.upper(), KEY + "0", KEY[:-1], KEY + "\n", "pk" + "g" * 40, None])
def test_a_text_that_is_no_key_costs_no_read(stored, keyring, key):
    with pytest.raises(KeyRefused):
        keyring.authenticate(key, NOW)
    assert [] == stored.reads


def test_a_flood_of_wrong_keys_pushes_out_no_right_key(stored, keyring):
    stored.add(KEY)
    keyring.authenticate(KEY, NOW)
    for number in range(3, 3 + 2 * ANSWERS_MAX):
        with pytest.raises(KeyRefused):
            keyring.authenticate(new_key(number), NOW)
    stored.reads.clear()

    keyring.authenticate(KEY, NOW)
    with pytest.raises(KeyRefused):
        keyring.authenticate(new_key(2 + 2 * ANSWERS_MAX), NOW)
    assert [] == stored.reads, "both answers are in memory"

    with pytest.raises(KeyRefused):
        keyring.authenticate(new_key(3), NOW)
    assert [digest_of(new_key(3))] == stored.reads, "the first of the flood has left it"


def test_a_table_that_does_not_answer_refuses_no_key(stored, keyring):
    stored.add(KEY)
    stored.down = True
    with pytest.raises(NotConfirmed):
        keyring.authenticate(KEY, NOW)

    stored.down = False
    assert BILLING.id == keyring.authenticate(KEY, NOW).application


def test_no_refusal_shows_the_key(stored, keyring, capsys):
    stored.add(KEY, state="disabled")
    for key in (KEY, OTHER, KEY + "0"):
        with pytest.raises(KeyRefused) as refusal:
            keyring.authenticate(key, NOW)
        assert key not in str(refusal.value)
        assert digest_of(key) not in str(refusal.value)
    assert "" == capsys.readouterr().out


def test_a_key_id_names_its_application():
    assert "1f2e3d4c" == application_of(key_id_of("1f2e3d4c", 0))
    assert "" == application_of(key_id_of("", 2**32 - 1)), "the owner's"
    assert "owner-00000000" == key_id_of("", 0)
    assert None is application_of("1f2e3d4c")
    assert None is application_of(KEY)
    assert None is application_of(7)


def test_a_key_has_letters_and_digits_only():
    """API Gateway takes 20 to 128 of these."""
    assert "pk" + 40 * "f" == new_key(2**160 - 1)
    assert looks_like_key(new_key(0))
    assert new_key(2**160 - 1).isalnum()
