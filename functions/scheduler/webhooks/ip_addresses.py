"""Classify IP addresses as public or private, and resolve host names.

This module has its own tables, because `ipaddress.is_global` differs between Python versions. It also ignores IPv4
addresses that are embedded in IPv6 addresses. The tables follow the IANA registry for IPv4 and the one for IPv6:
https://www.iana.org/assignments/iana-ipv4-special-registry
https://www.iana.org/assignments/iana-ipv6-special-registry
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
"""A function with the signature of `socket.getaddrinfo`."""

ADDRESSES_MAX = 64
"""The most addresses of one host. Each address is checked, and no real host has more."""

_NEVER_PUBLIC_4 = [
    ipaddress.IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # "This network". Linux connects 0.0.0.0 to itself.
        "10.0.0.0/8",
        "100.64.0.0/10",  # Carrier-grade NAT. AWS uses it inside VPCs.
        "127.0.0.0/8",  # Loopback. Lambda's runtime API listens here.
        "169.254.0.0/16",  # Link-local. It serves metadata and credentials of instances and containers.
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",  # Documentation, like two others below.
        "192.88.99.0/24",  # 6to4 relays.
        "192.168.0.0/16",
        "198.18.0.0/15",  # Benchmarks.
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",  # Multicast.
        "240.0.0.0/4",  # Reserved, and broadcast.
    )
]
_PUBLIC_6 = ipaddress.IPv6Network("2000::/3")
_NEVER_PUBLIC_6 = [
    ipaddress.IPv6Network(text)
    for text in (
        "2001::/23",  # Protocol assignments. Teredo is one, and can embed any IPv4 address.
        "2001:db8::/32",  # Documentation, like 3fff::/20.
        "2002::/16",  # 6to4, which embeds an IPv4 address. It is obsolete.
        "3fff::/20",
    )
]
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
"""The addresses that DNS64 returns for hosts without IPv6. The other range, 64:ff9b:1::/48, is for local use."""

_PRIVATE_4 = [
    ipaddress.IPv4Network(text) for text in ("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16")
]
_PRIVATE_6 = ipaddress.IPv6Network("fc00::/7")
_AMAZON_6 = ipaddress.IPv6Network("fd00:ec2::/32")
"""Addresses that serve metadata and credentials of instances and containers."""

_NUMBER = re.compile(r"0x(?P<hexadecimal>[0-9a-f]*)|0(?P<octal>[0-7]+)|(?P<decimal>0|[1-9][0-9]{0,9})")


def public(address: Address) -> bool:
    """Return whether the address is public. An embedded IPv4 address decides for its IPv6 address."""
    address = _inmost(address)
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _NEVER_PUBLIC_4)
    return address in _PUBLIC_6 and not any(address in network for network in _NEVER_PUBLIC_6)


def private(address: Address) -> bool:
    """Return whether the address is in a private network, such as a VPC.

    Loopback, link-local and metadata addresses are not private in this sense.
    """
    address = _inmost(address)
    if isinstance(address, ipaddress.IPv4Address):
        return any(address in network for network in _PRIVATE_4)
    return address in _PRIVATE_6 and address not in _AMAZON_6


def loopback(address: Address) -> bool:
    return _inmost(address).is_loopback


def read(host: str) -> Address | None:
    """Return the address that a host stands for, in every notation of a resolver, or None for a name.

    Raise ValueError if the host is neither. A host that ends in a number is never a name.
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
    return ipaddress.IPv4Address(sum(number << 8 * (3 - index) for index, number in enumerate(front)) + last)


def resolved(host: str, port: int, lookup: Lookup, wait_s: float) -> list[Address]:
    """Return every current address of a name, in the resolver's order. Raise OSError without an answer in time.

    A DNS lookup has no timeout that a caller could set. So it runs in a thread of its own, which is abandoned after
    `wait_s`.
    """
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
    """Parse a number like inet_aton: 0 begins an octal number, and 0x a hexadecimal one."""
    found = _NUMBER.fullmatch(text)
    if found is None:
        raise ValueError("no IPv4 address")
    if found["hexadecimal"] is not None:
        return int(found["hexadecimal"] or "0", 16)
    return int(found["octal"], 8) if found["octal"] else int(found["decimal"])
