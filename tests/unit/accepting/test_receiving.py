"""Each message of the input queue is finished or comes again, and every refusal is reported."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import NOON_MS, Clock
from scheduler.accepting import batch as batches
from scheduler.accepting.from_queue import receiving
from scheduler.accepting.from_queue.input_message import REQUEUE_ATTRIBUTE, Remainder
from scheduler.accepting.from_queue.receiving import InputQueueDependencies
from scheduler.errors import NotConfirmed
from scheduler.execution.batch_result import BatchResult
from scheduler.execution.worker_pool import SerialPool, ThreadPool
from scheduler.limits import SQS_MESSAGE_BYTES_MAX

EVENTS = Path(__file__).parents[3] / "events"
TOPIC = "arn:aws:sns:eu-central-1:123456789012:failures"
QUEUE = "arn:aws:sqs:eu-central-1:123456789012:failures"

ACCEPTED = {"id": "0-001893456060000-0123456789abcdef", "timestamp": 1893456060, "state": "queued"}
REFUSED = {"error": "InvalidSchedule", "message": "data is missing; wanted: data"}
OLDER = {**ACCEPTED, "result": "older"}
CLOSED = {"error": "InvalidSchedule", "message": "the queue is missing or denies access"}
WAITING = {"error": "NotConfirmed", "message": "AWS did not confirm it in time"}


def number_of(content):
    return content.get("number", -1) if isinstance(content, dict) else -1


@dataclass
class InputQueueFakes:
    """A fake that answers {"result": ...} with that result.

    It remembers all calls and fails as often as the test wants.
    """

    clock: Clock = field(default_factory=Clock)
    handed: list[tuple] = field(default_factory=list)
    parts: list[Remainder] = field(default_factory=list)
    reports: list[dict] = field(default_factory=list)
    heard: list[tuple[str, str]] = field(default_factory=list)
    reports_failing: int = 0
    reports_closed: bool = False
    notify_failures: int = 0
    put_backs_failing: int = 0
    put_backs_refused: bool = False
    accept_s: float = 0
    time_s: list[float] = field(default_factory=list)
    unreachable: set[str] = field(default_factory=set)
    unreportable: int | None = None
    pool: object = field(default_factory=SerialPool)

    def accept(self, message, refuse_unavailable, *, deadline):
        self.clock.sleep(self.accept_s)
        members = [message.requests[index] for index in message.indexes]
        self.handed.append((members, message.sent_ms, message.token_root))
        if "broken" in members:
            raise ZeroDivisionError
        if "down" in members:
            raise NotConfirmed("throttled")
        self.time_s.append(deadline.deadline_s - self.clock())
        fates = {
            "refuse": REFUSED,
            "wait": WAITING,
            "older": OLDER,
            "closed": CLOSED if refuse_unavailable else WAITING,
        }
        answers = [fates.get(each["result"], ACCEPTED) for each in members]
        return [
            {**answer, "message": each["error"] + str(each["number"])} if "error" in each else answer
            for each, answer in zip(members, answers, strict=True)
        ]

    def requeue(self, part, delay_s):
        assert receiving.PAUSE_S == delay_s
        if self.put_backs_failing:
            self.put_backs_failing -= 1
            raise NotConfirmed("throttled")
        if not self.put_backs_refused:
            self.parts.append(part)
        return not self.put_backs_refused

    def report(self, reports):
        if self.reports_closed:
            return BatchResult(unavailable=[(each, "AccessDenied") for each in reports])
        if self.reports_failing:
            self.reports_failing -= 1
            return BatchResult(unconfirmed=list(reports), last_error="throttled")
        taken = [each for each in reports if number_of(each.schedule) != self.unreportable]
        self.reports += [json.loads(each.body()) for each in taken]
        return BatchResult(confirmed=taken, unconfirmed=[each for each in reports if each not in taken])

    def notify(self, failure_target, report):
        if self.notify_failures or failure_target in self.unreachable:
            self.notify_failures = max(0, self.notify_failures - 1)
            raise NotConfirmed("throttled")
        self.heard.append((failure_target, report.body()))

    def receive(self, *bodies, seconds=20, count=1):
        """Deliver input messages and the messages that were put back, with this receive count."""
        records = [record(str(number), each, count) for number, each in enumerate(bodies)]
        hears = {TOPIC, QUEUE}.__contains__
        dependencies = InputQueueDependencies(self.accept, self.requeue, self.report, self.notify, hears, self.pool)
        answer = receiving.receive(records, self.clock.deadline(seconds), dependencies)
        return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def record(message_id, content, count):
    part = content if isinstance(content, Remainder) else None
    body = part.body if part else content if isinstance(content, str) else json.dumps(content)
    return {
        "messageId": message_id,
        "body": body,
        "attributes": {"SentTimestamp": str(NOON_MS), "ApproximateReceiveCount": str(count)},
        "messageAttributes": {REQUEUE_ATTRIBUTE: {"dataType": "String", "stringValue": part.again}} if part else {},
    }


@pytest.fixture
def fakes():
    return InputQueueFakes()


def asking(result, **fields):
    return {"result": result, **fields}


def test_an_input_message_is_accepted_with_its_time_and_the_root_of_its_tokens(fakes):
    """It is deleted once every member is accepted."""
    assert [] == fakes.receive([asking("accept"), asking("accept")], asking("accept"))
    assert [(1, NOON_MS, "1"), (2, NOON_MS, "0")] == [(len(each), sent, root) for each, sent, root in fakes.handed]
    assert ([], []) == (fakes.reports, fakes.heard)


def test_a_refusal_is_reported_with_its_content_and_does_not_come_again(fakes):
    """Its neighbours in the batch are accepted."""
    assert [] == fakes.receive([asking("accept"), asking("refuse", data="Grüße")])
    assert [
        {
            "reason": "refused",
            "error": REFUSED["message"],
            "attempts": 0,
            "at": NOON_MS // 1000,
            "schedule": {"result": "refuse", "data": "Grüße"},
        }
    ] == fakes.reports


def test_an_unreadable_message_is_reported_as_text(fakes):
    """It schedules nothing and does not come again."""
    assert [] == fakes.receive('{"timestamp": 5', asking("accept"))
    assert ['{"timestamp": 5'] == [report["schedule"] for report in fakes.reports]
    assert "the message is no JSON" in fakes.reports[0]["error"]
    assert 1 == len(fakes.handed)


@pytest.mark.parametrize("word", ["failure_target", "failure_topic"])
def test_a_listed_failure_target_is_notified_of_a_refusal(fakes, word):
    """It gets the same report as the failure queue. An unlisted target gets none."""
    assert [] == fakes.receive([asking("refuse", **{word: each}) for each in (TOPIC, "arn:of:others", 7, None, QUEUE)])
    assert [TOPIC, QUEUE] == [target for target, _ in fakes.heard]
    assert [fakes.reports[0], fakes.reports[4]] == [json.loads(body) for _, body in fakes.heard]
    assert 5 == len(fakes.reports)


def test_each_failure_target_of_a_refused_batch_is_notified_once(fakes):
    """The report holds the members."""
    members = [asking("accept", failure_target=each) for each in (TOPIC, QUEUE, TOPIC, "arn:of:others")]
    batch = {"schedules": [*members, 7], "token": ""}
    assert [] == fakes.receive(batch)
    assert [TOPIC, QUEUE] == [target for target, _ in fakes.heard]
    assert [batch] == [report["schedule"] for report in fakes.reports]
    assert [] == fakes.handed


def test_an_unconfirmed_member_comes_again_alone(fakes):
    """Its neighbours do not come again. A refused member next to it is reported at once, and once."""
    assert [] == fakes.receive(asking("accept"), [asking("accept"), asking("wait"), asking("refuse")])
    (part,) = fakes.parts
    assert ["0"] == fakes.receive(part, count=2)
    assert [[asking("wait")]] == [members for members, _, _ in fakes.handed[2:]]
    assert (1, 1) == (len(fakes.reports), len(fakes.parts))


def test_a_message_that_waits_as_a_whole_comes_again_unchanged(fakes):
    """SQS delivers it again, so the function sends nothing."""
    assert ["0", "1"] == fakes.receive(asking("wait"), [asking("wait"), asking("wait")])
    assert [] == fakes.parts


def test_a_message_put_back_equals_a_redelivery(fakes):
    """It has the same root of tokens and the same time, and each member keeps its index through any number of turns."""
    members = [asking(what, number=number) for number, what in enumerate(["wait", "accept", "wait", "wait", "accept"])]
    fakes.receive(members)
    fakes.receive(Remainder(json.dumps([*members[:3], asking("accept"), members[4]]), fakes.parts[0].again))
    first, second = [json.loads(part.again) for part in fakes.parts]
    assert ([0, 2, 3], [0, 2]) == (first["places"], second["places"])
    assert [(NOON_MS, "0")] * 2 == [handed[1:] for handed in fakes.handed]
    assert (1, 2) == (first["tries"], second["tries"])


def test_a_message_that_cannot_be_put_back_comes_again(fakes):
    """It is not lost. If the failure is foreseeable, refusals wait, so that no turn reports them again."""
    mixed = [asking("accept"), asking("wait"), asking("refuse")]
    fakes.put_backs_refused = True
    assert ["0"] == fakes.receive(mixed)
    fakes.put_backs_refused, fakes.put_backs_failing = False, 1000
    assert ["0"] == fakes.receive(mixed)
    fakes.reports.clear()
    fakes.put_backs_failing = 0
    assert ["0"] == fakes.receive(json.dumps(mixed) + " " * (SQS_MESSAGE_BYTES_MAX - len(json.dumps(mixed))))
    fakes.clock.now_ms += receiving.AGE_MS_MAX + 1
    assert ["0"] == fakes.receive(mixed)
    assert ([], []) == (fakes.parts, fakes.reports)


def test_a_message_is_put_back_even_after_the_deadline(fakes):
    """Time is reserved for it, because accepted members would otherwise be scheduled again."""
    fakes.accept_s, fakes.put_backs_failing = 19, 2
    assert [] == fakes.receive([asking("accept"), asking("wait"), asking("refuse")])
    assert [[1, 2]] == [json.loads(part.again)["places"] for part in fakes.parts]
    assert [] == fakes.reports


def test_a_queue_that_stays_closed_is_reported_after_a_few_tries(fakes):
    """The count covers all turns, over at least ten minutes, because SQS counts throttled invocations as tries."""
    fakes.receive([asking("accept"), asking("closed", failure_target=TOPIC)])
    tries = receiving.UNAVAILABLE_TRIES_MAX
    fakes.clock.sleep(599)
    assert ["0"] == fakes.receive(*fakes.parts, count=tries - 1)
    fakes.clock.sleep(1)
    assert ["0"] == fakes.receive(*fakes.parts, count=tries - 2)
    assert [] == fakes.receive(*fakes.parts, count=tries - 1)
    assert ([CLOSED["message"]], 1) == ([report["error"] for report in fakes.reports], len(fakes.heard))


def test_a_member_that_is_never_confirmed_is_reported_in_the_end(fakes):
    """The report holds its content. It comes before SQS moves the message to the dead-letter queue."""
    waiting = asking("wait", data="x", failure_target=TOPIC)
    assert ["0"] == fakes.receive(waiting, count=receiving.MESSAGE_TRIES_MAX - 1)
    assert [] == fakes.receive(waiting, count=receiving.MESSAGE_TRIES_MAX)
    (report,) = fakes.reports
    assert (waiting, "refused") == (report["schedule"], report["reason"])
    assert report["error"].startswith("given up after 80 tries, and may be scheduled all the same: AWS did not confirm")
    assert [TOPIC] == [target for target, _ in fakes.heard]


def test_an_unreported_refusal_comes_again_alone(fakes):
    """Its neighbours are accepted."""
    fakes.reports_failing = 1000
    assert [] == fakes.receive([asking("accept"), asking("refuse")])
    fakes.reports_failing = 0
    assert [] == fakes.receive(*fakes.parts)
    assert [[asking("accept"), asking("refuse")], [asking("refuse")]] == [members for members, _, _ in fakes.handed]
    assert 1 == len(fakes.reports)


def test_a_message_that_raises_comes_again_alone(fakes, capsys):
    """A bug affects no neighbour. The log shows the place in the code and not the content."""
    assert ["1", "2"] == fakes.receive(
        asking("accept"), ["down", "more", "secret"], ["broken", "and much more", "secret"]
    )
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert ["received", "postponed", "postponed"] == [line["outcome"] for line in lines]
    assert ["NotConfirmed", "ZeroDivisionError"] == [line["error"] for line in lines if "error" in line]
    assert "secret" not in str(lines)


def test_a_report_that_fails_for_a_while_is_sent_again(fakes):
    """The retry is in the same invocation."""
    fakes.reports_failing, fakes.notify_failures = 3, 2
    assert [] == fakes.receive(asking("refuse", failure_target=TOPIC))
    assert (1, 1) == (len(fakes.reports), len(fakes.heard))


def test_a_message_stays_if_the_failure_queue_refuses_its_report(fakes):
    """The message comes again, and no failure target is notified before the failure queue."""
    fakes.reports_failing = 1000
    assert ["0"] == fakes.receive(asking("refuse", failure_target=TOPIC))
    fakes.reports_failing, fakes.reports_closed = 0, True
    assert ["0"] == fakes.receive(asking("refuse", failure_target=TOPIC))
    assert ([], []) == (fakes.reports, fakes.heard)


def put_back_for_targets(fakes, *contents):
    """Return what is put back of messages whose failure targets do not answer."""
    fakes.notify_failures = 10**9
    assert [] == fakes.receive(*contents)
    return fakes.parts.pop()


def test_a_failure_target_that_was_down_gets_the_same_report_in_the_end(fakes):
    """The message is put back for it, and the failure queue gets nothing twice."""
    part = put_back_for_targets(fakes, asking("refuse", failure_target=TOPIC))
    assert ["0"] == fakes.receive(part)
    fakes.notify_failures = 0
    assert [] == fakes.receive(part, count=2)
    assert [TOPIC] == [target for target, _ in fakes.heard]
    (heard,) = [json.loads(body) for _, body in fakes.heard]
    assert fakes.reports == [{**heard, "at": NOON_MS // 1000}]
    assert (1, []) == (len(fakes.handed), fakes.parts)


def test_a_failure_target_that_stays_down_is_given_up_after_a_hundred_tries(fakes, capsys):
    """The failure queue has one report of each refusal, and the log says that the failure target got none."""
    part = put_back_for_targets(fakes, [asking("refuse", failure_target=TOPIC), asking("refuse", failure_target=TOPIC)])
    for count in range(1, receiving.NOTIFY_TRIES_MAX - 1):
        assert ["0"] == fakes.receive(part, count=count)
    assert [] == fakes.receive(part, count=receiving.NOTIFY_TRIES_MAX - 1)
    assert (2, 1) == (len(fakes.reports), len(fakes.handed))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (untold,) = [line for line in lines if line["outcome"] == "untold"]
    assert ("0", 2) == (untold["message"], untold["members"])


def test_only_the_failing_one_of_two_failure_targets_is_notified_again(fakes):
    """The refused batch names both of them."""
    fakes.unreachable = {TOPIC}
    members = [asking("accept", failure_target=each) for each in (TOPIC, QUEUE)]
    assert [] == fakes.receive({"schedules": members, "token": ""})
    assert ["0"] == fakes.receive(*fakes.parts)
    fakes.unreachable = set()
    assert [] == fakes.receive(*fakes.parts)
    assert ([QUEUE, TOPIC], 1) == ([target for target, _ in fakes.heard], len(fakes.reports))


def test_a_message_that_waits_as_a_whole_is_put_back_after_its_report(fakes):
    """SQS would deliver it again without a note of the report."""
    part = put_back_for_targets(fakes, [asking("wait"), asking("refuse", failure_target=TOPIC)])
    assert [0, 1] == json.loads(part.again)["places"]
    assert ["0"] == fakes.receive(part)
    assert [asking("wait")] == fakes.handed[-1][0]
    assert ([], 1) == (fakes.parts, len(fakes.reports))


def test_a_member_that_was_given_up_is_not_scheduled_again(fakes):
    """The failure queue says that it was given up, so it must not be accepted while its failure target is notified."""
    fakes.notify_failures = 10**9
    assert [] == fakes.receive(asking("wait", failure_target=TOPIC), count=receiving.MESSAGE_TRIES_MAX)
    (part,) = fakes.parts
    assert ["0"] == fakes.receive(part, count=receiving.NOTIFY_TRIES_MAX - receiving.MESSAGE_TRIES_MAX - 1)
    assert [] == fakes.receive(part, count=receiving.NOTIFY_TRIES_MAX - receiving.MESSAGE_TRIES_MAX)
    assert (1, 1) == (len(fakes.handed), len(fakes.reports))


def test_a_failing_failure_target_gets_three_tries_per_invocation(fakes):
    """The number of refusals and messages does not matter."""
    fakes.notify_failures = 1000
    fakes.receive(*[[asking("refuse", failure_target=TOPIC)] * 50] * 10)
    assert (997, 500, 10) == (fakes.notify_failures, len(fakes.reports), len(fakes.parts))


def test_errors_that_are_too_long_to_be_put_back_are_shortened(fakes):
    """The failure target still gets a report, which points to the complete one."""
    errors = [asking("refuse", error="x" * 300, failure_target=TOPIC, number=number) for number in range(500)]
    text = json.dumps(errors)
    part = put_back_for_targets(fakes, text + " " * (SQS_MESSAGE_BYTES_MAX - len(text.encode()) - 10_000))
    assert part.size_bytes <= SQS_MESSAGE_BYTES_MAX
    fakes.notify_failures = 0
    assert [] == fakes.receive(part)
    assert {receiving.IN_SHORT} == {json.loads(body)["error"] for _, body in fakes.heard}
    assert (500, 500) == (len(fakes.heard), len(fakes.reports))


def test_a_message_that_is_too_old_to_be_put_back_is_reported_once(fakes):
    """It would otherwise be reported at every receive."""
    fakes.clock.now_ms += receiving.AGE_MS_MAX + 1
    fakes.notify_failures = 10**9
    assert [] == fakes.receive(asking("refuse", failure_target=TOPIC))
    assert (1, []) == (len(fakes.reports), fakes.parts)


def test_only_the_unconfirmed_reports_of_a_call_are_sent_again(fakes):
    """The failure queue accepts nine of ten."""
    fakes.unreportable = 3
    assert [] == fakes.receive([asking("refuse", number=number) for number in range(10)])
    fakes.unreportable = None
    assert [] == fakes.receive(*fakes.parts)
    assert list(range(10)) == sorted(report["schedule"]["number"] for report in fakes.reports)


def test_small_and_new_messages_come_first(fakes):
    """A batch of thousands, or a message that keeps failing, delays no single schedule."""
    part = put_back_for_targets(fakes, [asking("wait"), asking("refuse", failure_target=TOPIC)])
    fakes.handed.clear()
    fakes.receive(part, [asking("accept")] * 3, asking("accept"), [asking("accept")] * 2)
    assert ["2", "3", "1", "x"] == [each[2] if each[2] != "0" else "x" for each in fakes.handed]


def test_each_message_has_a_share_of_the_remaining_time(fakes):
    """One that uses all of its share leaves the others theirs. Small messages leave time to large ones."""
    fakes.receive([asking("accept")] * 3, asking("accept"), [asking("accept")] * 2, seconds=18 + receiving.REQUEUE_S)
    assert [4.5, 6.75, 15.0] == pytest.approx(fakes.time_s)


def test_a_forged_attribute_notifies_no_other_failure_target(fakes):
    """Only a failure target that the member itself names gets a report."""
    untold = {"an error": {QUEUE: [0]}}
    forged = {"id": "x", "sent": NOON_MS, "tries": 1, "places": [0, 1], "untold": untold}
    members = [asking("accept", failure_target=TOPIC), asking("accept")]
    assert [] == fakes.receive(Remainder(json.dumps(members), json.dumps(forged)))
    assert ([], [asking("accept")]) == (fakes.heard, fakes.handed[0][0])


def test_the_rest_comes_again_after_the_deadline(fakes):
    """The function begins nothing that it could not finish."""
    fakes.accept_s = 3
    assert ["2", "3"] == fakes.receive(*[asking("accept")] * 4, seconds=5 + receiving.REQUEUE_S)
    assert 2 == len(fakes.handed)


def test_a_refusal_after_the_deadline_comes_again(fakes):
    """No time was left to report it."""
    fakes.accept_s = 6
    assert ["0"] == fakes.receive(asking("refuse"), seconds=5 + receiving.REQUEUE_S)
    assert [] == fakes.reports


@pytest.mark.slow
def test_ten_thousand_refusals_in_one_message_are_each_reported():
    """A worker pool reports them within one invocation."""
    fakes = InputQueueFakes(pool=ThreadPool(16))
    assert [] == fakes.receive([asking("refuse", number=number, failure_target=TOPIC) for number in range(10_000)])
    assert set(range(10_000)) == {report["schedule"]["number"] for report in fakes.reports}
    assert 10_000 == len(fakes.heard)


def test_the_log_counts_and_does_not_quote(fakes, capsys):
    """One line for each message."""
    fakes.receive([asking("accept", data="secret"), asking("refuse", data="secret")], "secret")
    counts = {"older": 0, "refused": 1, "waiting": 0, "told": True, "put_back": False}
    assert [
        {"outcome": "received", "message": "1", "accepted": 0, **counts},
        {"outcome": "received", "message": "0", "accepted": 1, **counts},
    ] == [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_the_log_counts_outdated_changes(fakes, capsys):
    """A later request has the name already, so an outdated one does not count as accepted."""
    assert [] == fakes.receive([asking("accept"), asking("older"), asking("older")])
    (line,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (1, 2, 0) == (line["accepted"], line["older"], line["refused"])


@pytest.mark.parametrize("name", ["input-queue.json", "input-topic.json", "input-put-back.json"])
def test_an_sqs_event_is_recognised_by_its_records(name):
    """The samples are in events/."""
    assert batches.is_from_queue(json.loads((EVENTS / name).read_text()))


@pytest.mark.parametrize("event", [{}, [], None, "Records", {"Records": []}, {"Records": 5}, {"Records": [{}]}, [{}]])
def test_a_direct_request_is_no_sqs_event(event):
    """Any other event is a direct call."""
    assert not batches.is_from_queue(event)


results = st.sampled_from(["accept", "refuse", "wait", "older"])


@given(
    st.lists(st.lists(results, min_size=1, max_size=5) | st.just("no JSON"), max_size=6),
    st.integers(0, 20),
    st.integers(0, 20),
)
def test_a_message_is_deleted_only_when_all_its_members_are_finished(messages, reports_failing, put_backs_failing):
    """A member is accepted, refused and reported, or put back. In all other cases the message comes again."""
    fakes = InputQueueFakes(reports_failing=reports_failing, put_backs_failing=put_backs_failing)
    again = fakes.receive(*[each if each == "no JSON" else [asking(what) for what in each] for each in messages])
    done = [each for number, each in enumerate(messages) if str(number) not in again]
    back = [json.loads(part.body)[index] for part in fakes.parts for index in json.loads(part.again)["places"]]
    assert back.count(asking("wait")) == sum(each.count("wait") for each in done if each != "no JSON")
    assert not [each for each in back if each["result"] in ("accept", "older")]
    refused = sum(1 if each == "no JSON" else each.count("refuse") for each in done)
    assert refused - back.count(asking("refuse")) <= len(fakes.reports)
