"""What each no of AWS means for a delivery."""

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
def test_a_session_that_has_ended_is_a_fault_of_our_own(code, status, ours, permanent):
    """It uses up no attempt; what the service of the target says does."""

    def call():
        raise ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "Publish")

    with pytest.raises(Undelivered) as raised:
        delivered(call)
    assert (ours, permanent) == (raised.value.ours, raised.value.permanent)
