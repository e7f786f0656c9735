"""Which addresses of the internet protocol are out in the open, and which of them a host name has just now.

The tables are written out, for `ipaddress.is_global` differs from one Python to the next, and looks at none of the
addresses that hold another one: https://www.iana.org/assignments/iana-ipv4-special-registry and its sister for IPv6.
"""

from __future__ import annotations

import ipaddress
import queue
import re
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Any

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Lookup = Callable[..., Sequence[Any]]
"""Called and answering as `socket.getaddrinfo`."""

ADDRESSES_MAX = 64
"""Of one host. Nobody has more, and each is looked at."""

_NEVER_PUBLIC_4 = [
    ipaddress.IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # This network; Linux takes 0.0.0.0 for itself.
        "10.0.0.0/8",
        "100.64.0.0/10",  # Behind a carrier's NAT; AWS uses it inside VPCs.
        "127.0.0.0/8",  # In Lambda the runtime's own API listens here.
        "169.254.0.0/16",  # Link-local, with the metadata and credentials of instances and containers.
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",  # Documentation, like two more below.
        "192.88.99.0/24",  # Relays of 6to4.
        "192.168.0.0/16",
        "198.18.0.0/15",  # Benchmarks
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",  # Multicast
        "240.0.0.0/4",  # Reserved, and broadcast.
    )
]
_PUBLIC_6 = ipaddress.IPv6Network("2000::/3")
_NEVER_PUBLIC_6 = [
    ipaddress.IPv6Network(text)
    for text in (
        "2001::/23",  # Protocol assignments, Teredo among them, which holds an IPv4 address of anybody's choice.
        "2001:db8::/32",  # Documentation, like 3fff::/20.
        "2002::/16",  # 6to4, which holds an IPv4 address as well; out of use.
        "3fff::/20",
    )
]
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
"""What DNS64 answers for hosts without IPv6. The other one, 64:ff9b:1::/48, is for local use."""

_PRIVATE_4 = [
    ipaddress.IPv4Network(text) for text in ("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16")
]
_PRIVATE_6 = ipaddress.IPv6Network("fc00::/7")
_AMAZON_6 = ipaddress.IPv6Network("fd00:ec2::/32")
"""Metadata and credentials of instances and containers."""

_NUMBER = re.compile(r"0x(?P<hexadecimal>[0-9a-f]*)|0(?P<octal>[0-7]+)|(?P<decimal>0|[1-9][0-9]{0,9})")


def public(address: Address) -> bool:
    """Whether anybody on the internet could reach it, as far as it tells; one within another decides."""
    address = _inmost(address)
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _NEVER_PUBLIC_4)
    return address in _PUBLIC_6 and not any(address in network for network in _NEVER_PUBLIC_6)


def private(address: Address) -> bool:
    """Whether it is one of a private network, such as a VPC. Loopback, link-local and metadata addresses are not."""
    address = _inmost(address)
    if isinstance(address, ipaddress.IPv4Address):
        return any(address in network for network in _PRIVATE_4)
    return address in _PRIVATE_6 and address not in _AMAZON_6


def loopback(address: Address) -> bool:
    return _inmost(address).is_loopback


def read(host: str) -> Address | None:
    """The address that a host is written as, in any way that a resolver would read it; None where it is a name.

    ValueError where it is neither: what ends in a number is never a name.
    """
    if host.startswith("["):
        if not host.endswith("]") or "%" in host:
            raise ValueError("no IPv6 address, or one with a zone")
        return ipaddress.IPv6Address(host[1:-1])
    parts = host.split(".")
    if not _NUMBER.fullmatch(parts[-1]) and not parts[-1].isdigit():
        return None
    if len(parts) > 4:
        raise ValueError("no IPv4 address, for it has more than four numbers")
    *front, last = [_number(part) for part in parts]
    if any(number > 255 for number in front) or last >= 256 ** (4 - len(front)):
        raise ValueError("no IPv4 address, for a number in it is too large")
    return ipaddress.IPv4Address(sum(number << 8 * (3 - place) for place, number in enumerate(front)) + last)


def resolved(host: str, port: int, lookup: Lookup, wait_s: float) -> list[Address]:
    """Every address that the name has at this moment, in the resolver's order. OSError where it has none, or none in
    time: a resolver has no bound of its own that could be set, so it is left behind in its thread."""
    answers: queue.SimpleQueue[Sequence[Any] | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(lookup(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as failure:
            answers.put(failure)

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=max(0.0, wait_s))
    except queue.Empty:
        raise TimeoutError("no answer from the resolver") from None
    if isinstance(answer, Exception):
        raise socket.gaierror(socket.EAI_NONAME, getattr(answer, "strerror", None) or str(answer)) from answer
    if not 1 <= len(answer) <= ADDRESSES_MAX:
        raise socket.gaierror(socket.EAI_NONAME, f"{len(answer)} addresses")
    return list(dict.fromkeys(ipaddress.ip_address(entry[4][0]) for entry in answer))


def _inmost(address: Address) -> Address:
    if isinstance(address, ipaddress.IPv6Address) and (address in _MAPPED or address in _NAT64):
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def _number(text: str) -> int:
    """As inet_aton reads it: a leading 0 says octal, 0x hexadecimal."""
    found = _NUMBER.fullmatch(text)
    if found is None:
        raise ValueError("no IPv4 address")
    if found["hexadecimal"] is not None:
        return int(found["hexadecimal"] or "0", 16)
    return int(found["octal"], 8) if found["octal"] else int(found["decimal"])
