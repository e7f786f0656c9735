"""Receiving: each message of the input queue is done with, or comes again; and what is refused is told."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import NOON_MS, Clock
from scheduler import batches, receiving
from scheduler.crew import Alone, Threads
from scheduler.errors import NotConfirmed
from scheduler.outcome import Outcome
from scheduler.receiving import Reception

EVENTS = Path(__file__).parents[2] / "events"
TOPIC = "arn:aws:sns:eu-central-1:123456789012:failures"
QUEUE = "arn:aws:sqs:eu-central-1:123456789012:failures"

ACCEPTED = {"id": "0-001893456060000-0123456789abcdef", "timestamp": 1893456060, "state": "queued"}
REFUSED = {"error": "InvalidSchedule", "message": "data is missing; wanted: data"}
OLDER = {**ACCEPTED, "result": "older"}
WAITING = {"error": "NotConfirmed", "message": "AWS did not confirm it in time"}


@dataclass
class Office:
    """Takes in what says {"result": ...} as that result; remembers what it heard, and fails as often as it is told."""

    clock: Clock = field(default_factory=Clock)
    handed: list[tuple] = field(default_factory=list)
    reports: list[dict] = field(default_factory=list)
    heard: list[tuple[str, str]] = field(default_factory=list)
    reports_failing: int = 0
    reports_closed: bool = False
    tells_failing: int = 0
    accept_s: float = 0
    crew: object = field(default_factory=Alone)

    def accept(self, members, sent_ms, token, *, patience):
        self.clock.sleep(self.accept_s)
        self.handed.append((members, sent_ms, token))
        if "broken" in members:
            raise ZeroDivisionError
        if "down" in members:
            raise NotConfirmed("throttled")
        return [{"refuse": REFUSED, "wait": WAITING, "older": OLDER}.get(each["result"], ACCEPTED) for each in members]

    def report(self, reports):
        if self.reports_closed:
            return Outcome(closed=[(each, "AccessDenied") for each in reports])
        if self.reports_failing:
            self.reports_failing -= 1
            return Outcome(left=list(reports), why="throttled")
        self.reports += [json.loads(each.body()) for each in reports]
        return Outcome(done=list(reports))

    def tell(self, failure_target, report):
        if self.tells_failing:
            self.tells_failing -= 1
            raise NotConfirmed("throttled")
        self.heard.append((failure_target, report.body()))

    def receive(self, *bodies, seconds=14):
        records = [
            {"messageId": str(number), "body": body, "attributes": {"SentTimestamp": str(NOON_MS)}}
            for number, body in enumerate(each if isinstance(each, str) else json.dumps(each) for each in bodies)
        ]
        reception = Reception(self.accept, self.report, self.tell, {TOPIC, QUEUE}.__contains__, self.crew)
        answer = receiving.receive(records, self.clock.patience(seconds), reception)
        return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


@pytest.fixture
def office():
    return Office()


def asking(result, **fields):
    return {"result": result, **fields}


def test_a_letter_is_handed_over_with_its_time_and_the_root_of_its_tokens(office):
    """And is done with once all in it is accepted."""
    assert [] == office.receive([asking("accept"), asking("accept")], asking("accept"))
    assert [(2, NOON_MS, "0"), (1, NOON_MS, "1")] == [(len(each), sent, root) for each, sent, root in office.handed]
    assert ([], []) == (office.reports, office.heard)


def test_what_is_refused_is_reported_as_it_came_and_does_not_come_again(office):
    """Its neighbours in the batch are accepted."""
    assert [] == office.receive([asking("accept"), asking("refuse", data="Grüße")])
    assert [
        {
            "reason": "refused",
            "error": REFUSED["message"],
            "attempts": 0,
            "at": NOON_MS // 1000,
            "schedule": {"result": "refuse", "data": "Grüße"},
        }
    ] == office.reports


def test_a_letter_that_cannot_be_read_is_reported_as_its_text(office):
    """Nothing is asked for, and it does not come again."""
    assert [] == office.receive('{"timestamp": 5', asking("accept"))
    assert ['{"timestamp": 5'] == [report["schedule"] for report in office.reports]
    assert "the message is no JSON" in office.reports[0]["error"]
    assert 1 == len(office.handed)


@pytest.mark.parametrize("word", ["failure_target", "failure_topic"])
def test_a_failure_target_that_is_listed_hears_of_a_refusal(office, word):
    """The same report that the failure queue has; what is not listed hears nothing."""
    assert [] == office.receive([asking("refuse", **{word: each}) for each in (TOPIC, "arn:of:others", 7, None, QUEUE)])
    assert [TOPIC, QUEUE] == [target for target, _ in office.heard]
    assert [office.reports[0], office.reports[4]] == [json.loads(body) for _, body in office.heard]
    assert 5 == len(office.reports)


def test_of_a_batch_that_is_refused_whole_each_failure_target_hears_once(office):
    """Its members are in the report."""
    members = [asking("accept", failure_target=each) for each in (TOPIC, QUEUE, TOPIC, "arn:of:others")]
    batch = {"schedules": [*members, 7], "token": ""}
    assert [] == office.receive(batch)
    assert [TOPIC, QUEUE] == [target for target, _ in office.heard]
    assert [batch] == [report["schedule"] for report in office.reports]
    assert [] == office.handed


def test_what_aws_did_not_confirm_comes_again_alone(office):
    """Its neighbours do not; and what is refused beside it is told when it is through, not at every turn."""
    assert ["1"] == office.receive(asking("accept"), [asking("wait"), asking("refuse")], asking("accept"))
    assert [] == office.reports


def test_a_letter_that_raises_comes_again_alone(office, capsys):
    """One that finds a fault in us harms no neighbour; the log says where, and not what was in it."""
    assert ["0", "2"] == office.receive(["broken", "secret"], asking("accept"), ["down", "secret"])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert ["postponed", "received", "postponed"] == [line["outcome"] for line in lines]
    assert ["ZeroDivisionError", "NotConfirmed"] == [line["error"] for line in lines if "error" in line]
    assert "secret" not in str(lines)


def test_a_report_that_fails_for_a_while_is_sent_again(office):
    """Within the invocation."""
    office.reports_failing = office.tells_failing = 3
    assert [] == office.receive(asking("refuse", failure_target=TOPIC))
    assert (1, 1) == (len(office.reports), len(office.heard))


def test_nothing_is_silently_gone_where_the_failure_queue_does_not_take_it(office):
    """The message comes again, and no failure target hears of it before that."""
    office.reports_failing = 1000
    assert ["0"] == office.receive(asking("refuse", failure_target=TOPIC))
    office.reports_failing, office.reports_closed = 0, True
    assert ["0"] == office.receive(asking("refuse", failure_target=TOPIC))
    assert ([], []) == (office.reports, office.heard)


def test_a_failure_target_that_does_not_answer_has_the_message_come_again(office):
    """The failure queue then has the report twice: rather that than a failure nobody hears of."""
    office.tells_failing = 1000
    assert ["0"] == office.receive(asking("refuse", failure_target=TOPIC))
    assert 1 == len(office.reports)


def test_when_time_is_over_the_rest_comes_again(office):
    """Nothing is begun that could not be ended."""
    office.accept_s = 3
    assert ["2", "3"] == office.receive(*[asking("accept")] * 4, seconds=5)
    assert 2 == len(office.handed)


def test_a_refusal_that_comes_when_time_is_over_comes_again(office):
    """There was no time left to tell it."""
    office.accept_s = 6
    assert ["0"] == office.receive(asking("refuse"), seconds=5)
    assert [] == office.reports


def test_ten_thousand_refusals_in_one_letter_are_each_told():
    """By a crew, in the time of one invocation."""
    office = Office(crew=Threads(16))
    assert [] == office.receive([asking("refuse", number=number, failure_target=TOPIC) for number in range(10_000)])
    assert set(range(10_000)) == {report["schedule"]["number"] for report in office.reports}
    assert 10_000 == len(office.heard)


def test_the_log_counts_and_does_not_quote(office, capsys):
    """One line for each letter."""
    office.receive([asking("accept", data="secret"), asking("refuse", data="secret")], "secret")
    assert [
        {"outcome": "received", "message": "0", "accepted": 1, "older": 0, "refused": 1, "waiting": 0, "told": True},
        {"outcome": "received", "message": "1", "accepted": 0, "older": 0, "refused": 1, "waiting": 0, "told": True},
    ] == [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_the_log_tells_what_came_too_late_to_change_anything(office, capsys):
    """Something that was asked for later stands under its name: it is not counted as accepted."""
    assert [] == office.receive([asking("accept"), asking("older"), asking("older")])
    (line,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (1, 2, 0) == (line["accepted"], line["older"], line["refused"])


@pytest.mark.parametrize("name", ["input-queue.json", "input-topic.json"])
def test_an_event_of_sqs_is_known_by_its_records(name):
    """As they lie in events/."""
    assert batches.is_from_queue(json.loads((EVENTS / name).read_text()))


@pytest.mark.parametrize("event", [{}, [], None, "Records", {"Records": []}, {"Records": 5}, {"Records": [{}]}, [{}]])
def test_what_a_caller_sends_is_no_event_of_sqs(event):
    """Whatever it is: it goes the way of a direct call."""
    assert not batches.is_from_queue(event)


results = st.sampled_from(["accept", "refuse", "wait"])


@given(st.lists(st.lists(results, min_size=1, max_size=5) | st.just("no JSON"), max_size=6), st.integers(0, 20))
def test_a_message_is_done_with_only_when_all_in_it_is(messages, reports_failing):
    """Accepted, or refused and reported. Whatever else happened, it comes again."""
    office = Office(reports_failing=reports_failing)
    again = office.receive(*[each if each == "no JSON" else [asking(what) for what in each] for each in messages])
    done = [each for number, each in enumerate(messages) if str(number) not in again]
    assert not any("wait" in each for each in done)
    assert sum(1 if each == "no JSON" else each.count("refuse") for each in done) == len(office.reports)
