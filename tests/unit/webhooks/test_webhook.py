"""Webhook targets: what is accepted, how it is stored, and what is refused before any request."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.errors import InvalidSchedule
from scheduler.limits import TARGET_BYTES_MAX
from scheduler.webhooks import webhook as webhooks
from scheduler.webhooks.allowed_hosts import Hosts

HOSTS = Hosts.read("api.example.com *.hooks.example api.example.com:8443 http://127.0.0.1:8080 bücher.example", False)
ANYWHERE = Hosts.read("*, *:8443", allow_private=False)
URL = "https://api.example.com/path"


def checked(value, hosts=HOSTS):
    return webhooks.checked(value, hosts)


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://api.example.com", "https://api.example.com/"),
        ("HTTPS://API.Example.com:443/A/../b?x=Y", "https://api.example.com/A/../b?x=Y"),
        ("https://api.example.com.:8443/", "https://api.example.com:8443/"),
        ("https://api.example.com?a=1&b[]=2", "https://api.example.com/?a=1&b%5B%5D=2"),
        ("https://api.example.com/a#fragment", "https://api.example.com/a"),
        ("https://api.example.com/%2f/ü/🎉?ü", "https://api.example.com/%2f/%C3%BC/%F0%9F%8E%89?%C3%BC"),
        ("https://api.example.com//other.example/", "https://api.example.com//other.example/"),
        ("https://api.example.com/a@b:c", "https://api.example.com/a@b:c"),
        ("https://a.b.hooks.example/", "https://a.b.hooks.example/"),
        ("https://BÜCHER.example/", "https://xn--bcher-kva.example/"),
        ("http://127.0.0.1:8080/x", "http://127.0.0.1:8080/x"),
        ("http://0x7f.1:8080/x", "http://127.0.0.1:8080/x"),
    ],
)
def test_a_url_is_stored_in_its_canonical_form(url, kept):
    """The host as it is resolved and the path as it is sent. A fragment is never sent."""
    assert {"url": kept} == json.loads(checked({"url": url}))
    assert checked({"url": url}) == checked({"url": kept})


def test_the_text_is_compact_and_has_only_the_given_fields():
    """The fields are in the order of the contract, without empty ones."""
    value = {
        "cookies": {"session": "a=b", "theme": "dark blue"},
        "headers": {"X-Name": "Käse", "Authorization": "Bearer x"},
        "method": "patch",
        "url": URL,
    }
    assert (
        '{"url":"https://api.example.com/path","method":"PATCH",'
        '"headers":{"X-Name":"Käse","Authorization":"Bearer x"},"cookies":{"session":"a=b","theme":"dark blue"}}'
    ) == checked(value)
    assert '{"url":"https://api.example.com/path"}' == checked({"url": URL, "headers": {}, "cookies": {}})


def test_a_stored_text_is_read_back_unchanged():
    """The transport reads it by the same rules."""
    value = {"url": URL + "?a=%20&ü", "method": "GET", "headers": {"a": "b"}, "cookies": {"c": "d"}}
    text = checked(value)
    assert text == checked(json.loads(text))


HOSTILE_URLS = {
    "no scheme": ("api.example.com/path", "no absolute URL"),
    "scheme of the page": ("//api.example.com/", "no absolute URL"),
    "no slashes": ("https:api.example.com", "no absolute URL"),
    "one slash": ("https:/api.example.com", "no absolute URL"),
    "nothing": ("", "no absolute URL"),
    "file": ("file:///etc/passwd", "neither https nor http"),
    "ftp": ("ftp://api.example.com/", "neither https nor http"),
    "gopher": ("gopher://127.0.0.1:6379/_FLUSHALL", "neither https nor http"),
    "data": ("data:text/plain,x", "no absolute URL"),
    "javascript": ("javascript:alert(1)", "no absolute URL"),
    "unix socket": ("http+unix://%2Fvar%2Frun%2Fdocker.sock/", "neither https nor http"),
    "plain http": ("http://api.example.com/", "not listed"),
    "credentials": ("https://user:pass@api.example.com/", "with credentials"),
    "user alone": ("https://user@api.example.com/", "with credentials"),
    "host as credentials": ("https://api.example.com@evil.example/", "with credentials"),
    "host as password": ("https://api.example.com:443@evil.example/", "with credentials"),
    "percent in credentials": ("https://api.example.com%40evil.example/", "whose host is no name"),
    "no host": ("https:///path", "without a host"),
    "port alone": ("https://:443/", "without a host"),
    "dot alone": ("https://./", "whose host is no name"),
    "two dots": ("https://api..example.com/", "whose host is no name"),
    "two dots at the end": ("https://api.example.com../", "whose host is no name"),
    "wildcard": ("https://*.hooks.example/", "whose host is no name"),
    "percent in the host": ("https://api%2eexample.com/", "whose host is no name"),
    "host of 300": (f"https://{'a.' * 150}example/", "whose host has 307 characters"),
    "label of 64": (f"https://{'a' * 64}.hooks.example/", "whose host is no name"),
    "backslash": ("https://api.example.com\\@evil.example/", "holds U+005C at position 23"),
    "backslash for slash": ("https:\\\\api.example.com/", "holds U+005C"),
    "space": ("https://api.example.com/a b", "holds U+0020"),
    "space in front": (" https://api.example.com/", "holds U+0020 at position 0"),
    "tab in the host": ("https://api.exam\tple.com/", "holds U+0009"),
    "line break in the path": ("https://api.example.com/\r\nX-Evil: 1", "holds U+000D"),
    "null": ("https://api.example.com/\x00", "holds U+0000"),
    "delete": ("https://api.example.com/\x7f", "holds U+007F"),
    "no-break space": ("https://api.example.com/\xa0", "holds U+00A0"),
    "line separator": ("https://api.example.com/\u2028", "holds U+2028"),
    "lone surrogate": ("https://api.example.com/\ud800", "holds U+D800"),
    "bare percent": ("https://api.example.com/100%", "a % without two hexadecimal digits at position 27"),
    "port 0": ("https://api.example.com:0/", "port is none"),
    "port 65536": ("https://api.example.com:65536/", "port is none"),
    "port of a word": ("https://api.example.com:https/", "cannot be told from its port"),
    "port of other digits": ("https://api.example.com:４４３/", "cannot be told from its port"),
    "port not listed": ("https://api.example.com:22/", "not listed"),
    "host not listed": ("https://evil.example/", "not listed"),
    "listed as a beginning": ("https://api.example.com.evil.example/", "not listed"),
    "listed as an end": ("https://evilapi.example.com/", "not listed"),
    "bare domain of a wildcard": ("https://hooks.example/", "not listed"),
    "two readings of sharp s": ("https://faß.hooks.example/", "read in two ways"),
    "invisible joiner": ("https://a\u200db.hooks.example/", "read in two ways"),
    "wide slash": ("https://evil.example\uff0f.hooks.example/", "whose host is no"),
    "wide at sign": ("https://api.example.com\uff20evil.hooks.example/", "whose host is no"),
    "zone": ("https://[fe80::1%25eth0]/", "or one with a zone"),
    "half a literal": ("https://[::1/", "cannot be told from its port"),
    "junk behind a literal": ("https://[::1]evil.example/", "cannot be told from its port"),
    "not an IPv6 address": ("https://[::g]/", "::g"),
    "not an IPv4 address": ("https://1.2.3.256/", "no IPv4 address"),
    "five numbers": ("https://1.2.3.4.5/", "no IPv4 address"),
    "eight in octal": ("https://127.0.0.08/", "no IPv4 address"),
}


@pytest.mark.parametrize(("url", "says"), HOSTILE_URLS.values(), ids=HOSTILE_URLS.keys())
def test_an_ambiguous_url_is_refused(url, says):
    """The error comes with the request and shows neither credentials nor paths."""
    with pytest.raises(InvalidSchedule, match="wanted: an absolute URL") as refusal:
        checked({"url": url})
    message = str(refusal.value)
    assert message.startswith("target.url ")
    assert says in message
    assert "pass@" not in message
    assert "passwd" not in message


HOSTILE_ADDRESSES = {
    "loopback": "127.0.0.1",
    "all of loopback": "127.8.8.8",
    "short": "127.1",
    "decimal": "2130706433",
    "octal": "0177.0.0.1",
    "octal in one": "017700000001",
    "hexadecimal": "0x7f000001",
    "hexadecimal in parts": "0x7f.0x0.0x0.0x1",
    "mixed": "0x7f.0.01",
    "wide digits": "１２７.０.０.１",
    "ideographic dots": "127。0。0。1",
    "dot at the end": "127.0.0.1.",
    "unspecified": "0.0.0.0",
    "zero": "0",
    "this network": "0.1.2.3",
    "broadcast": "255.255.255.255",
    "multicast": "224.0.0.1",
    "reserved": "240.0.0.1",
    "ten": "10.0.0.1",
    "172.16": "172.31.255.254",
    "192.168": "192.168.1.1",
    "carrier": "100.64.0.1",
    "metadata": "169.254.169.254",
    "metadata in decimal": "2852039166",
    "metadata in hexadecimal": "0xa9fea9fe",
    "container credentials": "169.254.170.2",
    "benchmarks": "198.18.0.1",
    "IPv6 loopback": "[::1]",
    "IPv6 loopback at length": "[0:0:0:0:0:0:0:1]",
    "IPv6 unspecified": "[::]",
    "mapped loopback": "[::ffff:127.0.0.1]",
    "mapped in hexadecimal": "[::ffff:7f00:1]",
    "mapped metadata": "[::ffff:169.254.169.254]",
    "compatible loopback": "[::127.0.0.1]",
    "NAT64 loopback": "[64:ff9b::127.0.0.1]",
    "local NAT64": "[64:ff9b:1::1]",
    "6to4 loopback": "[2002:7f00:1::]",
    "Teredo": "[2001:0:7f00:1::]",
    "unique local": "[fd12:3456::1]",
    "IPv6 metadata": "[fd00:ec2::254]",
    "IPv6 link-local": "[fe80::1]",
    "site-local": "[fec0::1]",
    "IPv6 multicast": "[ff02::1]",
    "documentation": "[2001:db8::1]",
}


@pytest.mark.parametrize("host", HOSTILE_ADDRESSES.values(), ids=HOSTILE_ADDRESSES.keys())
def test_a_non_public_address_is_refused_at_once(host):
    """Any spelling is refused, even if every host is listed."""
    with pytest.raises(InvalidSchedule, match="not an address in public"):
        checked({"url": f"https://{host}/"}, ANYWHERE)


@pytest.mark.parametrize("host", ["127.0.0.1", "169.254.169.254", "[::1]", "[fe80::1]", "0.0.0.0", "[fd00:ec2::254]"])
def test_opening_private_networks_does_not_open_the_machine_itself(host):
    """WebhookAllowPrivate opens 10.0.0.1, and none of these."""
    hosts = Hosts.read("*", allow_private=True)
    assert "10.0.0.1" in checked({"url": "https://10.0.0.1/"}, hosts)
    with pytest.raises(InvalidSchedule, match="not an address in public"):
        checked({"url": f"https://{host}/"}, hosts)


def test_the_error_for_an_unlisted_host_says_how_to_list_it():
    """The list is a parameter of the stack, so it needs a deployment."""
    with pytest.raises(InvalidSchedule, match=r"not listed; wanted: .*; to list this host, add it to the stack's Web"):
        checked({"url": "https://evil.example/"})


def test_a_target_accepted_earlier_is_still_read():
    """The table may hold a method that is refused today, or a header that urllib3 omits."""
    value = {"url": URL, "method": "FETCH", "headers": {"User-Agent": "@@@SKIP_HEADER@@@"}}
    webhook = webhooks.parse(json.loads(checked(value)), HOSTS)
    assert ("FETCH", value["headers"]) == (webhook.method, webhook.headers)


def with_header(name, value):
    return {"url": URL, "headers": {name: value}}


def with_cookie(name, value):
    return {"url": URL, "cookies": {name: value}}


HOSTILE_FIELDS = {
    "no url": ({}, "target.url is null"),
    "url is a number": ({"url": 5}, "target.url is 5"),
    "unknown field": ({"url": URL, "metod": "GET"}, "'metod' is not a field of a webhook; accepted are url, method"),
    "envelope": ({"url": URL, "envelope": True}, "'envelope' is not a field of a webhook"),
    "method is null": ({"url": URL, "method": None}, "target.method is null"),
    "method is empty": ({"url": URL, "method": ""}, "target.method is ''"),
    "method with a request in it": ({"url": URL, "method": "GET / HTTP/1.1\r\nX: y"}, "target.method is 'GET / HTTP"),
    "method is too long": ({"url": URL, "method": "X" * 33}, "target.method is 'XXX"),
    "CONNECT": ({"url": URL, "method": "connect"}, "target.method is CONNECT, which asks a proxy"),
    "TRACE": ({"url": URL, "method": "TRACE"}, "target.method is TRACE, which has the receiver"),
    "headers are a list": ({"url": URL, "headers": [["a", "b"]]}, "target.headers is a list of 1"),
    "headers are null": ({"url": URL, "headers": None}, "target.headers is null"),
    "too many headers": ({"url": URL, "headers": {f"a{n}": "" for n in range(65)}}, "an object with 65 fields"),
    "header without a name": (with_header("", "x"), "has the name ''"),
    "header name with a colon": (with_header("a:b", "x"), "has the name 'a:b'"),
    "header name with a space": (with_header("a ", "x"), "has the name 'a '"),
    "header name with a break": (with_header("a\r\nb", "x"), "has the name"),
    "header name beyond ASCII": (with_header("ä", "x"), "has the name"),
    "header is a number": (with_header("a", 5), "target.headers['a'] is 5"),
    "header with a break": (with_header("a", "b\r\nX-Evil: 1"), "target.headers['a'] holds U+000D at position 1"),
    "header with a feed": (with_header("a", "hunter\n"), "target.headers['a'] holds U+000A at position 6"),
    "header with a fold": (with_header("a", "b\r\n c"), "holds U+000D"),
    "header with null": (with_header("a", "\x00"), "holds U+0000"),
    "header with next line": (with_header("a", "b\x85c"), "holds U+0085"),
    "header with a line separator": (with_header("a", "b\u2028c"), "holds U+2028"),
    "header beyond Latin-1": (with_header("a", "日本"), "holds U+65E5 at position 0"),
    "host": (with_header("Host", "evil.example"), "target.headers['Host'] is not for callers to set"),
    "content length": (with_header("content-length", "0"), "not for callers"),
    "transfer encoding": (with_header("Transfer-Encoding", "chunked"), "not for callers"),
    "connection": (with_header("Connection", "x-forwarded-for"), "not for callers"),
    "upgrade": (with_header("Upgrade", "h2c"), "not for callers"),
    "te": (with_header("TE", "trailers"), "not for callers"),
    "expect": (with_header("Expect", "100-continue"), "not for callers"),
    "proxy authorization": (with_header("Proxy-Authorization", "Basic eA=="), "not for callers"),
    "signature": (with_header("Webhook-Signature", "v1,x"), "not for callers"),
    "signed id": (with_header("webhook-id", "x"), "not for callers"),
    "signed time": (with_header("webhook-timestamp", "1"), "not for callers"),
    "our id": (with_header("Punctual-Id", "x"), "not for callers"),
    "one header twice": ({"url": URL, "headers": {"a": "1", "A": "2"}}, "target.headers has 'A' twice"),
    "cookies are text": ({"url": URL, "cookies": "a=b"}, "target.cookies is 'a=b'"),
    "too many cookies": ({"url": URL, "cookies": {f"a{n}": "" for n in range(65)}}, "an object with 65 fields"),
    "cookie name": (with_cookie("a=b", "c"), "target.cookies has the name 'a=b'"),
    "cookie with another": (with_cookie("a", "b; admin=1"), "target.cookies['a'] holds U+003B at position 1"),
    "cookie with a break": (with_cookie("a", "b\r\nX: y"), "holds U+000D"),
    "cookie with a space at its end": (with_cookie("a", "b "), "holds U+0020 at position 1"),
    "cookie beyond ASCII": (with_cookie("a", "ü"), "holds U+00FC"),
    "cookies twice": ({"url": URL, "headers": {"Cookie": "a=b"}, "cookies": {"a": "b"}}, "wanted: one of them"),
    "too large": (with_header("a", "x" * TARGET_BYTES_MAX), "target is a webhook of 16441 bytes; wanted: at most"),
}


@pytest.mark.parametrize(("value", "says"), HOSTILE_FIELDS.values(), ids=HOSTILE_FIELDS.keys())
def test_an_invalid_request_field_is_refused(value, says):
    """The error names the field and never shows a possible secret."""
    with pytest.raises(InvalidSchedule) as refusal:
        checked(value)
    message = str(refusal.value)
    assert says in message
    assert "wanted: " in message or "accepted are " in message
    assert "hunter" not in message
    assert len(message) < 400


@given(st.text(max_size=80))
def test_any_text_is_a_webhook_or_refused(text):
    """No text raises another exception."""
    for value in ({"url": text}, {"url": f"https://{text}"}, {"url": URL, "method": text}, with_header("a", text)):
        try:
            kept = checked(value, ANYWHERE)
        except InvalidSchedule:
            continue
        assert kept == checked(json.loads(kept), ANYWHERE)
        assert "\n" not in json.loads(kept)["url"]
