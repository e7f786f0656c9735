"""The signing secrets are read seldom, kept through an outage, and never shown."""

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
def test_two_secrets_in_any_accepted_form(held):
    """The newest comes first."""
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
def test_an_invalid_secret_is_reported_without_showing_it(held, says):
    """The error says what is accepted."""
    with pytest.raises(ValueError, match=says) as fault:
        signing_secrets.read(held)
    assert "wanted: one whsec_" in str(fault.value)
    assert "hunter" not in str(fault.value)
    assert text(OLD) not in str(fault.value)


def test_there_are_no_secrets_without_an_arn():
    """Secrets Manager gets no call."""
    manager = SecretsManager(text(OLD))
    assert () == Secrets(manager, "", Clock())()
    assert [] == manager.asked


def test_a_secret_is_read_once_in_five_minutes():
    """Then a new secret is used."""
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
def test_the_old_secret_is_used_while_the_new_one_is_unavailable(failure, capsys):
    """It lasts an hour, with a log line every half minute. Then no unsigned request is sent."""
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
    """A Secrets Manager that answers once the test releases it."""

    def __init__(self, held):
        super().__init__(held)
        self.begun, self.go_on = threading.Event(), threading.Event()

    def get_secret_value(self, **arguments):
        self.begun.set()
        assert self.go_on.wait(10)
        return super().get_secret_value(**arguments)


def test_other_threads_sign_with_the_old_secret_while_one_reads_the_new_one():
    """Secrets Manager may hang, which delays only the reading thread."""
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


def test_all_threads_wait_for_one_answer_if_there_is_no_old_secret():
    """At a cold start, one thread reads for all."""
    manager = Hanging(text(OLD))
    held = Secrets(manager, ARN, Clock())
    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(held) for _ in range(4)]
        assert manager.begun.wait(10)
        manager.go_on.set()
        assert [[OLD]] * 4 == [each.result(10) for each in asking]
    assert 1 == len(manager.asked)


def test_nothing_is_sent_unsigned_without_a_secret():
    """The receiver would refuse it, so it is tried again."""
    with pytest.raises(Undelivered, match="cannot be had: ResourceNotFoundException") as undelivered:
        Secrets(SecretsManager(error("ResourceNotFoundException")), ARN, Clock())()
    assert (True, False) == (undelivered.value.ours, undelivered.value.permanent)
