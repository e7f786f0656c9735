"""Requests to the HTTP API of a virtual stack, with keys of the owner."""

from collections.abc import Mapping
from typing import Any

from punctual.testing import HttpAnswer, Stack
from scheduler.aws.applications.stored import credential_item
from scheduler.model.application import Credential, digest_of

NOW_S = 1_893_456_000
"""The time at which a stack starts."""
CONTROL_KEY = "pk" + "0" * 39 + "1"
DATA_KEY = "pk" + "0" * 39 + "2"
DISABLED_KEY = "pk" + "0" * 39 + "3"


def put_key(stack: Stack, key: str, credential: Credential) -> None:
    stack.client("dynamodb").put_item(
        TableName=stack.output("TableName"), Item=credential_item(digest_of(key), credential)
    )


class Api:
    """Sends requests with the control key, unless another is given."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        put_key(stack, CONTROL_KEY, Credential("owner-00000001", "", "control"))
        put_key(stack, DATA_KEY, Credential("owner-00000002", "", "data"))
        put_key(stack, DISABLED_KEY, Credential("owner-00000003", "", "control", "disabled"))

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = CONTROL_KEY,
        headers: Mapping[str, str] | None = None,
    ) -> HttpAnswer:
        return self.stack.request(method, path, body, key=key, headers=headers)

    def created(self, **fields: Any) -> dict[str, Any]:
        """Create a schedule that is due in a day, or with other fields, and return the answer."""
        answer = self(
            "POST", "/schedules", {"data": "x", **({"delay": 86_400} if "timestamp" not in fields else {}), **fields}
        )
        assert 201 == answer.status, answer.text
        found: dict[str, Any] = answer.json
        return found


def problem(answer: HttpAnswer, status: int, kind: str, field: str | None = None) -> str:
    """Check that the answer is this problem document, and return its detail."""
    assert status == answer.status, answer.text
    assert "application/problem+json" == answer.headers["content-type"]
    content = answer.json
    assert {"type", "title", "status", "detail"} == set(content) - {"field"}
    assert (f"urn:punctual:error:{kind}", status) == (content["type"], content["status"])
    assert field == content.get("field"), content["detail"]
    return str(content["detail"])
