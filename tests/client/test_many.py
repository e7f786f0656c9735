"""A stream of requests in batches, against the virtual stack."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from punctual import AccessDenied, InvalidSchedule, Rejected, Scheduled, StackNotFound, Unconfirmed, Unreachable
from punctual.client.many.batch import Batch, Member
from punctual.client.many.sending import Sender

START = datetime(2030, 1, 1, tzinfo=UTC)
FAR_S = 40_000
UNCONFIRMED = {"error": "NotConfirmed", "message": "AWS did not confirm it in time; try again"}


def far(count, **fields):
    return ({"data": str(number), "delay": FAR_S + number, **fields} for number in range(count))


def accepted(number=0):
    return {"id": f"1-{number:015}-0123456789abcdef", "timestamp": 1893456000 + number, "state": "stored"}


def test_results_come_in_the_order_of_the_input(scheduler):
    results = list(scheduler.schedule_many(far(100), batch_size=7))
    assert [START + timedelta(seconds=FAR_S + number) for number in range(100)] == [each.due for each in results]
    assert {"stored"} == {each.state for each in results}


@pytest.mark.slow
def test_ten_thousand_schedules_are_there_once_though_one_call_in_a_hundred_fails(scheduler, line, faults):
    """Some calls are throttled. Others time out after the function has done its work."""
    kinds = {13: faults.throttled, 63: faults.lost}

    def each(number):
        kind = kinds.get(number % 100)
        return kind() if kind else None

    line.each = each
    results = list(scheduler.schedule_many(far(10_000), batch_size=50))

    assert len(line.requests) > 200
    assert 10_000 == len({each.id for each in results})
    line.each = lambda number: None
    assert sorted(each.id for each in results) == sorted(each.id for each in scheduler.list())


def test_a_rejected_request_has_its_place_and_stops_no_other(scheduler):
    requests = [
        {"data": "a", "delay": 5_000},
        {"data": "b"},
        {"data": b"c", "delay": 5_000},
        ["no dict"],
        {"data": "e", "at": datetime(2030, 1, 1)},  # noqa: DTZ001
        {"data": "f", "timestamp": START, "delay": 1},
        {"data": "g", "delay": 5_000, "token": "mine"},
        {"data": "h", "timestamp": START},
    ]
    results = list(scheduler.schedule_many(requests))
    assert [1, 2, 3, 4, 5, 6] == [each.index for each in results if isinstance(each, Rejected)]
    assert {"InvalidSchedule"} == {each.code for each in results if isinstance(each, Rejected)}
    messages = " | ".join(each.message for each in results if isinstance(each, Rejected))
    for part in ("timestamp is missing", "cannot be written as JSON", "a list", "no time zone", "together", "token"):
        assert part in messages
    assert isinstance(results[0], Scheduled)
    assert isinstance(results[7], Scheduled)


@pytest.mark.parametrize(
    "wrong",
    [
        {"data": "x", "delay": FAR_S, 1: 2},
        {"data": "x", "delay": FAR_S, None: 2},
        {"data": "x", "delay": 10**400},
        {"data": "x", "delay": 10**5_000},
    ],
    ids=["number as field", "None as field", "delay beyond a float", "delay beyond text"],
)
def test_a_request_that_no_json_can_hold_is_rejected_alone(scheduler, wrong):
    first, second, third = scheduler.schedule_many([*far(1), wrong, *far(1)])
    assert isinstance(first, Scheduled)
    assert isinstance(second, Rejected)
    assert "InvalidSchedule" == second.code
    assert isinstance(third, Scheduled)


def test_requests_take_datetimes_and_timedeltas(scheduler, line):
    requests = [
        {"data": "a", "timestamp": START + timedelta(days=1)},
        {"data": "b", "at": "2030-01-02T00:00:00Z"},
        {"data": "c", "delay": timedelta(days=1), "expires_after": timedelta(hours=1)},
        {"data": "d", "timestamp": 1893542400},
        {"data": "e", "timestamp": "2030-01-02T00:00:00Z"},
    ]
    assert {START + timedelta(days=1)} == {each.due for each in scheduler.schedule_many(requests)}
    assert 3600 == line.last["schedules"][2]["expires_after"]


def test_no_requests_need_no_call(scheduler, line):
    assert [] == list(scheduler.schedule_many([]))
    assert [] == line.requests


def test_a_batch_of_refused_requests_is_not_sent(scheduler, line):
    assert 2 == len(list(scheduler.schedule_many([1, 2])))
    assert [] == line.requests


# ------------------------------------------------------------------------------------------------------------- batches


def test_a_batch_ends_at_the_batch_size(scheduler, line):
    list(scheduler.schedule_many(far(25), batch_size=10))
    assert [10, 10, 5] == [len(request["schedules"]) for request in line.requests]


def test_a_batch_ends_at_five_megabytes(scheduler, line):
    list(scheduler.schedule_many({"data": "x" * 250_000, "delay": FAR_S} for _ in range(45)))
    assert [19, 19, 7] == [len(request["schedules"]) for request in line.requests]


def test_every_batch_has_a_token_of_its_own(scheduler, line):
    list(scheduler.schedule_many(far(3), batch_size=1))
    assert 3 == len({request["token"] for request in line.requests})


@pytest.mark.parametrize("wrong", [{"batch_size": 0}, {"batch_size": 10_001}, {"workers": 0}, {"workers": 65}])
def test_wrong_numbers_are_refused_at_the_call(scheduler, wrong):
    with pytest.raises(InvalidSchedule, match=f"{next(iter(wrong))} is"):
        scheduler.schedule_many([], **wrong)


# --------------------------------------------------------------------------------------------------------------- input


def test_the_input_is_read_as_results_are_taken(scheduler):
    taken = []

    def requests():
        for number in range(1_000):
            taken.append(number)
            yield {"data": "x", "delay": FAR_S}

    results = scheduler.schedule_many(requests(), batch_size=10, workers=2)
    assert [] == taken
    next(results)
    assert len(taken) <= 40
    for _ in range(10):
        next(results)
    assert len(taken) <= 50


def test_closing_the_iterator_starts_nothing_new(scheduler, line):
    results = scheduler.schedule_many(far(1_000), batch_size=10, workers=1)
    next(results)
    results.close()
    sent = len(line.requests)
    assert [] == list(results)
    assert sent == len(line.requests) <= 2


def test_a_batch_that_a_worker_takes_while_the_iterator_closes_is_not_sent(scripted):
    scheduler, script = scripted({"results": [accepted()]})
    sender = Sender(scheduler._invoker, scheduler._backend)
    sender.stop()
    (outcome,) = sender.send(Batch("batch", [Member(3, b"{}")]))
    assert (3, "batch") == (outcome.index, outcome.token)
    assert [] == script.requests


def test_an_error_of_the_input_comes_after_the_results_of_what_was_read(scheduler):
    def requests():
        yield from far(25)
        raise OSError("the file ended")

    results = []
    with pytest.raises(OSError, match="the file ended"):
        results.extend(scheduler.schedule_many(requests(), batch_size=10))
    assert 25 == len(results)
    assert 25 == len(list(scheduler.list()))


def test_a_request_that_raises_when_it_is_read_counts_as_an_error_of_the_input(scheduler):
    class Broken(dict):
        def items(self):
            raise OSError("the row is gone")

    results = []
    with pytest.raises(OSError, match="the row is gone"):
        results.extend(scheduler.schedule_many([*far(25), Broken(data="x")], batch_size=10))
    assert 25 == len(results)
    assert 25 == len(list(scheduler.list()))


# --------------------------------------------------------------------------------------------------------------- names


def test_later_requests_for_a_name_replace_earlier_ones(scheduler):
    requests = [{"data": str(number), "delay": FAR_S, "name": f"n/{number % 7}"} for number in range(70)]
    assert 70 == len(list(scheduler.schedule_many(requests, batch_size=3)))
    assert {str(number) for number in range(63, 70)} == {each.data for each in scheduler.list()}


# ------------------------------------------------------------------------------------------------------------ outcomes


def test_a_batch_is_sent_again_until_every_request_is_confirmed(scripted):
    """The same bytes go again, because an id follows from the place in the batch."""
    scheduler, script = scripted(
        {"results": [accepted(0), UNCONFIRMED, accepted(2)]}, {"results": [accepted(7), accepted(1), UNCONFIRMED]}
    )
    results = list(scheduler.schedule_many(far(3)))
    assert [accepted(number)["id"] for number in range(3)] == [each.id for each in results]
    assert script.requests[0] == script.requests[1]


def test_an_outcome_that_stays_unknown_has_its_place_and_the_token(scripted):
    scheduler, script = scripted({"results": [accepted(), UNCONFIRMED, UNCONFIRMED]})
    requests = [*far(2), {"data": "x", "timestamp": START, "token": "mine"}]
    first, second, third = scheduler.schedule_many(requests)
    token = script.requests[0]["token"]
    assert isinstance(first, Scheduled)
    assert Unconfirmed(1, UNCONFIRMED["message"], token) == second
    assert Unconfirmed(2, UNCONFIRMED["message"], "mine") == third


def test_a_refusal_after_an_unknown_outcome_is_still_unknown(scripted):
    """The first try may have stored it."""
    refused = {"error": "InvalidSchedule", "message": "expires_after is 0, so it is past already"}
    scheduler, _ = scripted({"results": [UNCONFIRMED]}, {"results": [refused]})
    (result,) = scheduler.schedule_many(far(1))
    assert isinstance(result, Unconfirmed)
    assert "past already" in result.message


def test_batches_whose_answers_never_come_are_unconfirmed_and_the_stream_goes_on(scheduler, line, faults):
    line.each = lambda number: faults.lost() if "5" in {each["data"] for each in line.last["schedules"]} else None
    results = list(scheduler.schedule_many(far(30), batch_size=10))
    line.each = lambda number: None
    assert list(range(10)) == [each.index for each in results if isinstance(each, Unconfirmed)]
    assert 20 == sum(isinstance(each, Scheduled) for each in results)
    assert 30 == len(list(scheduler.list()))


def test_a_throttle_that_does_not_end_leaves_the_batch_unconfirmed(scheduler, line, faults):
    line.each = lambda number: faults.throttled()
    (result,) = scheduler.schedule_many(far(1))
    assert isinstance(result, Unconfirmed)
    assert "TooManyRequestsException" in result.message


def test_a_repeat_of_what_was_unconfirmed_under_its_token_makes_no_second_schedule(scheduler, line, faults):
    requests = [
        {"data": str(number), "timestamp": START + timedelta(days=1), "token": f"t-{number}"} for number in range(5)
    ]
    line.each = lambda number: faults.lost()
    assert {Unconfirmed} == {type(each) for each in scheduler.schedule_many(requests)}
    line.each = lambda number: None
    assert {Scheduled} == {type(each) for each in scheduler.schedule_many(requests)}
    assert 5 == len(list(scheduler.list()))


def test_what_a_batch_has_confirmed_stays_known_if_its_repeat_fails(scripted):
    from botocore.exceptions import ClientError  # noqa: PLC0415

    expired = ClientError({"Error": {"Code": "ExpiredTokenException", "Message": "expired"}}, "Invoke")
    scheduler, script = scripted({"results": [accepted(), UNCONFIRMED]}, expired)
    results = []
    with pytest.raises(Unreachable, match="expired"):
        results.extend(scheduler.schedule_many(far(4), batch_size=2))
    first, second = results
    assert accepted()["id"] == first.id
    assert isinstance(second, Unconfirmed)
    assert script.requests[0]["token"] == second.token


def test_a_network_that_has_worked_before_leaves_batches_unconfirmed(scripted):
    from botocore.exceptions import EndpointConnectionError  # noqa: PLC0415

    scheduler, _ = scripted({"results": [accepted()]}, EndpointConnectionError(endpoint_url="https://lambda"))
    first, *others = scheduler.schedule_many(far(3), batch_size=1)
    assert isinstance(first, Scheduled)
    assert [1, 2] == [each.index for each in others if isinstance(each, Unconfirmed)]


def test_missing_rights_raise(scheduler, line, faults):
    line.each = lambda number: faults.denied()
    with pytest.raises(AccessDenied):
        list(scheduler.schedule_many(far(3)))


def test_results_before_an_error_are_not_lost(scheduler, line, faults):
    line.each = lambda number: faults.denied() if number > 2 else None
    results = []
    with pytest.raises(AccessDenied):
        results.extend(scheduler.schedule_many(far(50), batch_size=10))
    assert 20 == len(results)


def test_a_missing_stack_raises(scripted):
    from botocore.exceptions import ClientError  # noqa: PLC0415

    missing = {"Error": {"Code": "ResourceNotFoundException", "Message": "Function not found: schedule"}}
    scheduler, _ = scripted(ClientError(missing, "Invoke"))
    with pytest.raises(StackNotFound):
        list(scheduler.schedule_many(far(3)))
