"""The secrets for signing: read seldom, kept through an outage, and never shown."""

import base64
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError

from fakes import Clock
from scheduler.aws import signing_secrets
from scheduler.aws.signing_secrets import AGAIN_S, FRESH_S, KEPT_S_MAX, Secrets
from scheduler.errors import Undelivered

OLD, NEW = b"o" * 24, b"n" * 32
ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:webhooks-AbCdEf"


def text(key):
    return f"whsec_{base64.b64encode(key).decode()}"


class SecretsManager:
    def __init__(self, held):
        self.held, self.asked = held, []

    def get_secret_value(self, **arguments):
        self.asked.append(arguments)
        if isinstance(self.held, Exception):
            raise self.held
        return self.held if isinstance(self.held, dict) else {"SecretString": self.held}


def error(code):
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": 400}}, "GetSecretValue")


@pytest.mark.parametrize(
    "held",
    [
        f"{text(NEW)} {text(OLD)}",
        f"{text(NEW)},\n{text(OLD)}\n",
        json.dumps([text(NEW), text(OLD)]),
    ],
)
def test_two_secrets_in_any_of_the_ways(held):
    """The newest first."""
    assert [NEW, OLD] == signing_secrets.read(held)
    assert [OLD] == signing_secrets.read(text(OLD))


@pytest.mark.parametrize(
    ("held", "says"),
    [
        ("", "holds 0 secrets"),
        (" ".join([text(OLD)] * 3), "holds 3 secrets"),
        ('["whsec_hunter", 5]', "no list of strings"),
        ("[", "no list of strings"),
        (json.dumps({"key": text(OLD)}), "number 1 in it does not begin with whsec_"),
        (f"{text(NEW)} whsec_hunter2", "number 2 in it is not base64|number 2 in it stands for"),
    ],
)
def test_a_secret_that_is_none_is_told_without_showing_it(held, says):
    """With what is wanted."""
    with pytest.raises(ValueError, match=says) as fault:
        signing_secrets.read(held)
    assert "wanted: one whsec_" in str(fault.value)
    assert "hunter" not in str(fault.value)
    assert text(OLD) not in str(fault.value)


def test_without_an_arn_there_are_none():
    """And nobody is asked."""
    manager = SecretsManager(text(OLD))
    assert () == Secrets(manager, "", Clock())()
    assert [] == manager.asked


def test_a_secret_is_read_once_in_five_minutes():
    """A new one is in use after that."""
    clock, manager = Clock(), SecretsManager(text(OLD))
    held = Secrets(manager, ARN, clock)
    assert [OLD] == held() == held()
    manager.held = f"{text(NEW)} {text(OLD)}"
    clock.sleep(FRESH_S - 1)
    assert [OLD] == held()
    clock.sleep(1)
    assert [NEW, OLD] == held()
    assert [{"SecretId": ARN}] * 2 == manager.asked


@pytest.mark.parametrize(
    "failure",
    [error("AccessDeniedException"), error("ThrottlingException"), ConnectTimeoutError(endpoint_url="x"), "junk", {}],
)
def test_the_old_secret_goes_on_while_the_new_one_cannot_be_had(failure, capsys):
    """For an hour, with a line in the log for every half minute; then nothing goes out that is not signed."""
    clock, manager = Clock(), SecretsManager(text(OLD))
    held = Secrets(manager, ARN, clock)
    held()
    manager.held = failure
    clock.sleep(FRESH_S)
    assert [OLD] == held() == held()
    clock.sleep(AGAIN_S)
    assert [OLD] == held()
    assert 3 == len(manager.asked)
    logged = [json.loads(line)["outcome"] for line in capsys.readouterr().out.splitlines()]
    assert ["secret not read"] * 2 == logged
    clock.sleep(KEPT_S_MAX)
    with pytest.raises(Undelivered) as undelivered:
        held()
    assert (True, False) == (undelivered.value.ours, undelivered.value.permanent)


class Hanging(SecretsManager):
    """Answers once it is let go."""

    def __init__(self, held):
        super().__init__(held)
        self.begun, self.go_on = threading.Event(), threading.Event()

    def get_secret_value(self, **arguments):
        self.begun.set()
        assert self.go_on.wait(10)
        return super().get_secret_value(**arguments)


def test_while_one_waits_for_a_new_secret_the_others_sign_with_the_old_one():
    """Secrets Manager may hang, and nobody is late for it but who asks."""
    clock, manager = Clock(), Hanging(text(OLD))
    manager.go_on.set()
    held = Secrets(manager, ARN, clock)
    assert [OLD] == held()
    manager.begun.clear()
    manager.go_on.clear()
    manager.held = text(NEW)
    clock.sleep(FRESH_S)
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(held)
        assert manager.begun.wait(10)
        assert [[OLD]] * 8 == [held() for _ in range(8)]
        manager.go_on.set()
        assert [NEW] == asking.result(10) == held()
    assert 2 == len(manager.asked)


def test_where_there_is_no_old_secret_all_wait_for_one_answer():
    """As at a cold start: one asks for all."""
    manager = Hanging(text(OLD))
    held = Secrets(manager, ARN, Clock())
    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(held) for _ in range(4)]
        assert manager.begun.wait(10)
        manager.go_on.set()
        assert [[OLD]] * 4 == [each.result(10) for each in asking]
    assert 1 == len(manager.asked)


def test_without_any_secret_nothing_goes_out_unsigned():
    """It is tried again, for the receiver would refuse it."""
    with pytest.raises(Undelivered, match="cannot be had: ResourceNotFoundException") as undelivered:
        Secrets(SecretsManager(error("ResourceNotFoundException")), ARN, Clock())()
    assert (True, False) == (undelivered.value.ours, undelivered.value.permanent)
