"""The operations of the owner against the rules of DynamoDB, with ids that are drawn twice and secrets that change."""

import base64
import dataclasses
import random

import pytest

from scheduler.administering import operations
from scheduler.administering.dependencies import AdminDependencies
from scheduler.audit import Actor
from scheduler.aws.applications.administered import AdministeredApplications
from scheduler.aws.applications.counts import Counts
from scheduler.errors import InvalidRequest, NotConfirmed, NotFound, Undelivered
from scheduler.execution.deadline import Deadline
from scheduler.execution.worker_pool import SerialPool
from scheduler.model.targets import AllowedTargets
from scheduler.webhooks import signing
from scheduler.webhooks.allowed_hosts import Hosts

START_S = 1_893_456_000
STACK_KEYS = (b"n" * 32, b"o" * 32)


class Drawn(random.Random):
    """Draws ids that were drawn before, and then new ones."""

    def __init__(self):
        super().__init__(7)
        self.again = []

    def getrandbits(self, bits):
        return self.again.pop(0) if bits == 32 and self.again else super().getrandbits(bits)


class Owner:
    def __init__(self, cloud):
        self.now_s, self.randomness, self.keys = START_S, Drawn(), list(STACK_KEYS)
        self.applications = AdministeredApplications(cloud.dynamodb, "schedules")
        self._dependencies = AdminDependencies(
            self.applications,
            Counts(cloud.dynamodb, "schedules"),
            SerialPool(),
            cloud.table,
            partition_count=2,
            randomness=self.randomness,
            listed=AllowedTargets(),
            hosts=Hosts.read("*.example.com", False),
            secrets=self._secrets,
            gateway=None,
        )

    def _secrets(self):
        if self.keys is None:
            raise Undelivered("the secret for signing cannot be had: AccessDenied", ours=True)
        return self.keys

    def __call__(self, operation, **fields):
        deadline = Deadline(lambda: self.now_s, lambda _: None, lambda: 0.0, self.now_s + 20)
        return operations.administer(
            {"operation": operation, **fields}, Actor("owner", "r"), self._dependencies, deadline
        )


@pytest.fixture
def owner(cloud):
    return Owner(cloud)


def test_an_id_is_never_used_again(owner):
    """Not even the id of a deleted application."""
    gone = owner("create", name="gone")["application"]
    owner("delete", name="gone")
    here = owner("create", name="here")["application"]
    owner.randomness.again = [int(gone, 16), int(here, 16)]

    made = owner("create", name="billing")["application"]
    assert made not in (gone, here)
    assert {"here", "billing"} == {each["name"] for each in owner("list")["applications"]}


def test_ids_that_are_always_taken_are_an_error(owner):
    taken = int(owner("create", name="here")["application"], 16)
    owner.randomness.again = 100 * [taken]
    with pytest.raises(NotConfirmed, match="no free id"):
        owner("create", name="billing")
    assert ["here"] == [each["name"] for each in owner("list")["applications"]]


def test_two_calls_replace_a_key_once(owner):
    """The transaction of the second is refused, and leaves no key that nobody has seen."""
    made = owner("create", name="billing")
    (old,) = [key for key in owner.applications.all_keys() if key.credential.key_id == made["data"]["id"]]
    owner("rotate", id=made["data"]["id"])
    owner.applications.all_keys = lambda: [old]

    with pytest.raises(NotConfirmed, match="another call replaced the key"):
        owner("rotate", id=made["data"]["id"])
    del owner.applications.all_keys
    assert 3 == len(owner("keys", name="billing")["keys"])


def test_a_name_that_two_calls_want_goes_to_one(owner):
    owner("create", name="billing")
    with pytest.raises(InvalidRequest, match="which another application has"):
        owner("create", name="billing")
    assert 2 == len(owner.applications.all_keys()), "the second has left no keys"


def test_two_changes_of_different_fields_both_hold(owner):
    """Each writes what it changes, although it has read the application before the other has written."""
    owner("create", name="billing", rate=5, quota=10)
    (old,) = owner.applications.all()
    assert owner.applications.change(old, dataclasses.replace(old, rate=7, hosts=("a.example.com",)))
    assert owner.applications.change(old, dataclasses.replace(old, quota=0))
    (new,) = owner.applications.all()
    assert (7, 0, ("a.example.com",)) == (new.rate, new.quota, new.hosts)
    assert owner.applications.change(new, new), "there is nothing to write"


def test_an_application_that_is_deleted_meanwhile_is_not_changed(owner):
    owner("create", name="billing")
    (old,) = owner.applications.all()
    owner("delete", name="billing")
    assert not owner.applications.change(old, dataclasses.replace(old, rate=7))
    owner.applications.get = lambda _: old
    with pytest.raises(NotFound, match="the application billing was deleted meanwhile"):
        owner("change", name=old.id, rate=7)


def test_an_application_with_webhooks_gets_the_secret_that_signs_them(owner):
    """It is derived from the newest of the stack's, and `keys` shows it again after a rotation."""
    made = owner("create", name="web", hosts=["api.example.com"])
    derived = [signing.text_of(signing.application_key(key, made["application"])) for key in STACK_KEYS]

    assert derived[0] == made["webhook_secret"]
    assert derived == owner("keys", name="web", webhook_secrets=True)["webhook_secrets"]
    assert "webhook_secret" not in owner("create", name="queue", default_target="output")
    for key in STACK_KEYS:
        assert base64.b64encode(key).decode() not in str(made)


def test_a_stack_that_signs_nothing_shows_no_secret(owner):
    owner.keys = []
    assert "webhook_secret" not in owner("create", name="web", hosts=["api.example.com"])
    assert [] == owner("keys", name="web", webhook_secrets=True)["webhook_secrets"]


def test_an_application_whose_secret_cannot_be_read_is_not_created(owner):
    """Nobody would ever see its secret otherwise."""
    owner.keys = None
    with pytest.raises(NotConfirmed, match="the secret for signing cannot be had: AccessDenied; send it again"):
        owner("create", name="web", hosts=["api.example.com"])
    assert [] == owner("list")["applications"]


def test_no_line_of_the_log_has_a_key_or_a_secret(owner, capsys):
    made = owner("create", name="web", hosts=["api.example.com"])
    owner("keys", name="web", webhook_secrets=True)
    owner("rotate", id=made["data"]["id"])
    said = capsys.readouterr().out
    assert 3 == len(said.splitlines())
    assert "whsec_" not in said
    assert made["data"]["key"] not in said
    assert '"pk' not in said
