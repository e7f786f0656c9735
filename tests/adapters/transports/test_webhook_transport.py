"""The webhook transport against real servers on loopback: their requests, and their attacks."""

from __future__ import annotations

import base64
import errno
import hashlib
import hmac
import ipaddress
import json
import socket
import ssl
import time
from types import SimpleNamespace
from urllib.parse import quote

import pytest
from cryptography import x509

from fakes import NOON_MS
from receiver import Authority, answer, endless, raw, receiving, silent
from scheduler.errors import Undelivered
from scheduler.limits import DATA_BYTES_MAX
from scheduler.model.schedule import Key, Schedule
from scheduler.transports.webhook import RETRY_AFTER_S_MAX, WebhookTransport, retry_after_s
from scheduler.webhooks import webhook
from scheduler.webhooks.allowed_hosts import Hosts
from scheduler.webhooks.bounded_connection import Bounds

NOW_S = NOON_MS / 1000
ID = "3-001893456000000-00000000000000ff"
SHORT = Bounds(resolve_s=0.2, connect_s=0.2, read_s=0.2, total_s=0.4)
TRUSTS_NONE = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Reading the certificates that the transport trusts takes longer than most tests."""
CUT_OFF_S = 2
"""Far above the time limits, for a busy machine, and far below the length of the endless answers."""
NEW, OLD = b"n" * 24, b"o" * 32


def clock():
    return NOW_S


def schedule(data="", **target):
    text = webhook.checked(target, Hosts.read("* *:8443 http://localhost http://a.example", True))
    return Schedule(Key("3", "001893456000000#00000000000000ff"), NOON_MS + 1, data, text)


def aimed(receiver, data="some payload", path="/", **fields):
    """Return a schedule for this receiver, as read from the table."""
    text = json.dumps({"url": f"http://127.0.0.1:{receiver.port}{path}", **fields})
    return Schedule(Key("3", "001893456000000#00000000000000ff"), NOON_MS + 1, data, text)


def transport(receiver, *secrets, **given):
    hosts = Hosts.read(f"http://127.0.0.1:{receiver.port}", allow_private=False)
    return WebhookTransport(hosts, lambda: secrets, clock, **{"bounds": SHORT, "context": TRUSTS_NONE, **given})


def sent(data="some payload", path="/", secrets=(), **fields):
    """Deliver and return the request that the receiver got."""
    with receiving() as receiver:
        transport(receiver, *secrets).deliver(aimed(receiver, data, path, **fields))
        (request,) = receiver.requests
        return request


def undelivered_by(sender, due):
    with pytest.raises(Undelivered) as undelivered:
        sender.deliver(due)
    return undelivered.value


def refused(behaviour, data="some payload", path="/", **fields):
    """Deliver and return the failure."""
    with receiving(behaviour) as receiver:
        return undelivered_by(transport(receiver), aimed(receiver, data, path, **fields))


# The request


def test_data_is_posted_unchanged():
    """Headers name us, the schedule and its due time."""
    request = sent("Grüße 🎉\n", "/a/%2f?b=c%20d")
    assert "POST /a/%2f?b=c%20d HTTP/1.1" == request.line
    assert "Grüße 🎉\n".encode() == request.body
    assert "text/plain; charset=utf-8" == request.headers["content-type"]
    assert "punctual" == request.headers["user-agent"]
    assert (ID, "1893456000.001") == (request.headers["punctual-id"], request.headers["punctual-due"])
    assert request.headers["host"].startswith("127.0.0.1:")
    assert "close" == request.headers["connection"]
    assert not [name for name in request.names if name.startswith("webhook-")]
    assert len(set(request.names)) == len(request.names)


@pytest.mark.parametrize(
    ("data", "content_type"),
    [
        ("{}", "application/json"),
        ('[1, {"a": "ü"}]', "application/json"),
        (' {"a": 1}\n', "application/json"),
        ("5", "text/plain; charset=utf-8"),
        ('"text"', "text/plain; charset=utf-8"),
        ("{not json}", "text/plain; charset=utf-8"),
        ("[NaN]", "text/plain; charset=utf-8"),
        ("[" * 200_000, "text/plain; charset=utf-8"),
    ],
)
def test_only_an_object_or_a_list_is_json(data, content_type):
    """Other JSON may be a text that happens to be a number."""
    request = sent(data)
    assert content_type == request.headers["content-type"]
    assert data.encode() == request.body


def test_the_largest_data_arrives():
    """Every byte is equal."""
    data = "ü" * (DATA_BYTES_MAX // 2)
    assert data.encode() == sent(data).body


def test_a_request_without_data_is_a_get():
    """It has no headers about a body."""
    request = sent("")
    assert "GET / HTTP/1.1" == request.line
    assert not {"content-type", "content-length"} & set(request.names)


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "PURGE"])
def test_any_method_carries_the_data(method):
    """A GET does as well, if the caller asks for it."""
    request = sent("x=1", method=method)
    assert (f"{method} / HTTP/1.1", b"x=1") == (request.line, request.body)


def test_a_post_without_data_has_length_zero():
    """Some servers would wait for a body."""
    request = sent("", method="POST")
    assert ("POST / HTTP/1.1", "0") == (request.line, request.headers["content-length"])


def test_the_callers_headers_and_cookies_are_sent():
    """They take precedence over ours, in any letter case."""
    request = sent(
        "{}",
        headers={
            "Content-Type": "application/cloudevents+json",
            "USER-AGENT": "me",
            "X-Käse".replace("ä", "a"): "Käse",
        },
        cookies={"session": "a=b", "theme": "dark"},
    )
    assert "application/cloudevents+json" == request.headers["content-type"]
    assert ("me", "Käse") == (request.headers["user-agent"], request.headers["x-kase"])
    assert "session=a=b; theme=dark" == request.headers["cookie"]
    assert len(set(request.names)) == len(request.names)


def test_a_path_with_two_slashes_is_a_path():
    """It is not another host."""
    assert "GET //other.example:1/a HTTP/1.1" == sent("", "//other.example:1/a").line


def test_a_receiver_can_verify_the_signature():
    """By the convention, it covers id, time and body, with the newest secret or the one before."""
    request = sent('{"a":"ü"}', secrets=(NEW, OLD))
    assert (ID, str(int(NOW_S))) == (request.headers["webhook-id"], request.headers["webhook-timestamp"])
    content = f"{ID}.{int(NOW_S)}.".encode() + request.body
    expected = [f"v1,{base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()}" for key in (NEW, OLD)]
    assert expected == request.headers["webhook-signature"].split(" ")


def test_nothing_is_sent_without_the_secret():
    """The receiver would refuse it, so it is tried again."""

    def none():
        raise Undelivered("the secret cannot be had")

    with receiving() as receiver:
        hosts = Hosts.read(f"http://127.0.0.1:{receiver.port}", allow_private=False)
        with pytest.raises(Undelivered, match="cannot be had"):
            WebhookTransport(hosts, none, clock, bounds=SHORT).deliver(aimed(receiver))
        assert 0 == receiver.connections


def test_the_environment_changes_nothing(monkeypatch):
    """No proxy, no other certificates, no log of keys."""
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "SSL_CERT_FILE", "SSLKEYLOGFILE"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert b"some payload" == sent().body


# The answer


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_2xx_is_delivered(status):
    """The rest of the answer does not matter."""
    with receiving(answer(status, b"" if status == 204 else b"thanks")) as receiver:
        transport(receiver).deliver(aimed(receiver))
        assert 1 == len(receiver.requests)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 599])
def test_a_temporary_status_is_tried_again(status):
    """5xx, and the temporary ones of 4xx."""
    failure = refused(answer(status, b"busy\r\n\x1b[31m now"))
    assert (f"answered {status}", False, None, False) == (
        failure.error,
        failure.permanent,
        failure.retry_after_s,
        failure.timed_out,
    )


@pytest.mark.parametrize("before", [[100], [102], [103], [103, 100, 103], [199] * 64], ids=len)
def test_an_informational_status_is_not_the_answer(before):
    """This holds for any 1xx except 101, with or without headers, and its headers do not count."""
    hints = b"".join(b"HTTP/1.1 %d Word\r\nRetry-After: 5\r\n\r\n" % status for status in before)
    with receiving(raw(hints + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")) as receiver:
        transport(receiver).deliver(aimed(receiver))
    failure = refused(raw(hints + b"HTTP/1.1 503 Word\r\nContent-Length: 4\r\n\r\ndown"))
    assert ("answered 503", None) == (failure.error, failure.retry_after_s)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 410, 422])
def test_a_permanent_status_is_not_tried_again(status):
    """The other 4xx."""
    assert refused(answer(status)).permanent


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("http://169.254.169.254/latest/meta-data/", "to another host"),
        ("https://me:hunter2@b.example:8443?hunter2#hunter2", "to no URL of a webhook"),
        ("https://hunter2.b.example\\hunter2", "to another host"),
        ("//hunter2/hunter2", "to another host"),
        ("/hunter2", "to another path"),
        ("https://127.0.0.1/hunter2", "to https on port 443"),
        ("hunter2://", "to no URL of a webhook"),
        ("", "nowhere"),
    ],
)
def test_a_redirect_is_not_followed(status, where, told):
    """The error describes the new place in our own words, because the place may repeat the secret of the URL."""
    with receiving(answer(status, b"", f"Location: {where}")) as receiver:
        failure = undelivered_by(transport(receiver), aimed(receiver, path="/b-example-hunter2"))
        assert f"answered {status}, and redirects are not followed: it leads {told}" == failure.error
        assert failure.permanent
        assert 1 == receiver.connections


@pytest.mark.parametrize(
    ("text", "expected_s"),
    [
        ("0", 0), ("7", 7), (" 120 ", 120), ("900", 900), ("901", 900), ("9" * 4000, 900),
        ("Tue, 01 Jan 2030 00:02:00 GMT", 120), ("Tue, 01 Jan 2030 01:00:00 GMT", 900),
        ("Mon, 31 Dec 2029 23:59:00 GMT", 0),
        ("", None), (None, None), ("soon", None), ("-5", None), ("1.5", None), ("²", None), ("1, 2", None),
        ("Tue, 99 Jan 2030 00:02:00 GMT", None), ("Tue, 01 Jan 99999999 00:02:00 GMT", None),
    ],
)  # fmt: skip
def test_retry_after(text, expected_s):
    """It is in seconds or a date, at most a quarter of an hour. An invalid value counts as none."""
    assert expected_s == retry_after_s(text, NOW_S)


def test_retry_after_is_part_of_the_failure():
    """The retry uses it."""
    assert 30 == refused(answer(429, b"", "Retry-After: 30")).retry_after_s
    assert RETRY_AFTER_S_MAX == refused(answer(503, b"", "retry-after: 86400")).retry_after_s


PAYLOAD = "Пароль от сейфа зелёный, код семьдесят"
ECHOES = {
    "as it came": PAYLOAD,
    "json": json.dumps({"input": PAYLOAD}),
    "json within json": json.dumps(json.dumps(PAYLOAD)),
    "percent": quote(PAYLOAD),
    "html": PAYLOAD.encode("ascii", "xmlcharrefreplace").decode(),
    "base64": base64.b64encode(PAYLOAD.encode()).decode(),
    "hexadecimal": PAYLOAD.encode().hex(),
    "upper case": PAYLOAD.upper(),
    "backwards": PAYLOAD[::-1],
    "short": PAYLOAD[:4],
}


@pytest.mark.parametrize("echo", ECHOES.values(), ids=ECHOES.keys())
@pytest.mark.parametrize("status", [400, 503])
def test_an_error_quotes_nothing_of_an_answer(status, echo):
    """A receiver may repeat the payload in any form, and no comparison finds all of them."""
    body = answer(status, echo.encode(), "Content-Type: text/plain; " + quote(echo))
    assert f"answered {status} with text/plain" == refused(body, data=PAYLOAD).error


@pytest.mark.parametrize(
    ("content_type", "told"),
    [
        ("application/json", " with application/json"),
        ("Text/HTML;charset=utf-8", " with text/html"),
        ("application/vnd.secret+json", ""),
        ("", ""),
    ],
)
def test_an_error_names_common_content_types(content_type, told):
    """They distinguish the page of a load balancer from an answer of the application."""
    assert f"answered 502{told}" == refused(answer(502, b"x", f"Content-Type: {content_type}")).error


# Attacks

NO_HEAD = b"HTTP/1.1 200 OK\r\n"
HINT = b"x" * 9_000
CHUNKED = b"HTTP/1.1 %d Word\r\nTransfer-Encoding: chunked\r\n\r\n"

HOSTILE_ANSWERS = {
    "silence": (silent, "no answer in time", True),
    "hanging up": (raw(b""), "no answer (RemoteDisconnected)", False),
    "no HTTP": (raw(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), "no answer (BadStatusLine)", False),
    "no status": (raw(b"HTTP/1.1 ABC OK\r\n\r\n"), "no answer (BadStatusLine)", False),
    "status of four digits": (raw(b"HTTP/1.1 2000 OK\r\n\r\n"), "no answer (BadStatusLine)", False),
    "first line without an end": (endless(b"HTTP/1.1 200 ", b"x" * 4096), "more than 65536 bytes", False),
    "slow first line": (endless(b"HTTP/1.1 200 ", b"x", 0.02), "no answer in time", True),
    "slow header": (endless(NO_HEAD + b"A: ", b"x", 0.02), "no answer in time", True),
    "slow headers": (endless(NO_HEAD, b"A: b\r\n", 0.02), "no answer in time", True),
    "one header without an end": (endless(NO_HEAD + b"A: ", b"x" * 4096), "", False),
    "headers without an end": (endless(NO_HEAD, b"A: b\r\n" * 100), "more than 65536 bytes", False),
    "huge headers": (raw(NO_HEAD + (b"A: " + b"x" * 60_000 + b"\r\n") * 2), "more than 65536 bytes", False),
    "continue for ever": (endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100), "more than 64 times 1xx", False),
    "hints for ever": (endless(b"", b"HTTP/1.1 103 Hints\r\nLink: </a>\r\n\r\n"), "more than 64 times 1xx", False),
    "huge hints": (endless(b"", b"HTTP/1.1 103 Hints\r\nA: " + HINT + b"\r\n\r\n"), "more than 65536 bytes", False),
    "slow hints": (endless(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n", 0.02), "no answer in time", True),
    "hints and nothing": (raw(b"HTTP/1.1 103 Early Hints\r\n\r\n"), "no answer (RemoteDisconnected)", False),
    "slow continue": (endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.02), "no answer in time", True),
    "another protocol": (answer(101, b"", "Upgrade: websocket", "Connection: Upgrade"), "answered 101", False),
    "endless failure": (endless(b"HTTP/1.1 500 Word\r\n\r\n", b"x" * 4096), "answered 500", False),
    "slow failure": (endless(b"HTTP/1.1 500 Word\r\n\r\n", b"x", 0.02), "answered 500", False),
    "endless chunks": (endless(CHUNKED % 500, b"1000\r\n" + b"x" * 4096 + b"\r\n"), "answered 500", False),
    "endless size of a chunk": (endless(CHUNKED % 500, b"0" * 4096), "answered 500", False),
    "no size of a chunk": (raw(CHUNKED % 500 + b"ZZZ\r\n"), "answered 500", False),
    "negative chunk": (raw(CHUNKED % 500 + b"-5\r\nxxxxx\r\n"), "answered 500", False),
    "giant chunk": (raw(CHUNKED % 500 + b"ffffffffffffffff\r\nxxxxx"), "answered 500", False),
    "endless trailers": (endless(CHUNKED % 500 + b"0\r\n", b"A: b\r\n" * 100), "answered 500", False),
    "giant length": (raw(b"HTTP/1.1 500 Word\r\nContent-Length: 99999999999999\r\n\r\nx"), "answered 500", False),
    "negative length": (raw(b"HTTP/1.1 500 Word\r\nContent-Length: -5\r\n\r\nx"), "answered 500", False),
    "two lengths": (raw(b"HTTP/1.1 500 Word\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxy"), "", False),
    "compressed": (answer(500, b"\x1f\x8b\x08", "Content-Encoding: gzip"), "answered 500", False),
    "broken headers": (raw(b"HTTP/1.1 500 Word\r\n folded\r\nno colon\r\n\x00: \x00\r\n\r\n"), "answered 500", False),
    "line breaks in its words": (answer(500, b'\n{"a": "b"}\r\x00\x9b'), 'answered 500', False),
    "no text": (answer(500, b"\xff\xfe\x80"), "answered 500", False),
}  # fmt: skip


@pytest.mark.parametrize(("behaviour", "says", "timed_out"), HOSTILE_ANSWERS.values(), ids=HOSTILE_ANSWERS.keys())
def test_a_hostile_answer_is_cut_off(behaviour, says, timed_out):
    """Time and size are limited. It is tried again, because the receiver's fault may be temporary."""
    begun_s = time.monotonic()
    failure = refused(behaviour)
    assert time.monotonic() - begun_s < CUT_OFF_S
    assert says in failure.error
    assert (timed_out, False) == (failure.timed_out, failure.permanent)
    assert len(failure.error) < 400
    assert "\n" not in failure.error


@pytest.mark.parametrize(
    "behaviour", [endless(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 4096), endless(CHUNKED % 200, b"x", 0.02)]
)
def test_a_success_stands_whatever_follows_it(behaviour):
    """The status confirms the delivery. The rest is cut off as usual."""
    begun_s = time.monotonic()
    with receiving(behaviour) as receiver:
        transport(receiver).deliver(aimed(receiver))
    assert time.monotonic() - begun_s < CUT_OFF_S


@pytest.mark.parametrize(
    "headers",
    [
        b"".join(b"X-%d: 1\r\n" % number for number in range(2_000)),
        b"".join(b"Set-Cookie: a%d=1\r\n" % number for number in range(101)),
        b"Content-Length: 2\r\n" * 101,
        b"Content-Length: 2\r\nContent-Length: 3\r\n",
        b"Content-Length: 2, 3\r\n",
        b"Content-Length: -5\r\n",
        b"Content-Length: \xb2\r\n",
    ],
    ids=["many", "cookies", "lengths", "two lengths", "two in one", "negative", "no number"],
)
def test_a_success_stands_whatever_its_headers_are(headers):
    """Their number, and what they say about the body, do not matter."""
    with receiving(raw(NO_HEAD + headers + b"\r\nok")) as receiver:
        transport(receiver).deliver(aimed(receiver))
        assert 1 == len(receiver.requests)


def test_relevant_headers_are_found_among_many():
    """They come after more than a hundred others."""
    many = [f"X-{number}: 1" for number in range(200)]
    assert 30 == refused(answer(503, b"", *many, "Retry-After: 30")).retry_after_s


def test_the_total_time_limits_each_step():
    """A single read may take no longer."""
    begun_s = time.monotonic()
    with receiving(silent) as receiver:
        sender = transport(receiver, bounds=Bounds(read_s=5, total_s=0.1))
        assert undelivered_by(sender, aimed(receiver)).timed_out
    assert time.monotonic() - begun_s < CUT_OFF_S


def test_nothing_begins_after_the_deadline():
    """This includes a read that would return at once."""
    with receiving() as receiver:
        failure = undelivered_by(transport(receiver, bounds=Bounds(total_s=0)), aimed(receiver))
        assert ("127.0.0.1: no connection in time", True) == (failure.error, failure.timed_out)
        assert 0 == receiver.connections


def test_a_receiver_that_does_not_read_the_body_is_cut_off():
    """Its window stays closed until the total time is over."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        url = f"http://127.0.0.1:{server.getsockname()[1]}"

        def narrow(address, timeout):
            made = socket.socket()
            made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            made.settimeout(timeout)
            made.connect(address)
            return made

        sender = WebhookTransport(Hosts.read(url, False), tuple, clock, connect=narrow, bounds=SHORT)
        due = Schedule(
            Key("3", "001893456000000#00000000000000ff"), NOON_MS, "x" * DATA_BYTES_MAX, f'{{"url":"{url}"}}'
        )
        with pytest.raises(Undelivered, match="no answer in time") as undelivered:
            sender.deliver(due)
    assert undelivered.value.timed_out


def test_an_unreachable_host_is_tried_again():
    """It may come back."""
    with receiving() as receiver:
        due, sender = aimed(receiver), transport(receiver)
    with pytest.raises(Undelivered, match=r"127.0.0.1: no connection \(Connection refused\)") as undelivered:
        sender.deliver(due)
    assert not undelivered.value.permanent
    assert not undelivered.value.timed_out


@pytest.mark.parametrize(
    "target", ["arn:aws:sqs:eu-central-1:123456789012:q", "{}", "[]", "{", '{"url":"https://10.0.0.1/"}', '{"url":"https://a.example/"}']
)  # fmt: skip
def test_a_target_that_is_no_longer_allowed_is_given_up(target):
    """The transport checks the list of hosts again, because it may have changed."""
    with receiving() as receiver, pytest.raises(Undelivered) as undelivered:
        transport(receiver).deliver(Schedule(Key("3", "001893456000000#00000000000000ff"), NOON_MS, "x", target))
    assert undelivered.value.permanent


# Names and addresses


DUAL = ("93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946")
NO_ROUTE, REFUSED = OSError(errno.ENETUNREACH, "Network is unreachable"), ConnectionRefusedError(111, "refused")
SLOW = TimeoutError("timed out")


def dialled(found, failures):
    """Deliver to a name whose addresses fail like this. Return the failure and the tried addresses."""
    tried = []

    def connect(address, timeout):
        tried.append(address[0])
        raise failures[address[0]]

    def lookup(host, port, **_):
        return [(0, 0, 0, "", (each, port)) for each in found]

    sender = WebhookTransport(
        Hosts.read("a.example", False), tuple, clock, lookup=lookup, connect=connect, bounds=SHORT
    )
    return undelivered_by(sender, schedule("x", url="https://a.example/")), tried


@pytest.mark.parametrize("order", [DUAL, DUAL[::-1]], ids=["4 first", "6 first"])
@pytest.mark.parametrize(
    ("by_4", "by_6", "timed_out"),
    [
        (SLOW, NO_ROUTE, True),
        (SLOW, REFUSED, True),
        (REFUSED, SLOW, True),
        (REFUSED, NO_ROUTE, False),
        (NO_ROUTE, NO_ROUTE, False),
    ],
)
def test_a_timeout_of_one_address_outweighs_other_failures(order, by_4, by_6, timed_out):
    """A dead host gets its cool-down with one kind of address or both, in any order of the resolver's."""
    failure, tried = dialled(order, dict(zip(DUAL, (by_4, by_6), strict=True)))
    assert (timed_out, list(order)) == (failure.timed_out, tried)
    assert ("Connection" in failure.error or "refused" in failure.error) == (REFUSED in (by_4, by_6) and not timed_out)


def test_addresses_without_a_route_do_not_use_up_the_tries():
    """Without IPv6, a host with many IPv6 addresses is reached by IPv4."""
    found = [f"2606:4700::{number}" for number in range(1, 9)] + [f"93.184.216.{number}" for number in range(1, 7)]
    _, tried = dialled(found, {each: NO_ROUTE if ":" in each else REFUSED for each in found})
    assert found[: 8 + SHORT.addresses_max] == tried


class Internet:
    """A resolver with a list of answers, and a network that leads all of them to one receiver."""

    def __init__(self, receiver, *answers, dead=()):
        self.asked, self.dialled = [], []
        self._receiver, self._answers, self._dead = receiver, answers, dead

    def lookup(self, host, port, **_):
        self.asked.append((host, port))
        found = self._answers[min(len(self.asked), len(self._answers)) - 1]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in found]

    def connect(self, address, timeout):
        self.dialled.append(address)
        if address[0] in self._dead:
            raise OSError(errno.EHOSTUNREACH, "No route to host")
        return socket.create_connection(("127.0.0.1", self._receiver.port), timeout)

    def transport(self, hosts="* http://a.example http://localhost", allow_private=False, **given):
        listed = Hosts.read(hosts, allow_private)
        given = {"bounds": SHORT, "context": TRUSTS_NONE, **given}
        return WebhookTransport(listed, tuple, clock, lookup=self.lookup, connect=self.connect, **given)


def test_the_connection_goes_to_the_checked_address():
    """The transport resolves a name once, so a second answer with a private address has no effect."""
    with receiving() as receiver:
        internet = Internet(receiver, ["93.184.216.34"], ["127.0.0.1"])
        internet.transport().deliver(schedule("x", url="http://a.example/"))
        assert ([("a.example", 80)], [("93.184.216.34", 80)]) == (internet.asked, internet.dialled)
        assert "a.example" == receiver.requests[0].headers["host"]


def test_a_name_that_becomes_private_between_two_tries_is_refused():
    """First it is public, then private."""
    with receiving(answer(503)) as receiver:
        internet = Internet(receiver, ["93.184.216.34"], ["10.0.0.1"])
        sender, due = internet.transport(), schedule("x", url="http://a.example/")
        with pytest.raises(Undelivered, match="answered 503"):
            sender.deliver(due)
        with pytest.raises(Undelivered, match=r"a.example is at 10.0.0.1, not an address in public") as undelivered:
            sender.deliver(due)
        assert undelivered.value.permanent
        assert [("93.184.216.34", 80)] == internet.dialled


PRIVATE = [
    "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
    "::1", "::", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "2002:7f00:1::", "fd00:ec2::254",
    "fe80::1%1", "fec0::1",
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
@pytest.mark.parametrize("company", [[], ["93.184.216.34"]], ids=["alone", "behind one in public"])
def test_a_name_with_a_private_address_is_refused(address, company):
    """One such address is enough, and the transport connects to none."""
    with receiving() as receiver:
        internet = Internet(receiver, [*company, address])
        with pytest.raises(Undelivered, match="not an address in public") as undelivered:
            internet.transport().deliver(schedule("x", url="https://a.example/"))
        assert undelivered.value.permanent
        assert [] == internet.dialled


def test_private_networks_are_reached_if_the_owner_opened_them():
    """10.0.0.1 is, but never the machine itself or its metadata."""
    with receiving() as receiver:
        internet = Internet(receiver, ["10.0.0.1"], ["127.0.0.1"], ["169.254.169.254"])
        sender, due = internet.transport(allow_private=True), schedule("x", url="http://a.example/")
        sender.deliver(due)
        for _ in range(2):
            with pytest.raises(Undelivered, match="not an address in public"):
                sender.deliver(due)
        assert [("10.0.0.1", 80)] == internet.dialled


def test_localhost_is_reached_if_the_owner_listed_it():
    """No other host has that name."""
    with receiving() as receiver:
        internet = Internet(receiver, ["127.0.0.1", "::1"], ["10.0.0.1"])
        sender, due = internet.transport(), schedule("x", url="http://localhost/")
        sender.deliver(due)
        with pytest.raises(Undelivered, match="not an address in public"):
            sender.deliver(due)


def test_a_dead_address_is_followed_by_the_next():
    """Most of Lambda has no route to IPv6."""
    with receiving() as receiver:
        internet = Internet(receiver, ["2606:4700::1", "93.184.216.34"], dead=("2606:4700::1",))
        internet.transport().deliver(schedule("x", url="http://a.example/"))
        assert [("2606:4700::1", 80), ("93.184.216.34", 80)] == internet.dialled


def test_the_number_of_tried_addresses_is_limited():
    """The total time is short."""
    addresses = [f"8.8.8.{number}" for number in range(9)]
    with receiving() as receiver:
        internet = Internet(receiver, addresses, dead=addresses)
        with pytest.raises(Undelivered, match=r"no connection \(No route to host\)"):
            internet.transport().deliver(schedule("x", url="http://a.example/"))
        assert SHORT.addresses_max == len(internet.dialled)


def test_a_name_that_is_not_found_is_tried_again():
    """Resolvers have temporary failures, too."""
    with receiving() as receiver, pytest.raises(Undelivered, match=r"a.example: not resolved") as undelivered:
        Internet(receiver, []).transport().deliver(schedule("x", url="http://a.example/"))
    assert not undelivered.value.permanent


def test_a_resolver_that_hangs_is_cut_off():
    """A hostile name server may never answer."""

    def hang(*_, **__):
        time.sleep(1)
        return []

    sender = WebhookTransport(Hosts.read("a.example", False), tuple, clock, lookup=hang, bounds=SHORT)
    with pytest.raises(Undelivered, match="not resolved in time") as undelivered:
        sender.deliver(schedule("x", url="https://a.example/"))
    assert undelivered.value.timed_out


# TLS


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


def test_the_certificate_is_checked_for_the_name(authority):
    """The connection goes to an address. SNI, certificate and Host use the name."""
    asked = []
    with receiving(context=authority.serving(x509.DNSName("a.example"), asked)) as receiver:
        internet = Internet(receiver, ["93.184.216.34"])
        internet.transport(context=authority.trusting()).deliver(schedule("x", url="https://a.example/"))
        assert (["a.example"], [("93.184.216.34", 443)]) == (asked, internet.dialled)
        assert "a.example" == receiver.requests[0].headers["host"]


def test_a_custom_port_is_in_the_host_header(authority):
    """RFC 9110 requires it."""
    with receiving(context=authority.serving(x509.DNSName("a.example"), [])) as receiver:
        internet = Internet(receiver, ["93.184.216.34"])
        sender = internet.transport("*:8443", context=authority.trusting())
        sender.deliver(schedule("x", url="https://a.example:8443/"))
        assert "a.example:8443" == receiver.requests[0].headers["host"]


def test_an_address_has_its_own_certificate(authority):
    """The client sends no server name."""
    asked = []
    host = x509.IPAddress(ipaddress.ip_address("2606:4700::1"))
    with receiving(context=authority.serving(host, asked)) as receiver:
        internet = Internet(receiver)
        internet.transport(context=authority.trusting()).deliver(schedule("x", url="https://[2606:4700::1]/"))
        assert ([None], [("2606:4700::1", 443)], []) == (asked, internet.dialled, internet.asked)
        assert "[2606:4700::1]" == receiver.requests[0].headers["host"]


@pytest.mark.parametrize(
    "host",
    [
        x509.DNSName("b.example"),
        x509.DNSName("*.a.example"),
        x509.DNSName("a.example.evil.example"),
        x509.IPAddress(ipaddress.ip_address("93.184.216.34")),
    ],
    ids=["another", "below it", "longer", "its address"],
)
def test_a_certificate_for_another_host_is_refused(authority, host):
    """Nothing is sent, and it is tried again, because the owner may correct it."""
    with receiving(context=authority.serving(host, [])) as receiver:
        internet = Internet(receiver, ["93.184.216.34"])
        with pytest.raises(
            Undelivered, match=r"a.example: its certificate: .*not valid for 'a.example'"
        ) as undelivered:
            internet.transport(context=authority.trusting()).deliver(schedule("x", url="https://a.example/"))
        assert not undelivered.value.permanent
        assert [] == receiver.requests


def test_a_certificate_of_an_unknown_authority_is_refused(authority):
    """Without a context of the test, botocore's authorities count."""
    with receiving(context=authority.serving(x509.DNSName("a.example"), [])) as receiver:
        with pytest.raises(Undelivered, match=r"its certificate: unable to get local issuer"):
            Internet(receiver, ["93.184.216.34"]).transport(context=None).deliver(
                schedule("x", url="https://a.example/")
            )
        assert [] == receiver.requests


def test_a_server_without_tls_gets_nothing():
    """It does not even get the path."""
    with receiving(raw(b"")) as receiver:
        with pytest.raises(Undelivered, match=r"a.example: no connection"):
            Internet(receiver, ["93.184.216.34"]).transport().deliver(schedule("x", url="https://a.example/"))
        assert [] == receiver.requests


def test_a_handshake_that_hangs_is_cut_off():
    """The connect timeout covers it."""
    begun_s = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as server:
        internet = Internet(SimpleNamespace(port=server.getsockname()[1]), ["93.184.216.34"])
        due = schedule("x", url="https://a.example/")
        failure = undelivered_by(internet.transport(), due)
    assert ("a.example: no connection in time", True) == (failure.error, failure.timed_out)
    assert time.monotonic() - begun_s < CUT_OFF_S


@pytest.mark.parametrize("behaviour", [silent, endless(NO_HEAD, b"A: b\r\n", 0.02)], ids=["silence", "slow headers"])
def test_limits_hold_under_tls(authority, behaviour):
    """More than one call reads a record."""
    begun_s = time.monotonic()
    with receiving(behaviour, context=authority.serving(x509.DNSName("a.example"), [])) as receiver:
        sender = Internet(receiver, ["93.184.216.34"]).transport(context=authority.trusting())
        with pytest.raises(Undelivered, match="no answer in time") as undelivered:
            sender.deliver(schedule("x", url="https://a.example/"))
    assert undelivered.value.timed_out
    assert time.monotonic() - begun_s < CUT_OFF_S


# Secrets


@pytest.mark.parametrize("behaviour", [answer(500, b"down"), raw(b"HTTP/1.1 500 X\r\n hunter2\r\n\r\n"), silent])
def test_neither_errors_nor_logs_show_secrets(behaviour, caplog, capfd):
    """This covers the path of the URL, which is secret for many services, and headers, cookies, data and keys."""
    caplog.set_level("DEBUG")
    with receiving(behaviour) as receiver, pytest.raises(Undelivered) as undelivered:
        transport(receiver, b"hunter2-" * 4).deliver(
            aimed(receiver, "hunter2", "/hunter2?hunter2", headers={"a": "hunter2"}, cookies={"b": "hunter2"})
        )
    told = undelivered.value.error + caplog.text + "".join(capfd.readouterr())
    assert "hunter2" not in told
    assert "127.0.0.1" in undelivered.value.error or "500" in undelivered.value.error
