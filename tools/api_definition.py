"""Derive the `DefinitionBody` of the API in template.yml from the document openapi.json.

    python tools/api_definition.py

The script replaces the lines between the two marks in template.yml. The body has the routes, which of them need a key,
and the answers of API Gateway itself. It has no schemas: API Gateway validates nothing, because it could not name the
field that is at fault. It has no parameters of the stack either, because a change of these would not deploy it again.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
TEMPLATE_PATH = ROOT / "template.yml"
DOCUMENT_PATH = ROOT / "functions" / "scheduler" / "serving" / "openapi.json"
BEGIN, END = "# Derived from openapi.json: make routes", "# End of the derived lines"
INDENT = " " * 8

METHODS = ("get", "post", "put", "patch", "delete")
PREFLIGHT = "options"
URI = "arn:${AWS::Partition}:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/${ApiFunction.Arn}/invocations"
PROBLEM_TYPE = "urn:punctual:error:"
RETRY_AFTER = {"gatewayresponse.header.Retry-After": "'1'"}
PLAIN_HEADERS = {
    "gatewayresponse.header.Cache-Control": "'no-store'",
    "gatewayresponse.header.X-Content-Type-Options": "'nosniff'",
}
ANY = "Gateway"
GATEWAY_RESPONSES: dict[str, tuple[int | None, str, str, str]] = {
    "MISSING_AUTHENTICATION_TOKEN": (404, "NotFound", "Not found", "no such request of the API; see /openapi.json"),
    "INVALID_API_KEY": (403, "KeyRefused", "The key is not accepted", "the header X-Api-Key is missing or wrong"),
    "THROTTLED": (429, "TooManyRequests", "Too many requests", "too many requests; wait, and send it again"),
    "QUOTA_EXCEEDED": (429, "TooManyRequests", "Too many requests", "the quota of the key is used up"),
    "REQUEST_TOO_LARGE": (
        413,
        "TooLarge",
        "The request is too large",
        "the body is too large; wanted: at most 4000000 bytes and 10000 schedules in one request",
    ),
    "INTEGRATION_TIMEOUT": (504, "NotConfirmed", "AWS has not confirmed the request", "no answer in time; try again"),
    "DEFAULT_4XX": (None, ANY, "The request failed", "API Gateway refused the request"),
    "DEFAULT_5XX": (None, ANY, "The request failed", "the request failed; it may have had an effect"),
}
"""The status, the name, the title and the detail of each answer that API Gateway gives by itself.

The defaults stand for many answers, and API Gateway keeps the status of each. It has no variable for the status that a
body could show: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-mapping-template-reference.html
lists `$context.status` for access logs alone. So their bodies have no status.
"""


def body(document: dict[str, Any]) -> dict[str, Any]:
    """Return the definition for API Gateway."""
    return {
        "openapi": "3.0.1",
        "info": {"title": document["info"]["title"], "version": document["info"]["version"]},
        "components": {"securitySchemes": document["components"]["securitySchemes"]},
        "x-amazon-apigateway-api-key-source": "HEADER",
        "x-amazon-apigateway-gateway-responses": {
            name: gateway_response(*response) for name, response in GATEWAY_RESPONSES.items()
        },
        "paths": {
            greedy(document, path): {
                **{method: operation(needs_key(document, path, method)) for method in METHODS if method in operations},
                PREFLIGHT: operation(needs_key=False),
            }
            for path, operations in document["paths"].items()
        },
    }


def needs_key(document: dict[str, Any], path: str, method: str) -> bool:
    return bool(document["paths"][path][method].get("security", document["security"]))


def greedy(document: dict[str, Any], path: str) -> str:
    """Return the path as API Gateway writes it: a parameter that may hold slashes ends with a plus."""
    for operation_ in document["paths"][path].values():
        for parameter in operation_.get("parameters", []):
            found = _resolved(document, parameter)
            if found.get("x-greedy"):
                path = path.replace(f"{{{found['name']}}}", f"{{{found['name']}+}}")
    return path


def _resolved(document: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in part:
        return part
    found: Any = document
    for step in part["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    resolved: dict[str, Any] = found
    return resolved


def operation(needs_key: bool) -> dict[str, Any]:
    return {
        **({"security": [{"key": []}]} if needs_key else {}),
        "responses": {"default": {"description": "The answer of the function."}},
        "x-amazon-apigateway-integration": {
            "type": "aws_proxy",
            "httpMethod": "POST",
            "timeoutInMillis": 29_000,
            "uri": {"Fn::Sub": URI},
        },
    }


def gateway_response(status: int | None, name: str, title: str, detail: str) -> dict[str, Any]:
    """Return an answer with a problem document."""
    known = {} if status is None else {"status": status}
    problem = {"type": PROBLEM_TYPE + name, "title": title, **known, "detail": detail}
    return {
        **({} if status is None else {"statusCode": status}),
        "responseParameters": {**PLAIN_HEADERS, **(RETRY_AFTER if status == 429 else {})},
        "responseTemplates": {"application/problem+json": json.dumps(problem)},
    }


def lines(definition: dict[str, Any]) -> list[str]:
    """Return the definition as YAML, with a line for each operation and each answer."""
    found: list[str] = []
    for key, value in definition.items():
        if key not in ("paths", "x-amazon-apigateway-gateway-responses"):
            found.append(f"{key}: {_flow(value)}")
            continue
        found.append(f"{key}:")
        for name, part in value.items():
            if key != "paths":
                found.append(f"  {name}: {_flow(part)}")
                continue
            found += [f"  {name}:", *(f"    {method}: {_flow(each)}" for method, each in part.items())]
    return found


def _flow(value: Any) -> str:
    """Return the value in one line, which is JSON and so YAML as well."""
    return json.dumps(value)


def written(template: str, document: dict[str, Any]) -> str:
    """Return the template with the derived lines in place of those between the marks."""
    before, _, rest = template.partition(INDENT + BEGIN + "\n")
    _, _, after = rest.partition(INDENT + END + "\n")
    if not before or not after:
        raise ValueError(f"the template has no lines {BEGIN!r} and {END!r}")
    derived = "".join(f"{INDENT}{line}\n" for line in lines(body(document)))
    return f"{before}{INDENT}{BEGIN}\n{derived}{INDENT}{END}\n{after}"


def main() -> None:
    document = json.loads(DOCUMENT_PATH.read_text(encoding="utf-8"))
    TEMPLATE_PATH.write_text(written(TEMPLATE_PATH.read_text(encoding="utf-8"), document), encoding="utf-8")


if __name__ == "__main__":
    main()
