"""Errors of AWS, and their meaning for a delivery."""

import pytest
from botocore.exceptions import ClientError

from scheduler.aws.calls import delivered
from scheduler.errors import Undelivered


@pytest.mark.parametrize(
    ("code", "status", "ours", "permanent"),
    [
        ("ExpiredTokenException", 400, True, False),
        ("ExpiredToken", 403, True, False),
        ("ThrottlingException", 400, False, False),
        ("InternalFailure", 500, False, False),
        ("NotFound", 404, False, True),
    ],
)
def test_an_expired_session_is_our_own_fault(code, status, ours, permanent):
    """It uses up no attempt. An error of the target's service does."""

    def call():
        raise ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "Publish")

    with pytest.raises(Undelivered) as raised:
        delivered(call)
    assert (ours, permanent) == (raised.value.ours, raised.value.permanent)
