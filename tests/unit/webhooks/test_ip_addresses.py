"""Public addresses, other addresses, and the many ways to write one."""

import ipaddress
import socket
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.webhooks import ip_addresses


def public(text):
    return ip_addresses.public(ipaddress.ip_address(text))


@pytest.mark.parametrize(
    "text",
    [
        "8.8.8.8", "1.1.1.1", "93.184.216.34", "100.63.255.255", "100.128.0.0", "172.15.0.1", "172.32.0.1",
        "223.255.255.255", "2606:4700::1111", "2a00:1450:4001::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8",
    ],
)  # fmt: skip
def test_a_public_address_is_recognised(text):
    """A mapped or translated address counts as the address inside it."""
    assert public(text)


@pytest.mark.parametrize(
    "text",
    [
        "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.255.254",
        "169.254.169.254", "169.254.170.2", "172.16.0.1", "172.31.255.255", "192.0.0.9", "192.0.0.170", "192.0.2.1",
        "192.88.99.1", "192.168.0.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255",
        "240.0.0.1", "255.255.255.255",
        "::", "::1", "::127.0.0.1", "::8.8.8.8", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254",
        "64:ff9b::127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b:1::8.8.8.8", "100::1", "2001::1", "2001:0:7f00:1::",
        "2001:db8::1", "2002:7f00:1::", "2002:808:808::1", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254",
        "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "ff0e::1",
    ],
)  # fmt: skip
def test_a_non_public_address_is_recognised(text):
    """Private, loopback, link-local, metadata, multicast and reserved addresses, and those that embed one."""
    assert not public(text)


@given(st.ip_addresses())
def test_an_address_that_python_calls_private_is_not_public(address):
    """Our tables are no wider than Python's, for addresses that embed no other."""
    held = isinstance(address, ipaddress.IPv6Address) and (address.ipv4_mapped or address in ip_addresses._NAT64)
    if ip_addresses.public(address) and not held:
        assert address.is_global
        assert not address.is_multicast


@pytest.mark.parametrize(
    ("text", "is_private"),
    [
        ("10.1.2.3", True), ("172.16.0.1", True), ("192.168.1.1", True), ("100.64.0.1", True), ("fd12::1", True),
        ("::ffff:10.0.0.1", True),
        ("127.0.0.1", False), ("::1", False), ("169.254.169.254", False), ("::ffff:169.254.169.254", False),
        ("fd00:ec2::254", False), ("fe80::1", False), ("0.0.0.0", False), ("224.0.0.1", False), ("8.8.8.8", False),
    ],
)  # fmt: skip
def test_a_private_network_is_neither_loopback_nor_link_local(text, is_private):
    """Access to the VPC opens neither the machine itself nor its metadata."""
    assert is_private == ip_addresses.private(ipaddress.ip_address(text))


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "127.0.0.1"), ("2130706433", "127.0.0.1"), ("0x7f000001", "127.0.0.1"), ("0x7f.1", "127.0.0.1"),
        ("0177.0.0.1", "127.0.0.1"), ("017700000001", "127.0.0.1"), ("127.1", "127.0.0.1"), ("127.0.1", "127.0.0.1"),
        ("0", "0.0.0.0"), ("0x", "0.0.0.0"), ("00", "0.0.0.0"), ("8.8.2056", "8.8.8.8"),
        ("[::1]", "::1"), ("[0:0:0:0:0:0:0:1]", "::1"), ("[::ffff:127.0.0.1]", "::ffff:127.0.0.1"),
    ],
)  # fmt: skip
def test_every_spelling_of_an_address_is_that_address(host, address):
    """Resolvers read every spelling, so a spelling must not reach a refused address."""
    assert ipaddress.ip_address(address) == ip_addresses.read(host)


@pytest.mark.parametrize(
    "host", ["example.com", "localhost", "0x7f.example.com", "1.2.3.4.example", "xn--bcher-kva.de", "a1"]
)
def test_a_name_is_not_an_address(host):
    """Its last label is not a number."""
    assert ip_addresses.read(host) is None


@pytest.mark.parametrize(
    "host",
    [
        "256.0.0.1", "1.2.3.4.5", "1.2.3.256", "08.0.0.1", "1.2.3.08", "4294967296", "1..1", "a.1", "example.0x7f",
        "[::1", "[fe80::1%25eth0]", "[1.2.3.4]", "[]",
    ],
)  # fmt: skip
def test_a_malformed_number_is_neither_a_name_nor_an_address(host):
    """Resolvers disagree about its meaning."""
    with pytest.raises(ValueError):  # noqa: PT011 - The reason does not matter.
        ip_addresses.read(host)


@given(st.integers(0, 2**32 - 1), st.sampled_from(["{}", "{:#x}", "0{:o}"]))
def test_a_single_number_is_read_like_the_system_reads_it(number, form):
    """The C library decides."""
    host = form.format(number)
    assert socket.inet_aton(host) == ip_addresses.read(host).packed


def lookup(*found):
    return lambda host, port, **_: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in found]


def test_a_name_resolves_to_each_address_once_and_in_order():
    """The order is the resolver's."""
    found = ip_addresses.resolved("a.example", 443, lookup("8.8.8.8", "2606:4700::1", "8.8.8.8"), 1)
    assert ["8.8.8.8", "2606:4700::1"] == [str(each) for each in found]


def test_a_name_without_addresses_raises():
    """A name with too many addresses raises as well."""
    with pytest.raises(socket.gaierror):
        ip_addresses.resolved("a.example", 443, lookup(), 1)
    with pytest.raises(socket.gaierror):
        ip_addresses.resolved("a.example", 443, lookup(*(f"8.8.8.{number}" for number in range(65))), 1)


@pytest.mark.parametrize("failure", [socket.gaierror(socket.EAI_AGAIN, "again"), UnicodeError("label")])
def test_a_failing_resolver_raises(failure):
    """Every failure raises the same error type."""

    def fail(*_, **__):
        raise failure

    with pytest.raises(OSError, match=str(failure.args[-1])):
        ip_addresses.resolved("a.example", 443, fail, 1)


def test_a_hanging_resolver_is_abandoned():
    """The resolver has no timeout of its own."""
    ended = threading.Event()
    with pytest.raises(TimeoutError):
        ip_addresses.resolved("a.example", 443, lambda *_, **__: ended.wait(5), 0.01)
    ended.set()
