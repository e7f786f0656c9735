"""The hosts that webhooks may be sent to. The owner of the stack lists them in the parameter WebhookHosts.

`api.example.com` allows that host, `*.example.com` allows every subdomain, and `*` allows every host. All of them use
HTTPS, on the default port or the port after a colon. `http://127.0.0.1:8080` allows that address without encryption. It
is for tests.
"""

from __future__ import annotations

import re

from scheduler.value_class import value_class
from scheduler.webhooks import ip_addresses
from scheduler.webhooks.ip_addresses import Address

HOST_CHARACTERS_MAX = 253
"""The maximum length of a DNS name, without its final dot."""
HOSTS_MAX = 1_000
ENTRY_WANTED = (
    "a host such as api.example.com, *.example.com or *, with :port where it is not 443, or http://127.0.0.1:8080"
)

DEFAULT_PORTS = {"https": 443, "http": 80}

_AUTHORITY = re.compile(r"(?P<host>\[[^\]]*\]|[^:\[\]]*)(:(?P<port>[0-9]*))?", re.DOTALL)
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NOT_FOR_2003 = frozenset("ßς\u200c\u200dẞ")
"""IDNA 2003, which Python implements, maps these characters to others. IDNA 2008 keeps them, so the hosts differ."""


@value_class
class Origin:
    """A scheme, a normalised host and a port. A host is in lower case and ASCII, and an address in its usual form."""

    scheme: str
    host: str
    port: int

    @property
    def address(self) -> Address | None:
        return ip_addresses.read(self.host)

    @property
    def authority(self) -> str:
        """The host and port as in a URL and in the header Host."""
        return self.host if self.port == DEFAULT_PORTS[self.scheme] else f"{self.host}:{self.port}"


@value_class
class Hosts:
    """The list of allowed hosts.

    `allow_private` allows private networks, such as a VPC. Loopback, link-local and metadata addresses are allowed only
    if the list contains them explicitly.
    """

    entries: frozenset[Origin] = frozenset()
    allow_private: bool = False

    @classmethod
    def read(cls, text: str, allow_private: bool) -> Hosts:
        """Parse a list with commas or spaces. Raise ValueError that names an invalid entry."""
        words = text.replace(",", " ").split()
        if len(words) > HOSTS_MAX:
            raise ValueError(f"a list of {len(words)} hosts; wanted: at most {HOSTS_MAX}")
        return cls(frozenset(_entry(word) for word in words), allow_private)

    def __bool__(self) -> bool:
        return bool(self.entries)

    def lists(self, origin: Origin) -> bool:
        """Return whether an entry allows this origin, before its address is known."""
        return any(Origin(origin.scheme, each, origin.port) in self.entries for each in _covering(origin))

    def admits(self, origin: Origin, address: Address) -> bool:
        """Return whether a webhook to this origin may connect to this address of its host."""
        if ip_addresses.public(address) or (self.allow_private and ip_addresses.private(address)):
            return True
        if origin not in self.entries:
            return False
        return origin.address == address or (origin.host == "localhost" and ip_addresses.loopback(address))


def origin(scheme: str, authority: str) -> Origin:
    """Return the normalised origin. Raise ValueError with the reason if no webhook can use it."""
    if scheme not in DEFAULT_PORTS:
        raise ValueError("which is neither https nor http")
    if "@" in authority:
        raise ValueError("with credentials in it")
    found = _AUTHORITY.fullmatch(authority)
    if found is None:
        raise ValueError("whose host cannot be told from its port")
    return Origin(scheme, _host(found["host"]), _port(found["port"], DEFAULT_PORTS[scheme]))


def _entry(word: str) -> Origin:
    scheme, mark, authority = word.partition("://")
    if not mark:
        scheme, authority = "https", word
    star, dot, rest = authority.partition(".")
    try:
        if authority == "*" or authority.startswith("*:"):
            return _wild(scheme, Origin(scheme, "*", origin(scheme, "any" + authority[1:]).port))
        if star == "*" and dot:
            below = origin(scheme, rest)
            if below.address is not None:
                raise ValueError("below an address there is nothing")
            return _wild(scheme, Origin(scheme, f"*.{below.host}", below.port))
        return origin(scheme, authority)
    except ValueError as fault:
        raise ValueError(f"{word!r} is no host ({fault}); wanted: {ENTRY_WANTED}") from None


def _wild(scheme: str, entry: Origin) -> Origin:
    if scheme != "https":
        raise ValueError("http is for one host only")
    return entry


def _covering(origin: Origin) -> list[str]:
    """Return the hosts of all entries that would allow this origin."""
    if origin.address is not None:
        return [origin.host, "*"]
    labels = origin.host.split(".")
    return [origin.host, "*", *(f"*.{'.'.join(labels[index:])}" for index in range(1, len(labels)))]


def _host(text: str) -> str:
    if not text or len(text) > HOST_CHARACTERS_MAX + 1:
        raise ValueError(f"whose host has {len(text)} characters" if text else "without a host")
    name = text if text.startswith("[") else _name(text)
    address = ip_addresses.read(name)
    if address is None:
        return name
    return f"[{address}]" if address.version == 6 else str(address)


def _name(text: str) -> str:
    """Return the name in lower case and ASCII, without a final dot."""
    if not text.isascii():
        if _NOT_FOR_2003 & set(text):
            raise ValueError("whose host is read in two ways; its form in ASCII, xn--…, is not")
        try:
            text = text.encode("idna").decode()
        except UnicodeError:
            raise ValueError("whose host is no internationalised name") from None
    name = text.lower().removesuffix(".")
    if len(name) > HOST_CHARACTERS_MAX or not all(_LABEL.fullmatch(label) for label in name.split(".")):
        raise ValueError("whose host is no name")
    return name


def _port(text: str | None, default: int) -> int:
    if not text:
        return default
    if len(text) > 5 or not 1 <= int(text) <= 65_535:
        raise ValueError("whose port is none from 1 to 65535")
    return int(text)
