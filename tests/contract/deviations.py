"""Where a stand-in is known to differ from AWS. The test then has to fail there, so that a mended one is noticed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from botocore.exceptions import ClientError

Test = TypeVar("Test", bound=Callable[..., Any])


def differs(**reasons: str) -> Callable[[Test], Test]:
    """By the name of the stand-in: what it does instead, and where AWS says what is right."""

    def mark(test: Test) -> Test:
        test.differs = reasons  # type: ignore[attr-defined]
        return test

    return mark


def refused(code: str, call: Callable[..., Any], **parameters: Any) -> ClientError:
    """The call is refused with this code; SQS's older prefix does not count."""
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    assert code == caught.value.response["Error"]["Code"].rpartition(".")[2]
    return caught.value
