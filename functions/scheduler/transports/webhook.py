"""Send a webhook: one signed HTTP request to an address that was just checked.

The transport resolves a name once, checks that every address is allowed, and connects to one of them. So a name gains
nothing by resolving to another address the next time. The certificate must match the name.

The data is the body for every method, including GET. A receiver may have processed a request that was not answered in
time. Receivers recognise a repeat by the id in `punctual-id`, which is also signed in `webhook-id`.

An error contains the status of the answer and fixed phrases. It never quotes the answer, which may repeat data, tokens
or paths in any form. Errors are logged, stored and reported.
"""

from __future__ import annotations

import email.utils
import json
import math
import re
import socket
import ssl
from collections.abc import Callable, Sequence
from copy import copy
from pathlib import Path

import botocore

from scheduler.errors import InvalidSchedule, Undelivered
from scheduler.model.schedule import Schedule
from scheduler.timestamps import epoch_s
from scheduler.webhooks import ip_addresses, signing
from scheduler.webhooks import webhook as webhooks
from scheduler.webhooks.allowed_hosts import Hosts, Origin
from scheduler.webhooks.allowed_hosts import origin as _origin
from scheduler.webhooks.bounded_connection import (
    USUAL,
    BoundedConnection,
    Bounds,
    Connect,
    ExchangeDeadline,
    connect_to,
    wrap_tls,
)
from scheduler.webhooks.http_request import HEAD_BYTES_MAX, Answer, Failed, exchange
from scheduler.webhooks.ip_addresses import Address, Lookup
from scheduler.webhooks.webhook import Webhook

RETRY_AFTER_S_MAX = 900
"""The longest pause that a receiver can ask for."""
MEDIA_TYPES = frozenset(
    {
        "application/json",
        "application/problem+json",
        "application/xml",
        "text/html",
        "text/plain",
        "text/xml",
    }
)
"""Content types that an error may name. Any other text of an answer may repeat the request."""

TRANSIENT_STATUSES = frozenset({408, 425, 429})
"""The 4xx statuses that are temporary."""


class WebhookTransport:
    def __init__(
        self,
        hosts: Hosts,
        secrets: Callable[[], Sequence[bytes]],
        clock: Callable[[], float],
        *,
        lookup: Lookup = socket.getaddrinfo,
        connect: Connect = socket.create_connection,
        bounds: Bounds = USUAL,
        context: ssl.SSLContext | None = None,
    ) -> None:
        """Create a transport for the allowed hosts.

        `secrets` returns the signing secrets, newest first. `lookup` and `connect` have the signatures of
        `socket.getaddrinfo` and `socket.create_connection`.
        """
        self._hosts, self._secrets, self._clock = hosts, secrets, clock
        self._lookup, self._connect, self._bounds = lookup, connect, bounds
        self._context = context or _usual_context()
        self._application = ""

    def of(self, application: str) -> WebhookTransport:
        """Return the transport for the webhooks of an application, which are signed with a key of its own."""
        theirs, secrets = copy(self), self._secrets
        theirs._application = application
        theirs._secrets = lambda: [signing.application_key(key, application) for key in secrets()]
        return theirs

    def deliver(self, schedule: Schedule) -> None:
        """Send the request once. Raise Undelivered unless the answer is 2xx."""
        webhook = self._webhook(schedule)
        body = schedule.data.encode() if schedule.data else None
        method = webhook.method or ("GET" if body is None else "POST")
        headers = _headers(webhook, schedule, self._application) | signing.headers(
            schedule.id, self._clock(), body or b"", self._secrets()
        )
        connection = self._connected(webhook.origin)
        try:
            answer = exchange(connection, method, webhook.path, headers, body)
        except Failed as failure:
            raise Undelivered(f"{webhook.origin.host}: {failure}", timed_out=failure.timed_out) from None
        self._judge(answer, webhook.origin)

    def _webhook(self, schedule: Schedule) -> Webhook:
        """Parse and check the webhook again, because the owner may have removed its host from the list."""
        try:
            return webhooks.parse(json.loads(schedule.target or ""), self._hosts)
        except InvalidSchedule as fault:
            raise Undelivered(str(fault), permanent=True) from None
        except (ValueError, RecursionError, AttributeError):
            raise Undelivered("its target is no webhook", permanent=True) from None

    def _connected(self, origin: Origin) -> BoundedConnection:
        exchange_deadline, bounds = ExchangeDeadline(self._bounds.total_s), self._bounds
        found = self._addresses(origin, exchange_deadline)
        try:
            sock = connect_to(found, origin.port, self._connect, bounds, exchange_deadline)
            if origin.scheme == "https":
                sock = wrap_tls(sock, origin.host, self._context, bounds, exchange_deadline)
        except TimeoutError:
            raise Undelivered(f"{origin.host}: no connection in time", timed_out=True) from None
        except ssl.SSLCertVerificationError as failure:
            raise Undelivered(f"{origin.host}: its certificate: {failure.verify_message}") from None
        except OSError as failure:
            raise Undelivered(f"{origin.host}: no connection ({_reason(failure)})") from None
        return BoundedConnection(sock, exchange_deadline, bounds.read_s, HEAD_BYTES_MAX)

    def _addresses(self, origin: Origin, exchange_deadline: ExchangeDeadline) -> list[Address]:
        """Return the addresses of the host. Raise Undelivered if one of them is not allowed, even if others are."""
        try:
            if origin.address is None:
                wait_s = exchange_deadline.within(self._bounds.resolve_s)
                found = ip_addresses.resolved(origin.host, origin.port, self._lookup, wait_s)
            else:
                found = [origin.address]
        except TimeoutError:
            raise Undelivered(f"{origin.host}: not resolved in time", timed_out=True) from None
        except OSError as failure:
            raise Undelivered(f"{origin.host}: not resolved ({_reason(failure)})") from None
        for each in found:
            if not self._hosts.admits(origin, each):
                raise Undelivered(f"{origin.host} is at {each}, not an address in public", permanent=True)
        return found

    def _judge(self, answer: Answer, origin: Origin) -> None:
        status = answer.status
        if 200 <= status < 300:
            return
        if 300 <= status < 400:
            destination = _destination(answer.headers.get("location", ""), origin)
            raise Undelivered(f"answered {status}, and redirects are not followed: {destination}", permanent=True)
        error = f"answered {status}{_content(answer.headers.get('content-type', ''))}"
        if 400 <= status < 500 and status not in TRANSIENT_STATUSES:
            raise Undelivered(error, permanent=True)
        raise Undelivered(error, retry_after_s=retry_after_s(answer.headers.get("retry-after"), self._clock()))


def _usual_context() -> ssl.SSLContext:
    """Trust botocore's CA certificates, because environment variables control the path of the system's own."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(Path(botocore.__file__).with_name("cacert.pem"))
    return context


def retry_after_s(text: str | None, now_s: float) -> float | None:
    """Return the pause that a Retry-After header asks for, as a number or a date, or None without a valid value."""
    text = (text or "").strip()
    if re.fullmatch(r"[0-9]+", text):
        return float(min(RETRY_AFTER_S_MAX, int(text[:20])))
    try:
        then_s = email.utils.parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return min(float(RETRY_AFTER_S_MAX), max(0.0, then_s - now_s)) if math.isfinite(then_s) else None


def _headers(webhook: Webhook, schedule: Schedule, application: str = "") -> dict[str, str]:
    """Return all headers except the signature. The caller's headers replace the defaults, ignoring case."""
    defaults = {"user-agent": "punctual", "accept": "*/*"}
    if schedule.data:
        defaults["content-type"] = "application/json" if _is_json(schedule.data) else "text/plain; charset=utf-8"
    if webhook.cookies:
        defaults["cookie"] = "; ".join(f"{name}={value}" for name, value in webhook.cookies.items())
    given = {name.lower() for name in webhook.headers}
    return {
        "host": webhook.origin.authority,
        "connection": "close",
        **{name: value for name, value in defaults.items() if name not in given},
        **{name: value for name, value in webhook.headers.items() if name.lower() != webhooks.APPLICATION_HEADER},
        "punctual-id": schedule.id,
        "punctual-due": str(epoch_s(schedule.due_ms)),
        **({webhooks.APPLICATION_HEADER: application} if application else {}),
    }


def _is_json(data: str) -> bool:
    """Return whether the data is a JSON object or list. Other JSON, such as a number, may as well be plain text."""
    if not data.lstrip().startswith(("{", "[")):
        return False
    try:
        json.loads(data, parse_constant=_no_json)
    except (ValueError, RecursionError):
        return False
    return True


def _no_json(constant: str) -> None:
    raise ValueError(constant)


def _content(content_type: str) -> str:
    """Return the content type for an error. It distinguishes a load balancer's page from an application's answer."""
    media_type = content_type.partition(";")[0].strip().lower()
    return f" with {media_type}" if media_type in MEDIA_TYPES else ""


def _destination(location: str, origin: Origin) -> str:
    """Describe the destination of a redirect without quoting it, because it may repeat the request."""
    if not location:
        return "it leads nowhere"
    scheme, mark, rest = location.partition("://")
    try:
        to = _origin(scheme.lower(), re.split(r"[/?#\\]", rest, maxsplit=1)[0]) if mark else origin
    except ValueError:
        return "it leads to no URL of a webhook"
    if location.startswith("//") or to.host != origin.host:
        return "it leads to another host"
    return "it leads to another path" if to == origin else f"it leads to {to.scheme} on port {to.port}"


def _reason(failure: OSError) -> str:
    return failure.strerror or type(failure).__name__
