"""The queues as the use cases use them: the way of a schedule, delays, and each kind of failure."""

from dataclasses import replace

import pytest

from fakes import NOON_MS, OTHER, OTHER_ARN, schedule
from scheduler.errors import NotConfirmed
from scheduler.model import failure_report
from scheduler.model.delivery_job import DeliveryJob

TOPIC = "arn:aws:sns:eu-central-1:123456789012:topic"
ONE, TWO, THREE = (schedule(number) for number in (1, 2, 3))


def names_of(outcome):
    """Return the data of what was confirmed, what is unconfirmed, and what was rejected or unavailable."""
    rejected, unavailable = ([each.data for each, _ in fate] for fate in (outcome.rejected, outcome.unavailable))
    return [each.data for each in outcome.confirmed], [each.data for each in outcome.unconfirmed], rejected, unavailable


def test_a_schedule_goes_to_its_queue_or_else_to_the_delivery_queue(ports):
    """A name needs its record first. Any other target than a queue needs the deliver function."""
    queues = ports.queues
    assert (ports.output, OTHER) == (queues.url_of(ONE), queues.url_of(schedule(1, target=OTHER_ARN)))
    for each in (replace(ONE, name="bill"), schedule(1, target=TOPIC)):
        assert ports.delivery == queues.url_of(each)
    assert [True, True, False] == [queues.is_stack_queue(url) for url in (ports.output, ports.delivery, OTHER)]


def test_a_batch_holds_ten_messages_and_a_mebibyte(ports):
    """No message is left out. A batch of one is never empty, whatever its size."""
    large = [replace(schedule(number), data="x" * 262_144) for number in range(4)]
    for things, sizes in (([schedule(number) for number in range(25)], [10, 10, 5]), (large, [3, 1])):
        batches = list(ports.queues.batches(ports.output, things))
        assert (sizes, things) == ([len(each) for each in batches], [each for batch in batches for each in batch])
    escaped = [replace(schedule(number, target=TOPIC), data='"' * 262_144) for number in range(3)]
    assert [1, 1, 1] == [len(batch) for batch in ports.queues.batches(ports.delivery, escaped)]
    assert [] == list(ports.queues.batches(ports.output, []))


def test_a_message_has_the_delay_that_is_left(ports):
    """It is rounded up for the output queue, because early is worse than late, and 0 for an overdue schedule."""
    many = [schedule(number, NOON_MS + left_ms) for number, left_ms in enumerate((899_001, 1, 0, -5_000))]
    assert many == ports.queues.send(ports.output, many, NOON_MS).confirmed
    assert [("data 0", 900), ("data 1", 1), ("data 2", 0), ("data 3", 0)] == ports.messages(ports.output)


def test_a_delivery_job_has_a_delay_that_is_rounded_down(ports):
    """The deliver function waits for the rest. A job that is out of reach gets the longest delay."""
    many = [schedule(number, NOON_MS + left_ms, target=TOPIC) for number, left_ms in enumerate((5_999, 0, 10**9))]
    assert many == ports.queues.send(ports.delivery, many, NOON_MS).confirmed
    assert [("data 0", 5), ("data 1", 0), ("data 2", 900)] == ports.messages(ports.delivery)


def test_a_queue_that_refuses_one_message_confirms_the_others(ports):
    """SQS refuses the whole batch, and the sender tries its messages one by one."""
    ports.refuse("data 2")
    outcome = ports.queues.send(ports.output, [ONE, TWO, THREE], NOON_MS)
    assert (["data 1", "data 3"], [], ["data 2"], []) == names_of(outcome)
    assert [(TWO, "InvalidMessageContents")] == outcome.rejected
    assert [("data 1", 0), ("data 3", 0)] == ports.messages(ports.output)


def test_a_delay_beyond_the_limit_is_refused_and_the_others_are_confirmed(ports):
    far = schedule(2, NOON_MS + 900_001)
    outcome = ports.queues.send(ports.output, [ONE, far], NOON_MS)
    assert (["data 1"], [], ["data 2"], []) == names_of(outcome)


def test_a_message_that_fails_is_unconfirmed_and_the_others_are_confirmed(ports):
    """SQS answers with success, and lists it as failed."""
    ports.fail("data 2")
    outcome = ports.queues.send(ports.output, [ONE, TWO, THREE], NOON_MS)
    assert (["data 1", "data 3"], ["data 2"], [], []) == names_of(outcome)
    assert ("InternalError", ["data 1", "data 3"]) == (
        outcome.last_error,
        [data for data, _ in ports.messages(ports.output)],
    )


def test_a_missing_queue_makes_all_messages_unavailable(ports):
    """The reason is AWS's code. Another queue is not affected."""
    ports.close(ports.output)
    outcome = ports.queues.send(ports.output, [ONE, TWO], NOON_MS)
    assert ([], [], [], ["data 1", "data 2"]) == names_of(outcome)
    assert {"NonExistentQueue"} == {reason for _, reason in outcome.unavailable}
    assert [ONE] == ports.queues.send(ports.delivery, [ONE], NOON_MS).confirmed


def test_a_queue_that_denies_access_makes_all_messages_unavailable(ports):
    """Nothing is sent, and a repeat would not help."""
    ports.deny(ports.output)
    outcome = ports.queues.send(ports.output, [ONE, TWO], NOON_MS)
    assert ([], [], [], ["data 1", "data 2"]) == names_of(outcome)
    assert [] == ports.messages(ports.output)


def test_queues_that_do_not_answer_confirm_nothing(ports):
    """The messages stay unconfirmed, with a reason. A count raises NotConfirmed."""
    ports.go_down()
    report, job = failure_report.expired(ONE, NOON_MS), DeliveryJob(ONE)
    for outcome, left in [
        (ports.queues.send(ports.output, [ONE, TWO], NOON_MS), [ONE, TWO]),
        (ports.queues.send_to_delivery([ONE, TWO], NOON_MS), [ONE, TWO]),
        (ports.queues.send_job(job, NOON_MS), [job]),
        (ports.queues.report([report]), [report]),
    ]:
        assert ([], left, True) == (outcome.confirmed, outcome.unconfirmed, bool(outcome.last_error))
    with pytest.raises(NotConfirmed):
        ports.queues.approximate_counts()


def test_schedules_for_any_target_are_handed_over_to_the_delivery_queue(ports):
    """One batch is sent, and the rest stays untried."""
    many = [schedule(number) for number in range(12)]
    outcome = ports.queues.send_to_delivery(many, NOON_MS)
    assert (many[:10], many[10:]) == (outcome.confirmed, outcome.not_attempted)
    assert sorted(each.data for each in many[:10]) == [data for data, _ in ports.messages(ports.delivery)]
    ports.close(ports.delivery)
    outcome = ports.queues.send_to_delivery(many, NOON_MS)
    assert (10, many[10:]) == (len(outcome.unavailable), outcome.not_attempted)


def test_a_job_is_sent_to_the_delivery_queue(ports):
    """A retry waits until its own time."""
    job = DeliveryJob(schedule(1, target=TOPIC), 2, NOON_MS + 10_001)
    assert [job] == ports.queues.send_job(job, NOON_MS).confirmed
    assert [("data 1", 11)] == ports.messages(ports.delivery)
    ports.fail("data 1")
    assert [job] == ports.queues.send_job(job, NOON_MS).unconfirmed
    ports.close(ports.delivery)
    assert [(DeliveryJob(TWO), "NonExistentQueue")] == ports.queues.send_job(DeliveryJob(TWO), NOON_MS).unavailable


def test_reports_go_to_the_failure_queue_one_batch_at_a_time(ports):
    """A batch holds ten reports, or a mebibyte of them."""
    reports = [failure_report.expired(schedule(number), NOON_MS) for number in range(11)]
    outcome = ports.queues.report(reports)
    assert (reports[:10], reports[10:]) == (outcome.confirmed, outcome.not_attempted)
    assert sorted(f"data {number}" for number in range(10)) == [data for data, _ in ports.messages(ports.failure)]
    large = [failure_report.expired(replace(each, data='"' * 262_144), NOON_MS) for each in (ONE, TWO, THREE)]
    outcome = ports.queues.report(large)
    assert (large[:1], large[1:]) == (outcome.confirmed, outcome.not_attempted)


def test_a_missing_failure_queue_makes_the_reports_of_a_batch_unavailable(ports):
    ports.close(ports.failure)
    reports = [failure_report.expired(schedule(number), NOON_MS) for number in range(11)]
    outcome = ports.queues.report(reports)
    assert ([], reports[:10], reports[10:]) == (
        outcome.confirmed,
        [report for report, _ in outcome.unavailable],
        outcome.not_attempted,
    )


def test_the_counts_are_the_delayed_messages_and_all_deliveries(ports):
    """Only the delayed messages of the output queue are still to be released."""
    ports.queues.send(ports.output, [ONE, schedule(2, NOON_MS + 60_000)], NOON_MS)
    ports.queues.send(ports.delivery, [schedule(3, NOON_MS + 60_000, target=TOPIC), schedule(4, target=TOPIC)], NOON_MS)
    assert {"output": 1, "delivery": 2} == ports.queues.approximate_counts()
