"""Validate webhook targets, and convert them to one canonical text.

An invalid webhook is refused when the caller sends it, not when it is due. Only the addresses of its host are unknown
then, so the transport checks them. Error messages never show secrets: they omit the path and query of a URL, and the
values of headers and cookies.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from urllib.parse import quote

from scheduler.errors import InvalidSchedule
from scheduler.limits import TARGET_BYTES_MAX
from scheduler.text import fault, origin_only, shown
from scheduler.value_class import value_class
from scheduler.webhooks.allowed_hosts import Hosts, Origin, origin

WEBHOOK_FIELDS = ("url", "method", "headers", "cookies")

METHOD_CHARACTERS_MAX = 32
WEBHOOK_METHODS = (
    *("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY", "PURGE", "PROPFIND", "PROPPATCH"),
    *("MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "REPORT", "SEARCH"),
)
"""The methods of HTTP and WebDAV, and PURGE for caches. Any other method is probably a mistake."""
HEADERS_MAX = 64
"""Python's servers accept a hundred. This code and the proxies in front of a server need some of them."""
COOKIES_MAX = 64

OWN_HEADERS = frozenset({"punctual-id", "punctual-due", "webhook-id", "webhook-timestamp", "webhook-signature"})
_CONNECTION_HEADERS = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_REFUSED_METHODS = {
    "CONNECT": "which asks a proxy for a tunnel",
    "TRACE": "which has the receiver send everything back, secrets too",
}

APPLICATION_HEADER = "punctual-application"
"""The header that says whose webhook it is. Callers may not set it."""

_SKIP_HEADER = "@@@SKIP_HEADER@@@"
"""urllib3 omits a header with this value, or refuses the request, depending on the header."""

URL_WANTED = "an absolute URL whose host the stack's WebhookHosts lists, such as https://api.example.com/path"
METHOD_WANTED = (
    f"a method of HTTP, 1 to {METHOD_CHARACTERS_MAX} characters, such as POST; left out, POST, and GET without data"
)
HEADERS_WANTED = f"an object of at most {HEADERS_MAX} names of headers with a string each"
HEADER_WANTED = "a string of Latin-1 without line breaks and other control characters"
COOKIES_WANTED = f"an object of at most {COOKIES_MAX} names of cookies with a string each"
COOKIE_WANTED = "a string of printable ASCII without semicolons, and no space at its ends"

_HOW_TO_LIST = "; to list this host, add it to the stack's WebhookHosts and deploy the stack again"

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}")
# Latin-1, because servers that accept more than ASCII read headers as Latin-1 (RFC 9110, 5.5).
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\xa0-\xff]*")
# Wider than RFC 6265, because browsers send these characters, too. A semicolon would begin another cookie.
_COOKIE_VALUE = re.compile(r"([\x21-\x3a\x3c-\x7e]([\x20-\x3a\x3c-\x7e]*[\x21-\x3a\x3c-\x7e])?)?")
_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?P<query>\?[^#]*)?(#.*)?"
)
_NEVER_IN_URLS = re.compile(r"[\x00-\x20\x7f-\xa0\\\s]")
_BARE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_KEPT_IN_URLS = "/?:@!$&'()*+,;=-._~%"


@value_class
class Webhook:
    """A validated webhook. `method` is None if the caller did not set it."""

    origin: Origin
    path: str
    """The path and the query, as in the request line."""
    method: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: Mapping[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"{self.origin.scheme}://{self.origin.authority}{self.path}"

    @property
    def text(self) -> str:
        fields = {"url": self.url, "method": self.method, "headers": self.headers, "cookies": self.cookies}
        given = {name: value for name, value in fields.items() if value}
        return json.dumps(given, ensure_ascii=False, separators=(",", ":"))


def for_application(refusal: str) -> str:
    """Return what an error of `checked` says to an application, which has a list of its own."""
    return refusal.replace(_HOW_TO_LIST, "; the owner of the stack creates applications with their hosts").replace(
        "host the stack's WebhookHosts lists", "host this application may use"
    )


def checked(value: Mapping[str, object], hosts: Hosts) -> str:
    """Return the canonical text of a webhook. Raise InvalidSchedule if it is invalid or not allowed."""
    text = parse(value, hosts).text
    size_bytes = len(text.encode())
    if size_bytes > TARGET_BYTES_MAX:
        raise InvalidSchedule(f"target is a webhook of {size_bytes} bytes; wanted: at most {TARGET_BYTES_MAX} bytes")
    return text


def check_method(value: Mapping[str, object]) -> None:
    """Raise InvalidSchedule if a webhook that passed `checked` has a method that HTTP does not define.

    `parse` accepts such a method, because earlier versions have stored such webhooks.
    """
    method = value.get("method")
    if isinstance(method, str) and method.upper() not in WEBHOOK_METHODS:
        raise InvalidSchedule(f"target.method is {shown(method)}; wanted: one of {', '.join(WEBHOOK_METHODS)}")


def check_headers(value: Mapping[str, object]) -> None:
    """Raise InvalidSchedule if a webhook that passed `checked` has a header that is never sent.

    `parse` accepts such a header, because the table may hold such webhooks. urllib3 only omits some of these headers.
    """
    headers = value.get("headers")
    for name, content in headers.items() if isinstance(headers, dict) else ():
        if name.lower() == APPLICATION_HEADER:
            raise InvalidSchedule(f"target.headers[{shown(name)}] is not for callers to set; wanted: another name")
        if content == _SKIP_HEADER:
            raise InvalidSchedule(
                f"target.headers[{shown(name)}] is {shown(content)}, which is never sent; wanted: any other value"
            )


def parse(value: Mapping[str, object], hosts: Hosts) -> Webhook:
    """Parse a webhook from a caller or from the table. Raise InvalidSchedule if it is invalid or not allowed."""
    unknown = [name for name in value if name not in WEBHOOK_FIELDS]
    if unknown:
        raise InvalidSchedule(
            f"{shown(str(unknown[0]))} is not a field of a webhook; accepted are {', '.join(WEBHOOK_FIELDS)}"
        )
    target_origin, path = _url(value.get("url"), hosts)
    headers = _pairs(value, "headers", HEADERS_MAX, HEADERS_WANTED, _header_fault, HEADER_WANTED)
    cookies = _pairs(value, "cookies", COOKIES_MAX, COOKIES_WANTED, _cookie_fault, COOKIE_WANTED)
    _once(headers)
    if cookies and any(name.lower() == "cookie" for name in headers):
        raise InvalidSchedule("target.headers has a cookie, and target.cookies is given; wanted: one of them")
    return Webhook(target_origin, path, _method(value), headers, cookies)


def _url(url: object, hosts: Hosts) -> tuple[Origin, str]:
    if not isinstance(url, str):
        raise InvalidSchedule(f"target.url is {shown(url)}; wanted: {URL_WANTED}")
    _only_what_urls_hold(url)
    found, said = _URL.fullmatch(url), f"target.url is {shown(origin_only(url))}"
    if found is None:
        raise InvalidSchedule(f"{said}, no absolute URL; wanted: {URL_WANTED}")
    try:
        target_origin = origin(found["scheme"].lower(), found["authority"])
    except ValueError as reason:
        raise InvalidSchedule(f"{said}, {reason}; wanted: {URL_WANTED}") from None
    if not hosts.lists(target_origin):
        raise InvalidSchedule(f"{said}, which is not listed; wanted: {URL_WANTED}{_HOW_TO_LIST}")
    address = target_origin.address
    if address is not None and not hosts.admits(target_origin, address):
        raise InvalidSchedule(f"{said}, which is {address}, not an address in public; wanted: {URL_WANTED}")
    return target_origin, quote((found["path"] or "/") + (found["query"] or ""), safe=_KEPT_IN_URLS)


def _only_what_urls_hold(url: str) -> None:
    """Raise InvalidSchedule for characters that URL parsers treat differently.

    Otherwise one parser could read a host where another reads a path.
    """
    found = fault(url)
    if found is None:
        strange = _NEVER_IN_URLS.search(url) or _BARE_PERCENT.search(url)
        if strange is None:
            return
        what = "a % without two hexadecimal digits" if strange.group() == "%" else f"U+{ord(strange.group()):04X}"
        found = f"{what} at position {strange.start()}"
    raise InvalidSchedule(f"target.url holds {found}; wanted: {URL_WANTED}")


def _method(value: Mapping[str, object]) -> str | None:
    if "method" not in value:
        return None
    method = value["method"]
    if not isinstance(method, str) or not _TOKEN.fullmatch(method) or len(method) > METHOD_CHARACTERS_MAX:
        raise InvalidSchedule(f"target.method is {shown(method)}; wanted: {METHOD_WANTED}")
    method = method.upper()
    if method in _REFUSED_METHODS:
        raise InvalidSchedule(f"target.method is {method}, {_REFUSED_METHODS[method]}; wanted: {METHOD_WANTED}")
    return method


def _pairs(
    value: Mapping[str, object],
    group: str,
    count_max: int,
    wanted: str,
    fault_of: Callable[[str, str], str | None],
    each_wanted: str,
) -> dict[str, str]:
    pairs = value.get(group, {})
    if not isinstance(pairs, dict) or len(pairs) > count_max:
        raise InvalidSchedule(f"target.{group} is {shown(pairs)}; wanted: {wanted}")
    for name, content in pairs.items():
        if not isinstance(name, str) or not _TOKEN.fullmatch(name):
            raise InvalidSchedule(f"target.{group} has the name {shown(name)}, no name in HTTP; wanted: {wanted}")
        header_field = f"target.{group}[{shown(name)}]"
        if not isinstance(content, str):
            raise InvalidSchedule(f"{header_field} is {shown(content)}; wanted: {each_wanted}")
        found = fault_of(name, content)
        if found:
            raise InvalidSchedule(f"{header_field} {found}; wanted: {each_wanted}")
    return dict(pairs)


def _once(names: Iterable[str]) -> None:
    """Raise InvalidSchedule if a header name occurs twice, ignoring case."""
    met: set[str] = set()
    for name in names:
        if name.lower() in met:
            raise InvalidSchedule(f"target.headers has {shown(name)} twice; wanted: each name once")
        met.add(name.lower())


def _header_fault(name: str, value: str) -> str | None:
    known = name.lower()
    if known in OWN_HEADERS or known in _CONNECTION_HEADERS:
        return "is not for callers to set"
    if known == "cookie" and not value.isascii():
        return "holds more than ASCII"
    return _strange(_HEADER_VALUE, value)


def _cookie_fault(_: str, value: str) -> str | None:
    return _strange(_COOKIE_VALUE, value)


def _strange(allowed: re.Pattern[str], value: str) -> str | None:
    """Return the first invalid character and its position, or None. Never show the value itself."""
    if allowed.fullmatch(value):
        return None
    found = allowed.match(value)
    at = min(found.end() if found else 0, len(value) - 1)
    return f"holds U+{ord(value[at]):04X} at position {at}"
