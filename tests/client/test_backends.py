"""AWS, the testing stack and the script of these tests follow the same rules towards the client."""

import threading

import boto3
import pytest

from punctual.client.backend import AwsBackend
from punctual.testing import Stack


@pytest.fixture(params=["aws", "stack", "script"])
def backend(request, scripted):
    if request.param == "aws":
        session = boto3.Session(aws_access_key_id="t", aws_secret_access_key="t", region_name="eu-central-1")
        return AwsBackend(session)
    return Stack().backend() if request.param == "stack" else scripted({})[1].backend()


def test_no_two_requests_have_one_token(backend):
    """The client asks for the token of a request before it sends any."""
    assert 100 == len({backend.new_token() for _ in range(100)})


def test_a_sleep_moves_both_clocks(backend):
    """By at least its time, for a machine may wake late. Now is in seconds since 1970."""
    now_s, steady_s = backend.now(), backend.steady()
    assert now_s > 1_700_000_000
    backend.sleep(0.01)
    assert backend.steady() - steady_s > 0.009
    assert backend.now() > now_s


def test_the_holder_of_the_lock_may_take_it_again(backend):
    with backend.lock(), backend.lock():
        pass


def test_threads_take_the_lock_in_turns_where_they_may_call_at_once(backend):
    """A backend that is not parallel has no second thread, and needs no lock."""
    if not backend.parallel:
        return
    waiting, taken = threading.Event(), threading.Event()

    def take():
        waiting.set()
        with backend.lock():
            taken.set()

    other = threading.Thread(target=take)
    with backend.lock():
        other.start()
        assert waiting.wait(60)
        assert not taken.is_set()
    other.join(60)
    assert taken.is_set()


def test_a_client_is_that_of_the_service_and_is_made_anew_after_a_close(backend):
    """Closing twice is no error."""
    assert callable(backend.client("lambda").invoke)
    for _ in range(2):
        backend.close()
    assert callable(backend.client("lambda").invoke)
