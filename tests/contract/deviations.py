"""Mark known differences between a stand-in and AWS. The test must fail there, so that a corrected one is noticed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from botocore.exceptions import ClientError

Test = TypeVar("Test", bound=Callable[..., Any])


def differs(**reasons: str) -> Callable[[Test], Test]:
    """Mark a test, by the name of the stand-in, with the difference and the source for AWS's behaviour."""

    def mark(test: Test) -> Test:
        test.differs = reasons  # type: ignore[attr-defined]
        return test

    return mark


def refused(code: str, call: Callable[..., Any], **parameters: Any) -> ClientError:
    """Assert that AWS refuses the call with this code, without SQS's older prefix."""
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    assert code == caught.value.response["Error"]["Code"].rpartition(".")[2]
    return caught.value
