"""Requests to the HTTP API of a virtual stack, with keys of the owner."""

from collections.abc import Mapping
from typing import Any

from punctual.testing import HttpAnswer, Stack

NOW_S = 1_893_456_000
"""The time at which a stack starts."""
WRONG_KEY = "pk" + "f" * 40


class Api:
    """Sends requests with the control key of the owner, unless another is given."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        made = stack.administer("create", name="owner")
        self.control_key, self.data_key = made["control"]["key"], made["data"]["key"]
        self.control_id = made["control"]["id"]
        disabled = stack.administer("create", name="owner")["control"]
        stack.administer("disable", id=disabled["id"])
        self.disabled_key = disabled["key"]

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = "",
        headers: Mapping[str, str] | None = None,
    ) -> HttpAnswer:
        """Send a request. A key of None means no key at all."""
        return self.stack.request(method, path, body, key=self.control_key if key == "" else key, headers=headers)

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
