"""`verify_webhook` accepts what Punctual and the reference library sign, and nothing else."""

from __future__ import annotations

import base64
import secrets as random_secrets
from datetime import UTC, datetime

import pytest
import standardwebhooks
from hypothesis import given, settings
from hypothesis import strategies as st

from punctual.client.errors import InvalidSignature, PunctualError
from punctual.receiving.webhook import TOLERANCE_S, verify_webhook
from scheduler.webhooks import signing

NOW = 1_893_456_000
KEY = b"0123456789abcdef01234567"
SECRET = "whsec_" + base64.b64encode(KEY).decode()
OTHER = "whsec_" + base64.b64encode(b"x" * 32).decode()


def signed(body=b'{"order": 7}', id="2-7", secrets=(SECRET,), at=NOW):
    """Return the headers as the deliver function makes them."""
    return signing.headers(id, at, body, [signing.secret(each) for each in secrets])


def test_a_webhook_of_punctual_is_accepted():
    webhook = verify_webhook(signed(), b'{"order": 7}', SECRET, now=NOW)
    assert ("2-7", datetime(2030, 1, 1, tzinfo=UTC)) == (webhook.id, webhook.sent)
    assert ('{"order": 7}', {"order": 7}) == (webhook.data, webhook.json)
    assert "order" not in repr(webhook)


def test_the_example_of_the_convention():
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    assert "msg_p5jXN8AQM9LWM0D4loKWxJek" == verify_webhook(headers, b'{"test": 2432232314}', secret, 1614265330).id


def agrees(headers, body, secret):
    """Return whether the reference accepts it, which reads the clock of this machine."""
    try:
        standardwebhooks.Webhook(secret).verify(body, headers)
    except standardwebhooks.WebhookVerificationError:
        return False
    return True


def accepted(headers, body, secret, now=None):
    try:
        verify_webhook(headers, body, [secret], now)
    except InvalidSignature:
        return False
    return True


@settings(max_examples=25, deadline=None)
@given(
    body=st.text(max_size=50).map(str.encode),
    age=st.sampled_from([0, 200, -200, 400, -400]),
)
def test_the_reference_library_agrees(body, age):
    """On what it signs itself, on other bodies, secrets and ids, and on old and future webhooks."""
    now = datetime.now(UTC)
    reference = standardwebhooks.Webhook(SECRET)
    sent = datetime.fromtimestamp(int(now.timestamp()) - age, UTC)
    headers = {
        "webhook-id": "a",
        "webhook-timestamp": str(int(sent.timestamp())),
        "webhook-signature": reference.sign("a", sent, body.decode()),
    }
    for each in (headers, {**headers, "webhook-id": "b"}, {**headers, "webhook-signature": "v1,AAAA"}):
        for secret in (SECRET, OTHER):
            found = accepted(each, body, secret)
            assert found == (each == headers and secret == SECRET and abs(age) < TOLERANCE_S)
            if body.startswith(b"{"):
                assert agrees(each, body, secret) == found
    assert not accepted(headers, body + b" ", SECRET)


def test_what_the_reference_signs_and_verifies_is_accepted():
    body, now = '{"order": "grün"}', datetime.now(UTC)
    headers = {
        "webhook-id": "msg",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": standardwebhooks.Webhook(SECRET).sign("msg", now, body),
    }
    assert agrees(headers, body, SECRET)
    assert accepted(headers, body.encode(), SECRET)


@pytest.mark.parametrize("case", [str.lower, str.upper, str.title])
def test_header_names_are_written_in_any_case(case):
    headers = {case(name): value for name, value in signed().items()}
    assert accepted(headers, b'{"order": 7}', SECRET, NOW)


def test_any_secret_fits_any_signature():
    """While secrets rotate, the sender signs with both, and the receiver knows both."""
    body = b"x"
    for signing_ones in ((SECRET,), (OTHER,), (SECRET, OTHER), (OTHER, SECRET)):
        for known in ([SECRET, OTHER], [OTHER, SECRET]):
            assert "2-7" == verify_webhook(signed(body, secrets=signing_ones), body, known, NOW).id
    strange = "whsec_" + base64.b64encode(random_secrets.token_bytes(24)).decode()
    with pytest.raises(InvalidSignature, match="no signature fits"):
        verify_webhook(signed(body, secrets=(SECRET, OTHER)), body, [strange], NOW)


@pytest.mark.parametrize("age_s", [TOLERANCE_S, -TOLERANCE_S])
def test_a_webhook_is_accepted_within_the_tolerance(age_s):
    assert accepted(signed(b"x", at=NOW - age_s), b"x", SECRET, NOW)


@pytest.mark.parametrize(("age_s", "reason"), [(TOLERANCE_S + 1, "300 s ago"), (-TOLERANCE_S - 1, "future")])
def test_an_old_or_future_webhook_is_refused(age_s, reason):
    """A recorded request cannot be sent again later."""
    with pytest.raises(InvalidSignature, match=reason):
        verify_webhook(signed(b"x", at=NOW - age_s), b"x", SECRET, NOW)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_missing_header_is_named(name):
    headers = signed(b"x")
    del headers[name]
    with pytest.raises(InvalidSignature, match=f"{name} is missing"):
        verify_webhook(headers, b"x", SECRET, NOW)
    with pytest.raises(InvalidSignature, match=f"{name} is missing"):
        verify_webhook({**headers, name: ""}, b"x", SECRET, NOW)


def test_a_header_that_is_there_twice_is_refused():
    """The sender and a proxy may not disagree on which one counts."""
    headers = signed(b"x")
    with pytest.raises(InvalidSignature, match="2 times"):
        verify_webhook({**headers, "Webhook-Id": "another"}, b"x", SECRET, NOW)


@pytest.mark.parametrize("timestamp", ["soon", "1893456000.0", "-1", "1e9", "١٢٣", " 1893456000", "9" * 400])
def test_a_strange_timestamp_is_refused(timestamp):
    with pytest.raises(InvalidSignature, match=r"webhook-timestamp is no whole number"):
        verify_webhook({**signed(b"x"), "webhook-timestamp": timestamp}, b"x", SECRET, NOW)


@pytest.mark.parametrize("change", ["v1a,", "v2,", "", "v1 ", "V1,"])
def test_only_signatures_of_version_1_count(change):
    headers = signed(b"x")
    value = headers["webhook-signature"].replace("v1,", change)
    assert not accepted({**headers, "webhook-signature": value}, b"x", SECRET, NOW)


def test_strange_signatures_beside_the_right_one_do_not_matter():
    headers = signed(b"x")
    value = f"v1a,abc v1, v1,grün, x {headers['webhook-signature']} v1,\ud800"
    assert accepted({**headers, "webhook-signature": value}, b"x", SECRET, NOW)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-signature", "webhook-timestamp"])
def test_a_header_that_is_no_text_is_refused(name):
    """A receiver answers 401 to it, and not 500."""
    headers = {**signed(), name: "v1,\ud800"}
    with pytest.raises(InvalidSignature):
        verify_webhook(headers, b'{"order": 7}', SECRET, NOW)


def test_a_body_that_is_not_bytes_is_a_mistake():
    """A framework's parsed body has lost what was signed."""
    with pytest.raises(TypeError, match="wanted: the bytes"):
        verify_webhook(signed(b"x"), "x", SECRET, NOW)


def test_a_signed_body_that_is_no_text_is_refused():
    with pytest.raises(InvalidSignature, match="not UTF-8"):
        verify_webhook(signed(b"\xff"), b"\xff", SECRET, NOW)


@pytest.mark.parametrize(
    ("secrets", "reason"),
    [
        ([], "empty"),
        ("", "whsec_"),
        ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "does not begin with whsec_"),
        ("whsec_%%%", "not base64"),
        ("whsec_c2hvcnQ=", "5 bytes"),
        ([SECRET, "whsec_c2hvcnQ="], "secret 2 stands for 5 bytes"),
    ],
)
def test_an_unusable_secret_is_an_error_of_the_receiver(secrets, reason):
    """It is not reported as a wrong signature, and the secret is not quoted."""
    with pytest.raises(ValueError, match=reason) as caught:
        verify_webhook(signed(b"x"), b"x", secrets, NOW)
    assert not isinstance(caught.value, PunctualError)
    assert "c2hvcnQ" not in str(caught.value)


def test_now_may_be_a_datetime_with_a_zone():
    assert verify_webhook(signed(b"x"), b"x", SECRET, datetime(2030, 1, 1, tzinfo=UTC))
    with pytest.raises(ValueError, match="no time zone"):
        verify_webhook(signed(b"x"), b"x", SECRET, datetime(2030, 1, 1))  # noqa: DTZ001
