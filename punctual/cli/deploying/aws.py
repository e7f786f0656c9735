"""The account and region that a deployment goes to, and calls whose errors say what to do."""

from __future__ import annotations

import urllib.parse
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from punctual.client.calling import aws_errors

if TYPE_CHECKING:
    from punctual.cli.run import Run

LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Place:
    """An account and a region of AWS."""

    account: str
    region: str
    is_local: bool
    """Whether it is a local AWS on this machine."""

    @classmethod
    def found(cls, run: Run) -> Place:
        """Return where the credentials lead."""
        account = str(called(run, "sts", "GetCallerIdentity")["Account"])
        with aws_errors.translated("cloudformation:DescribeStacks"):
            meta = run.client("cloudformation").meta
        host = urllib.parse.urlsplit(meta.endpoint_url).hostname
        return cls(account, str(meta.region_name), host in LOOPBACK)


def called(run: Run, service: str, operation: str, **arguments: Any) -> Any:
    """Call an operation of AWS, such as `DescribeStacks`. Raise an error of Punctual that says what to do."""
    from botocore import xform_name

    with aws_errors.translated(f"{service}:{operation}"):
        return getattr(run.client(service), xform_name(operation))(**arguments)


def code_of(error: BaseException) -> str:
    """Return AWS's own error code behind an error of Punctual, or an empty text."""
    response = getattr(error.__cause__, "response", None)
    return str(response["Error"].get("Code", "")) if isinstance(response, dict) else ""


def text_of(error: BaseException) -> str:
    """Return AWS's own message behind an error of Punctual."""
    response = getattr(error.__cause__, "response", None)
    return str(response["Error"].get("Message", "")) if isinstance(response, dict) else str(error)
