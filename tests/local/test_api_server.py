"""The API over a virtual stack on loopback, for clients and the console."""

import json
import threading
import urllib.error
import urllib.request
from email.utils import parsedate_to_datetime

import pytest

from punctual.local.api_server import ApiServer
from punctual.testing import Stack

DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@pytest.fixture
def server():
    with ApiServer(lambda: Stack(ApiEnabled=True)) as server:
        yield server


def ask(server, method, path, body=None, key=None):
    content = None if body is None else json.dumps(body).encode()
    headers = {} if key is None else {"X-Api-Key": key}
    request = urllib.request.Request(server.url + path, content, headers, method=method)
    try:
        answer = DIRECT.open(request, timeout=60)
    except urllib.error.HTTPError as failure:
        answer = failure
    with answer:
        return answer.status, answer.headers, answer.read().decode()


def test_a_request_reaches_the_stack_from_any_thread(server):
    """The stack runs in a thread of its own, and every request waits for its turn."""
    key, statuses = server.new_key("data"), []

    def create():
        statuses.append(ask(server, "POST", "/schedules", {"delay": 60, "data": "x"}, key)[0])

    threads = [threading.Thread(target=create) for _ in range(5)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert [201] * 5 == statuses
    server.run(lambda stack: stack.advance(minutes=2))
    assert 5 == server.run(lambda stack: len(stack.released()))


def test_the_date_of_an_answer_is_that_of_the_stack(server):
    """The console counts the time from it."""
    server.run(lambda stack: stack.advance(days=1))
    _, headers, _ = ask(server, "GET", "/openapi.json")
    assert "2030-01-02T00:00:00+00:00" == parsedate_to_datetime(headers["Date"]).isoformat()
    assert 1 == len(headers.get_all("Date"))


def test_the_console_is_below_the_address_of_the_api(server):
    """A last slash is removed, because the links of the page are relative."""
    assert "<html" in ask(server, "GET", "/console")[2]
    assert "<html" in ask(server, "GET", "/console/")[2]


def test_an_unknown_method_is_not_found(server):
    """As with API Gateway."""
    for method in ("TRACE", "QUERY", "HEAD"):
        assert 404 == ask(server, method, "/status")[0]


def test_a_stack_that_cannot_be_made_leaves_no_thread_behind():
    """The error is that of the stack."""
    before = threading.active_count()
    with pytest.raises(ValueError, match="not a parameter"):
        ApiServer(lambda: Stack(Nonsense=True))
    assert before == threading.active_count()
