"""The list of hosts that webhooks may go to."""

import ipaddress

import pytest

from scheduler.webhooks.allowed_hosts import HOSTS_MAX, Hosts, origin


def lists(entries, url):
    scheme, _, authority = url.partition("://")
    return Hosts.read(entries, allow_private=False).lists(origin(scheme, authority))


@pytest.mark.parametrize(
    ("entries", "url"),
    [
        ("api.example.com", "https://api.example.com"),
        ("API.example.com.", "https://api.Example.COM."),
        ("api.example.com", "https://api.example.com:443"),
        ("api.example.com:443", "https://api.example.com"),
        ("https://api.example.com", "https://api.example.com"),
        ("api.example.com:8443", "https://api.example.com:8443"),
        ("*.example.com", "https://a.example.com"),
        ("*.example.com", "https://a.b.c.example.com"),
        ("*.example.com:8443", "https://a.example.com:8443"),
        ("*", "https://anything.example"),
        ("*", "https://8.8.8.8"),
        ("*:8443", "https://anything.example:8443"),
        ("a.example, b.example c.example,,", "https://c.example"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://127.0.0.1:8080", "http://2130706433:8080"),
        ("http://localhost", "http://localhost:80"),
        ("[2606:4700::1]", "https://[2606:4700:0::1]"),
        ("bücher.example", "https://xn--bcher-kva.example"),
        ("xn--bcher-kva.example", "https://BÜCHER.example"),
        ("127.0.0.1:8443", "https://１２７.0.0.1:8443"),
    ],
)  # fmt: skip
def test_a_listed_host_is_allowed(entries, url):
    """Any spelling of the host works, in the list and in the URL."""
    assert lists(entries, url)


@pytest.mark.parametrize(
    ("entries", "url"),
    [
        ("", "https://api.example.com"),
        ("api.example.com", "http://api.example.com"),
        ("api.example.com", "https://api.example.com:8443"),
        ("api.example.com", "https://example.com"),
        ("api.example.com", "https://api.example.com.evil.example"),
        ("api.example.com", "https://xapi.example.com"),
        ("*.example.com", "https://example.com"),
        ("*.example.com", "https://evilexample.com"),
        ("*.example.com", "https://a.example.com:444"),
        ("*", "http://a.example"),
        ("*", "https://a.example:8443"),
        ("http://127.0.0.1:8080", "https://127.0.0.1:8080"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8081"),
        ("http://127.0.0.1:8080", "http://localhost:8080"),
        ("http://127.0.0.1:8080", "http://127.0.0.2:8080"),
        ("http://127.0.0.1:8080", "http://[::ffff:127.0.0.1]:8080"),
    ],
)
def test_an_unlisted_host_is_refused(entries, url):
    """An entry allows nothing else."""
    assert not lists(entries, url)


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("ftp://a.example", "neither https nor http"),
        ("http://*", "http is for one host only"),
        ("http://*.example.com", "http is for one host only"),
        ("a.*.example", "whose host is no name"),
        ("*example.com", "whose host is no name"),
        ("*.127.0.0.1", "below an address there is nothing"),
        ("*.", "without a host"),
        ("https://", "without a host"),
        ("a.example/path", "whose host is no name"),
        ("a.example:80/path", "cannot be told from its port"),
        ("a.example:0", "port is none"),
        ("a.example:65536", "port is none"),
        ("u:p@a.example", "with credentials"),
        ("300.0.0.1", "no IPv4 address"),
        ("faß.example", "read in two ways"),
        ("-a.example", "whose host is no name"),
    ],
)
def test_an_invalid_entry_is_named(entry, says):
    """The error shows the reason and a valid example."""
    with pytest.raises(ValueError, match="wanted: a host such as") as fault:
        Hosts.read(f"good.example,{entry}", allow_private=False)
    assert repr(entry) in str(fault.value)
    assert says in str(fault.value)


def test_the_length_of_the_list_is_limited():
    """An empty list allows no host."""
    with pytest.raises(ValueError, match="at most 1000"):
        Hosts.read("a.example " * (HOSTS_MAX + 1), allow_private=False)
    assert not Hosts.read(" ,", allow_private=True)
    assert Hosts.read("*", allow_private=False)


def admits(entries, url, address, allow_private=False):
    scheme, _, authority = url.partition("://")
    hosts = Hosts.read(entries, allow_private)
    return hosts.admits(origin(scheme, authority), ipaddress.ip_address(address))


def test_a_name_may_have_a_public_address():
    """The entry that lists it does not matter."""
    assert admits("*", "https://a.example", "8.8.8.8")


@pytest.mark.parametrize("address", ["10.0.0.1", "127.0.0.1", "169.254.169.254", "::1", "fd12::1"])
def test_a_name_may_not_have_another_address(address):
    """Listing the name itself does not help."""
    assert not admits("a.example http://a.example:8080", "https://a.example", address)
    assert not admits("a.example http://a.example:8080", "http://a.example:8080", address)


def test_opening_private_networks_opens_nothing_else():
    """Loopback has Lambda's runtime API, and link-local addresses have credentials."""
    assert admits("*", "https://a.example", "10.0.0.1", allow_private=True)
    assert admits("*", "https://10.0.0.1", "10.0.0.1", allow_private=True)
    for address in ("127.0.0.1", "169.254.169.254", "fd00:ec2::254", "::ffff:127.0.0.1", "0.0.0.0"):
        assert not admits("*", "https://a.example", address, allow_private=True)


def test_a_listed_address_is_allowed_by_itself():
    """`localhost` is loopback and nothing else."""
    assert admits("http://127.0.0.1:8080", "http://127.0.0.1:8080", "127.0.0.1")
    assert admits("10.0.0.1", "https://10.0.0.1", "10.0.0.1")
    assert admits("http://localhost:8080", "http://localhost:8080", "::1")
    assert not admits("http://localhost:8080", "http://localhost:8080", "10.0.0.1")
    assert not admits("* http://127.0.0.1:8080", "https://127.0.0.1", "127.0.0.1")
