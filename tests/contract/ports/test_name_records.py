"""The records of names as the use cases use them: each write has a condition, and only one schedule is current."""

from dataclasses import replace

import pytest

from fakes import NOON_MS, schedule
from scheduler.aws.name_records import partition_of
from scheduler.errors import NotConfirmed
from scheduler.model.name_record import (
    CANCELLED,
    DELIVERED,
    FAILED,
    FIRST_NAME,
    NAME_PARTITIONS,
    Record,
    request_number_at,
)
from scheduler.model.schedule import Schedule

ASKED = request_number_at(NOON_MS)
LATER = request_number_at(NOON_MS + 9)
RETRY_MS = NOON_MS + 60_000


def record(number=1, request_number=ASKED, name="bill", **facts):
    whole = replace(schedule(number, NOON_MS + number, "2"), name=name, user="Ünal", expires_after_ms=7)
    target = "arn:aws:sqs:eu-central-1:123456789012:other"
    return Record(replace(whole, target=target, terms="{}"), request_number, NOON_MS, **facts)


def bare(whole):
    """Return the record as a read without data has it."""
    held = whole.schedule
    return replace(whole, schedule=Schedule(held.key, held.due_ms, "", name=held.name), error="")


def claims(found):
    return found.covered_by, found.claimed_by, found.claimed_until_ms


def times(found):
    return found.accepted_ms, found.attempted_ms


def test_a_record_comes_back_as_it_was_written(ports):
    """Another name has no record."""
    assert (True, None) == ports.records.put(record(timed=400))
    found = ports.records.get("bill")
    assert (record(timed=400), ("", "", 0), (NOON_MS, ())) == (found, claims(found), times(found))
    assert ports.records.get("bills") is None


def test_only_a_later_request_replaces_a_record(ports):
    """The writer gets the record that was there before, or that stays."""
    ports.records.put(record())
    later = record(2, LATER)
    assert (True, record()) == ports.records.put(later)
    for request_number in (ASKED, LATER):
        assert (False, later) == ports.records.put(record(3, request_number))
    assert later == ports.records.get("bill")


def test_a_replacement_begins_anew(ports):
    """Nothing of the previous schedule stays: no attempt, no error, no claim."""
    ports.records.put(record())
    ports.records.cover(record(), "m")
    ports.records.claim(record(), "m", NOON_MS, NOON_MS + 5)
    ports.records.note(record().attempted(NOON_MS + 3), 2, 1, "503", NOON_MS + 4, RETRY_MS)
    ports.records.put(replace(record(2, LATER), changed_ms=NOON_MS + 9))
    found = ports.records.get("bill")
    assert replace(record(2, LATER), changed_ms=NOON_MS + 9) == found
    assert (("", "", 0), (NOON_MS + 9, ())) == (claims(found), times(found))


def test_the_same_schedule_is_not_written_again(ports):
    """It may be delivered already, and a new record would deliver it twice."""
    ports.records.put(record())
    ports.records.close(record(), DELIVERED, NOON_MS + 5, 1)
    written, found = ports.records.put(record(request_number=LATER))
    assert (False, DELIVERED) == (written, found.state)


def test_a_put_that_spares_a_pending_schedule_replaces_a_finished_one(ports):
    """`keep` and `fail` write only if nothing is pending."""
    ports.records.put(record())
    second = record(2, LATER)
    assert (False, record()) == ports.records.put(second, even_if_pending=False)
    ports.records.close(record(), FAILED, NOON_MS + 5, 1)
    assert ports.records.put(second, even_if_pending=False)[0]
    assert second == ports.records.get("bill")


def test_a_record_is_overwritten_only_if_unchanged_since_it_was_read(ports):
    """A repeat of the same write is a success. Without a record there is nothing to overwrite."""
    moved = record(2, LATER)
    assert not ports.records.put_over(record(), moved)
    ports.records.put(record())
    ports.records.note(record(), 1, 1, "503", NOON_MS + 5, RETRY_MS)
    assert not ports.records.put_over(record(), moved)
    read = ports.records.get("bill")
    assert ports.records.put_over(read, moved)
    assert moved == ports.records.get("bill")
    assert ports.records.put_over(read, moved)


def test_an_outcome_is_written_once_and_for_the_current_schedule(ports):
    """A second outcome, or one of another schedule or an unknown name, changes nothing."""
    assert not ports.records.close(record(), DELIVERED, NOON_MS + 5, 1)
    ports.records.put(record())
    assert not ports.records.close(record(2), DELIVERED, NOON_MS + 5, 1)
    assert record() == ports.records.get("bill")
    assert ports.records.close(record(), FAILED, NOON_MS + 5, 3, "410")
    done = replace(record(), state=FAILED, changed_ms=NOON_MS + 5, attempts=3, error="410", wake_count=3)
    assert done == ports.records.get("bill")
    assert not ports.records.close(record(), DELIVERED, NOON_MS + 6, 4)
    assert done == ports.records.get("bill")


def test_a_cancel_counts_as_the_latest_request(ports):
    """An earlier request that arrives later changes nothing. A second cancel finds nothing to cancel."""
    ports.records.put(record())
    assert not ports.records.cancel(record(2), LATER, NOON_MS + 3)
    assert ports.records.cancel(record(), LATER, NOON_MS + 3)
    cancelled = replace(record(), state=CANCELLED, request_number=LATER, changed_ms=NOON_MS + 3)
    assert cancelled == ports.records.get("bill")
    assert (False, cancelled) == ports.records.put(record(2, LATER))
    assert not ports.records.cancel(record(), LATER + 1, NOON_MS + 4)


def test_a_note_of_an_attempt_leaves_the_schedule_pending(ports):
    """It says when the next attempt is. An outcome keeps the number of wakes that the note counted."""
    ports.records.put(record())
    assert not ports.records.note(record(2), 4, 3, "503", NOON_MS + 6, RETRY_MS)
    assert ports.records.note(record(), 4, 3, "503", NOON_MS + 6, RETRY_MS)
    noted = replace(record(), wake_count=4, attempts=3, error="503", changed_ms=NOON_MS + 6, retry_ms=RETRY_MS)
    assert noted == ports.records.get("bill")
    assert ports.records.close(noted, DELIVERED, NOON_MS + 8, 5)
    assert (4, 5, "") == (
        (found := ports.records.get("bill")).wake_count,
        found.attempts,
        found.error,
    )
    assert not ports.records.note(record(), 5, 4, "503", NOON_MS + 9, RETRY_MS)


def test_the_times_of_attempts_are_written_whole(ports):
    """A repeated note adds none twice. A writer that knows none leaves those that are there."""
    ports.records.put(record())
    once = ports.records.get("bill").attempted(NOON_MS + 3)
    for _ in range(2):
        ports.records.note(once, 1, 1, "503", NOON_MS + 5, RETRY_MS)
    assert (NOON_MS, (NOON_MS + 3,)) == times(ports.records.get("bill"))
    ports.records.close(record(), FAILED, NOON_MS + 11, 2)
    assert (NOON_MS, (NOON_MS + 3,)) == times(ports.records.get("bill"))


def test_an_outcome_adds_its_attempt_and_keeps_the_acceptance(ports):
    ports.records.put(record())
    ports.records.note(record().attempted(NOON_MS + 3), 1, 1, "503", NOON_MS + 5, RETRY_MS)
    assert ports.records.close(ports.records.get("bill").attempted(NOON_MS + 9), DELIVERED, NOON_MS + 11, 2)
    assert (NOON_MS, (NOON_MS + 3, NOON_MS + 9)) == times(ports.records.get("bill"))


def test_one_message_covers_a_record(ports):
    """It may do so again. A finished or replaced schedule cannot be covered."""
    ports.records.put(record())
    assert [True, True, False] == [ports.records.cover(record(), message) for message in ("a", "a", "b")]
    assert ("a", "", 0) == claims(ports.records.get("bill"))
    assert not ports.records.cover(record(2), "a")
    ports.records.close(record(), DELIVERED, NOON_MS + 5, 1)
    assert not ports.records.cover(record(), "a")


def test_one_message_claims_a_delivery_until_its_claim_ends(ports):
    """It may claim again. After a noted attempt there is no first delivery to claim."""
    ports.records.put(record())
    until_ms = NOON_MS + 60_000
    assert ports.records.claim(record(), "a", NOON_MS, until_ms)
    assert not ports.records.claim(record(), "b", until_ms - 1, until_ms + 1)
    assert ports.records.claim(record(), "a", NOON_MS + 1, until_ms)
    assert ports.records.claim(record(), "b", until_ms, until_ms + 1)
    assert ("", "b", until_ms + 1) == claims(ports.records.get("bill"))
    ports.records.note(record(), 1, 1, "503", NOON_MS + 6, RETRY_MS)
    assert not ports.records.claim(record(), "b", until_ms, until_ms + 1)


@pytest.mark.parametrize("whole", [True, False])
def test_a_batch_read_returns_the_records_that_exist(ports, whole):
    """A read without data has what a listing shows of a pending schedule."""
    ports.records.put(record(timed=400))
    ports.records.put(record(2, name="second"))
    ports.records.note(record(2, name="second"), 1, 1, "503", NOON_MS + 6, RETRY_MS)
    found, left = ports.records.batch(["bill", "second", "third"], whole)
    expected = {name: ports.records.get(name) for name in ("bill", "second")}
    assert ({name: each if whole else bare(each) for name, each in expected.items()}, []) == (found, left)


def test_a_batch_read_returns_the_names_that_were_not_processed(ports):
    """The caller asks for them again."""
    for number, name in enumerate(("a", "b", "c")):
        ports.records.put(record(number, name=name))
    ports.leave_unread(2)
    found, left = ports.records.batch(["a", "b", "c"], True)
    assert ({"a", "b"}, ["c"]) == (set(found), left)


@pytest.mark.parametrize("items", [1, 2, 1_000])
def test_pages_list_the_pending_records_with_a_prefix_and_a_time(ports, items):
    """They have no data. A page may be empty and still have a next one. Every record counts as scanned."""
    names = [f"a/{number}" for number in range(6)]
    for number, name in enumerate([*names, "a", "b"]):
        ports.records.put(record(number, name=name))
    ports.records.cancel(record(3, name="a/3"), LATER, NOON_MS)
    ports.page_records(items)
    found, scanned = [], 0
    for partition in NAME_PARTITIONS:
        from_sort = "a/" + FIRST_NAME
        while from_sort is not None:
            page = ports.records.page(partition, from_sort, "a/", NOON_MS + 1, NOON_MS + 5)
            found += [(each, partition) for each in page.records]
            scanned, from_sort = scanned + page.scanned, page.next_sort
    wanted = [(bare(record(number, name=f"a/{number}")), partition_of(f"a/{number}")) for number in (1, 2, 4)]
    assert (wanted, 6) == (sorted(found, key=lambda each: each[0].name), scanned)


def test_records_that_do_not_answer_confirm_nothing(ports):
    """Every call raises NotConfirmed, because its result is unknown."""
    ports.records.put(record())
    ports.go_down()
    for call in (
        lambda: ports.records.get("bill"),
        lambda: ports.records.put(record(2, LATER)),
        lambda: ports.records.put_over(record(), record(2, LATER)),
        lambda: ports.records.close(record(), DELIVERED, NOON_MS, 1),
        lambda: ports.records.cancel(record(), LATER, NOON_MS),
        lambda: ports.records.note(record(), 1, 1, "503", NOON_MS, RETRY_MS),
        lambda: ports.records.cover(record(), "a"),
        lambda: ports.records.claim(record(), "a", NOON_MS, RETRY_MS),
        lambda: ports.records.batch(["bill"], True),
        lambda: ports.records.page(NAME_PARTITIONS[0], FIRST_NAME, "", 0, RETRY_MS),
    ):
        with pytest.raises(NotConfirmed):
            call()
