"""Signatures follow the convention, and the tests do not use our own code to check them."""

import base64
import hashlib
import hmac

import pytest

from scheduler.webhooks import signing

KEY = b"0123456789abcdef01234567"
TEXT = f"whsec_{base64.b64encode(KEY).decode()}"


def test_the_example_of_the_convention():
    """The convention's own libraries test with it."""
    key = signing.secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    assert {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    } == signing.headers("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}', [key])


def test_two_secrets_sign_side_by_side():
    """The newest comes first, and each signs as it would alone."""
    other = b"x" * 32
    both = signing.headers("id", 5.9, "ü".encode(), [KEY, other])
    signatures = [
        "v1," + base64.b64encode(hmac.digest(key, "id.5.ü".encode(), hashlib.sha256)).decode() for key in (KEY, other)
    ]
    assert {"webhook-id": "id", "webhook-timestamp": "5", "webhook-signature": " ".join(signatures)} == both


def test_nothing_is_signed_without_a_secret():
    """No header claims a signature."""
    assert {} == signing.headers("id", 5, b"", [])


def test_a_secret_is_base64_after_its_prefix():
    """Padding is optional."""
    assert KEY == signing.secret(TEXT)
    assert KEY + b"x" == signing.secret(f"whsec_{base64.b64encode(KEY + b'x').decode().rstrip('=')}")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("hunter2", "does not begin with whsec_"),
        ("whsec_hunter!!", "is not base64"),
        ("whsec_hünter", "is not base64"),
        ("whsec_", "stands for 0 bytes; wanted: 24 to 64"),
        ("whsec_hunter22", "stands for 6 bytes"),
        ("whsec_" + "hunter22" * 11, "stands for 66 bytes"),
    ],
)
def test_an_invalid_secret_is_reported_without_showing_it(text, says):
    """It may be a mistyped secret."""
    with pytest.raises(ValueError, match=says) as fault:
        signing.secret(text)
    assert "hunter" not in str(fault.value)


def test_a_key_is_written_as_it_is_read():
    assert KEY == signing.secret(signing.text_of(KEY))
