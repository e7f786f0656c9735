"""Get, list, forecast, sweep and redrive, with DynamoDB's own pages and filters, and what is refused."""

import importlib
import json
import sys
import zlib
from dataclasses import replace
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import pytest
from botocore.exceptions import ReadTimeoutError

from aws_faults import bend_batch, lose_answer, refuse_call
from fakes import NOON_MS, OTHER_ARN, schedule
from scheduler.aws.items import failed_partitions
from scheduler.aws.name_records import partition_of
from scheduler.errors import InvalidRequest, NotConfirmed, NotFound, OnItsWay
from scheduler.execution.batch_result import BatchResult
from scheduler.execution.deadline import retry_batch
from scheduler.feeding.jobs import QuarantinedItem
from scheduler.managing import operations
from scheduler.model.bundle import Bundle
from scheduler.model.failure_report import failed, unreadable
from scheduler.model.name_record import FAILED
from scheduler.model.schedule import Key, sort_from
from scheduler.placing import near_names
from whole_stack import FAR_S, NOON_S, WholeStack, ask_on, bend_pages, fail

EVENTS = Path(__file__).parents[3] / "events"
SINCE_YESTERDAY = {"from": NOON_S - 86_400}
"""A range from the first day that failures are kept is read in thousands of queries, which moto takes seconds for."""
SWEEP = {"operation": "cancel_where", "dry_run": False}
OF_ALL = {"id", "name", "timestamp", "state", "target", "data"}
OF_NAMES = {"attempts", "error", "changed", "next_attempt", "accepted", "attempt_times"}
SHOWN = OF_ALL | OF_NAMES


@pytest.fixture
def stack(cloud):
    return WholeStack(cloud)


# Get.


def test_a_schedule_without_a_name_is_found_by_its_id(stack):
    """It is single or in a bundle. Omitted fields come as null."""
    taken = stack.take(FAR_S + 0.5, "ü🎉")
    found = stack.ask("get", id=taken["id"])
    assert SHOWN == set(found)
    assert (taken["id"], FAR_S + 0.5, "stored", "ü🎉") == tuple(
        found[fact] for fact in ("id", "timestamp", "state", "data")
    )
    assert {None} == {found[fact] for fact in ("name", "target", "attempts", "error", "changed", "next_attempt")}
    for number, each in enumerate(stack.bundle()):
        assert f"member {number}" == stack.ask("get", id=each["id"])["data"]


def test_a_name_shows_its_state(stack):
    """Pending, failed attempts, failed, delivered."""
    taken = stack.take(name="bill")
    assert ("stored", 0, None, NOON_S) == look(stack)
    stack.clock.sleep(10)
    record = stack.cloud.records.get("bill")
    stack.cloud.records.note(record, 1, 1, "503", stack.clock.now_ms, stack.clock.now_ms + 7_500)
    assert ("stored", 1, "503", NOON_S + 10) == look(stack)
    assert NOON_S + 17.5 == stack.ask("get", name="bill")["next_attempt"]
    (listed,) = stack.ask("list", prefix="bill")["schedules"]
    assert (1, "503", NOON_S + 17.5) == (listed["attempts"], listed["error"], listed["next_attempt"])
    stack.clock.now_ms = (FAR_S - 900) * 1000
    assert "queued" == stack.ask("get", id=taken["id"])["state"]
    stack.cloud.records.close(record, FAILED, stack.clock.now_ms, 5, "gone")
    assert ("failed", 5, "gone", FAR_S - 900) == look(stack)
    assert stack.ask("get", name="bill")["next_attempt"] is None


def look(stack):
    return tuple(stack.ask("get", name="bill")[fact] for fact in ("state", "attempts", "error", "changed"))


def test_a_target_is_shown_as_the_caller_sent_it(stack):
    """An ARN is a string, and any other target an object."""
    envelope = {"arn": "arn:aws:sqs:eu-central-1:123456789012:other", "envelope": True}
    for number, (stored, sent) in enumerate(
        [(envelope["arn"], envelope["arn"]), (json.dumps(envelope, separators=(",", ":")), envelope)]
    ):
        each = replace(schedule(number, FAR_S * 1000), target=stored)
        stack.cloud.table.put([each])
        assert sent == stack.ask("get", id=each.id)["target"]


def test_a_quarantined_schedule_has_failed(stack):
    """A single schedule, a member of a bundle, or an unreadable bundle."""
    first, second = stack.bundle(2)
    (item,) = stack.waiting()
    bundle = stack.manage_dependencies.manage_table.get(Key(item["partition"]["S"], item["sort"]["S"]))
    member = bundle.members()[0]
    single, broken = schedule(1, FAR_S * 1000), Bundle(Key("1", f"{sort_from(9)}#{'b' * 16}"), b"junk", 2)
    quarantined_items = [
        QuarantinedItem(bundle.key, member, "closed"),
        QuarantinedItem(single.key, single, "refused"),
        QuarantinedItem(broken.key, broken, "no bundle"),
    ]
    stack.cloud.table.quarantine(quarantined_items)
    stack.cloud.table.delete([bundle.key])
    for each, reason, data in [
        (first["id"], "closed", "member 0"),
        (single.id, "refused", "data 1"),
        (f"{broken.key.id}-1", "no bundle", None),
    ]:
        found = stack.ask("get", id=each)
        assert (each, "failed", reason, data) == tuple(found[fact] for fact in ("id", "state", "error", "data"))
    with pytest.raises(NotFound):
        stack.ask("get", id=second["id"])


def test_a_quarantined_member_is_found_behind_megabytes_of_others(stack):
    """Members are stored under their own due time, so get may have to read all of a minute."""
    members = [replace(schedule(7, FAR_S * 1000), due_ms=FAR_S * 1000 - 100 + n, index=n) for n in range(8)]
    for each in members:
        each.data = "x" * 200_000
        stack.cloud.table.quarantine([QuarantinedItem(each.key, each, "closed")])
    assert [each.id for each in members] == [stack.ask("get", id=each.id)["id"] for each in members]
    with pytest.raises(NotFound):
        stack.ask("get", id=f"{members[0].key.id}-9")


def test_a_quarantined_schedule_that_cannot_be_read_in_time_is_not_called_missing(stack):
    """The unread items are unknown."""
    bend_pages(stack, 1)
    members = [replace(schedule(7, FAR_S * 1000), due_ms=FAR_S * 1000 - 100 + n, index=n) for n in range(3)]
    stack.cloud.table.quarantine([QuarantinedItem(each.key, each, "closed") for each in members])
    with pytest.raises(NotConfirmed, match="took too long; try again"):
        operations.manage({"operation": "get", "id": members[2].id}, stack.manage_dependencies, stack.clock.deadline(0))


def test_an_unknown_schedule_is_not_found(stack):
    """The name was never used, or the id has a far or a near time."""
    with pytest.raises(NotFound, match="nothing is known under the name 'bill'"):
        stack.ask("get", name="bill")
    with pytest.raises(OnItsWay, match="queued, released or was never there"):
        stack.ask("get", id=stack.take(NOON_S + 5)["id"])
    stack.cloud.dynamodb.put_item(
        TableName="schedules", Item={"partition": {"S": "0"}, "sort": {"S": f"{FAR_S:012d}000#{'0' * 16}"}}
    )
    with pytest.raises(NotFound):
        stack.ask("get", id=f"0-{FAR_S:012d}000-{'0' * 16}")


# List and forecast.


def test_a_list_is_in_order_across_partitions_and_kinds(stack):
    """Single schedules, bundles and names, in pages of three, with truncated data."""
    for number in range(5):
        stack.take(FAR_S + number * 10, f"alone {number}" + "x" * 500)
        stack.take(FAR_S + number * 10 + 1, f"named {number}", name=f"n/{number}")
    stack.bundle(6, FAR_S + 25)
    stack.ask("cancel", name="n/3")
    seen, fields = [], {}
    for _ in range(20):
        answer = stack.ask("list", limit=3, **{"from": FAR_S}, **fields)
        assert len(answer["schedules"]) <= 3
        seen += answer["schedules"]
        if answer["next"] is None:
            break
        fields = {"next": answer["next"]}
    assert sorted(each["timestamp"] for each in seen) == [each["timestamp"] for each in seen]
    assert 5 + 4 + 6 == len({each["id"] for each in seen}) == len(seen)
    assert 256 == max(len(each["data"]) for each in seen)
    assert {"stored"} == {each["state"] for each in seen}


def test_unprocessed_records_are_read_again(stack):
    """A successful answer of BatchGetItem lists the keys that it has not read."""
    for number in range(30):
        stack.take(FAR_S + number, name=f"n/{number}")
    refused = []

    def forget(parsed, **_):
        if len(refused) < 2:
            items = parsed["Responses"]["schedules"]
            keys = [{"partition": each["partition"], "sort": each["sort"]} for each in items[1:] if "partition" in each]
            if keys:
                refused.append(keys)
                del items[1:]
                parsed["UnprocessedKeys"] = {"schedules": {"Keys": keys}}

    stack.cloud.dynamodb.meta.events.register("after-call.dynamodb.BatchGetItem", forget)
    assert [f"n/{number}" for number in range(30)] == [each["name"] for each in stack.ask("list")["schedules"]]
    assert 2 == len(refused)


def test_a_list_by_prefix_reads_the_records(stack):
    """It is in order of time, in pages of two, with near schedules. It omits finished schedules and other names."""
    stack.cloud.table.remember_partitions([2])
    for number, timestamp in enumerate([FAR_S + 7, NOON_S + 500, FAR_S + 7, FAR_S + 3, FAR_S + 1_000]):
        stack.take(timestamp, "x" * 300, name=f"order/{number}")
    stack.take(name="other")
    stack.take(name="order/cancelled")
    stack.ask("cancel", name="order/cancelled")
    assert [["order/1", "order/3"], ["order/0", "order/2"], ["order/4"]] == pages(stack, prefix="order/", limit=2)
    assert [["order/3", "order/0", "order/2"]] == pages(stack, prefix="order/", to=FAR_S + 1_000, **{"from": FAR_S})
    assert 6 == len(pages(stack, prefix="")[0])
    assert [[]] == pages(stack, prefix="nobody")
    assert {256} == {len(each["data"]) for each in stack.ask("list", prefix="order/")["schedules"]}


def pages(stack, **fields):
    found = []
    for _ in range(20):
        answer = stack.ask("list", **fields)
        found.append([each["name"] for each in answer["schedules"]])
        if answer["next"] is None:
            return found
        fields["next"] = answer["next"]
    raise AssertionError("it never ends")


def test_a_prefix_with_too_many_names_is_refused(stack, monkeypatch):
    """One call reads a limited number of names."""
    monkeypatch.setattr("scheduler.managing.listing.by_prefix.LOOKED_AT_MAX", 5)
    bend_pages(stack, 1)
    for number in range(40):
        stack.take(name=f"n/{number}")
    with pytest.raises(InvalidRequest, match=r"prefix is 'n/', and more names begin so .* wanted: a longer prefix"):
        stack.ask("list", prefix="n/")


def test_a_forecast_counts_pending_schedules(stack):
    """It counts every kind, in pages, without cancelled schedules."""
    bend_pages(stack, 2)
    for number in range(7):
        stack.take(FAR_S + number * 10, "x", name=f"n/{number}")
        stack.take(FAR_S + number * 10, "x")
    stack.bundle(5, FAR_S + 32)
    stack.ask("cancel", name="n/0")
    answer = stack.ask("forecast", to=FAR_S + 40, bucket=20, **{"from": FAR_S})
    assert ([3 + 0, 4 + 5], 12, None) == (
        [each["count"] for each in answer["buckets"]],
        answer["total"],
        answer["next"],
    )
    assert [FAR_S, FAR_S + 20] == [each["timestamp"] for each in answer["buckets"]]


# Near schedules.


def shown(stack, limit=2, **fields):
    """Return the names of all pages of a list, and the answers."""
    answers, place = [], {}
    for _ in range(100):
        answers.append(stack.ask("list", limit=limit, **fields, **place))
        if answers[-1]["next"] is None:
            return [each["name"] for answer in answers for each in answer["schedules"]], answers
        place = {"next": answers[-1]["next"]}
    raise AssertionError("it never ends")


@pytest.mark.slow
def test_a_near_name_is_listed_and_counted(stack):
    """It was accepted alone or in a batch, moved near or fired. The list omits cancelled and replaced schedules."""
    stack.take(NOON_S + 600, name="a")
    stack.accept([{"timestamp": NOON_S + 300 + number, "data": "x", "name": f"b/{number}"} for number in range(60)])
    stack.take(FAR_S, name="c")
    stack.ask("move", name="c", timestamp=NOON_S + 700)
    stack.take(NOON_S + 20, name="d")
    stack.take(NOON_S + 21, name="d")
    stack.take(NOON_S + 30, name="cancelled")
    stack.ask("cancel", name="cancelled")
    stack.take(NOON_S + 31, name="away")
    stack.ask("move", name="away", timestamp=FAR_S)
    span = {"from": NOON_S, "to": NOON_S + 3600}
    names, answers = shown(stack, **span)
    assert ["d", *(f"b/{number}" for number in range(60)), "a", "c"] == names
    assert {"queued"} == {each["state"] for answer in answers for each in answer["schedules"]}
    forecast = stack.ask("forecast", bucket=600, **span)
    assert ([61, 2, 0, 0, 0, 0], 63) == ([each["count"] for each in forecast["buckets"]], forecast["total"])
    rows = [item for item in stack.cloud.items() if item["partition"]["S"].startswith("near#")]
    assert len(rows) <= 60 // 50 + 1 + 6
    assert all(int(row["ttl"]["N"]) - NOON_S in range(3_600, 3_600 + 900) for row in rows)


def test_a_name_is_listed_before_and_after_a_feed_moves_it(stack):
    """It is listed once, in its place. Its timer is in the table, in the queue, or in both."""
    for number in range(5):
        stack.take(FAR_S + number, name=f"n/{number}")
    span = {"from": FAR_S - 1000, "to": FAR_S + 1000}
    before, _ = shown(stack, **span)
    stack.clock.now_ms = (FAR_S - 600) * 1000
    first = stack.ask("list", limit=2, **span)
    put = stack.cloud.table.put_near_names
    stack.cloud.table.put_near_names = lambda rows: BatchResult(unconfirmed=list(rows), last_error="throttled")
    stack.feed()
    assert 5 == len(stack.waiting())
    assert before == shown(stack, **span)[0]
    stack.cloud.table.put_near_names = put
    stack.feed()
    assert [] == stack.waiting()
    rest = stack.ask("list", limit=10, next=first["next"], **span)
    assert ["n/0", "n/1", "n/2", "n/3", "n/4"] == [each["name"] for each in [*first["schedules"], *rest["schedules"]]]
    assert before == shown(stack, **span)[0]
    assert 5 == stack.ask("forecast", bucket=2000, **span)["total"]


def test_a_name_whose_index_row_could_not_be_written_is_not_accepted(stack):
    """It would be delivered without being listed. A repeat of the request is accepted."""
    put = stack.cloud.table.put_near_names
    stack.cloud.table.put_near_names = lambda rows: BatchResult(unconfirmed=list(rows), last_error="throttled")
    with pytest.raises(NotConfirmed, match="throttled"):
        stack.take(NOON_S + 60, name="a")
    stack.cloud.table.put_near_names = put
    stack.take(NOON_S + 60, name="a", if_exists="keep")
    assert ["a"] == shown(stack)[0]


def test_a_retry_is_listed_at_the_time_of_its_next_attempt(stack):
    """It shows the time when it was first due, and is no longer listed there."""
    stack.take(NOON_S + 10, name="a")
    stack.clock.now_ms += 20_000
    record = stack.cloud.records.get("a")
    near_names.list_retry(record.schedule, NOON_MS + 320_000, stack.cloud.table, stack.clock.deadline())
    update = {"Key": {"partition": {"S": partition_of("a")}, "sort": {"S": "a"}}, "TableName": "schedules"}
    update |= {"UpdateExpression": "SET #retry = :retry", "ExpressionAttributeNames": {"#retry": "retry"}}
    stack.cloud.dynamodb.update_item(**update, ExpressionAttributeValues={":retry": {"N": str(NOON_MS + 320_000)}})
    assert ["a"] == shown(stack)[0]
    (found,) = stack.ask("list", **{"from": NOON_S + 100, "to": NOON_S + 400})["schedules"]
    assert (NOON_S + 10, NOON_S + 320, "queued") == (found["timestamp"], found["next_attempt"], found["state"])


def test_near_schedules_without_a_name_are_counted_approximately(stack):
    """The count comes with the note, for times within reach only. An unknown count is null."""
    stack.take(NOON_S + 60)
    stack.take(NOON_S + 61)
    stack.take(NOON_S + 62, name="a")
    stack.take(FAR_S)
    span = {"from": NOON_S, "to": NOON_S + 3600}
    for answer in (stack.ask("list", **span), stack.ask("forecast", bucket=3600, **span)):
        assert {"output": 2, "delivery": 1} == answer["queued"]
        assert "approximately" in answer["note"]
    assert {"schedules", "next"} == set(stack.ask("list", **{"from": FAR_S - 100}))
    stack.cloud.sqs.delete_queue(QueueUrl=stack.cloud.output)
    assert {"output": None, "delivery": 1} == stack.ask("list")["queued"]


def test_foreign_rows_in_the_index_do_no_harm(stack):
    """A row is missing, or has any content."""
    stack.take(NOON_S + 60, name="a")
    entry = b'["0-001893456060000-0123456789abcdef"'
    texts = [b"[[1]]", b'[["x-1-y","a"]]', b"[" + entry + b',"a b"]]', b"[" + entry + b',"a","x"]]', b"[[]]", b"5"]
    for number, timers in enumerate([b"junk", *map(zlib.compress, texts)]):
        key = {"partition": {"S": "near#0"}, "sort": {"S": f"{sort_from(NOON_MS + 60_000)}#{number}"}}
        stack.cloud.dynamodb.put_item(
            TableName="schedules", Item={**key, "timers": {"B": timers}, "first": {"N": str(NOON_MS)}}
        )
    assert ["a"] == shown(stack)[0]


# Cancel by prefix.


def test_all_names_with_a_prefix_are_cancelled_in_steps(stack):
    """Each page has a cursor, and a dry run only counts. Other schedules are sent."""
    bend_pages(stack, 3)
    for number in range(40):
        stack.take(FAR_S + number, f"n/{number:02}", name=f"n/{number:02}")
    stack.take(data="other", name="other")
    stack.take(data="unnamed")
    assert (35, 0) == sweep(stack, dry_run=True, to=FAR_S + 35, prefix="n/")
    assert (35, 35) == sweep(stack, to=FAR_S + 35, prefix="n/")
    assert (0, 0) == sweep(stack, to=FAR_S + 35, prefix="n/")
    assert (5, 0) == sweep(stack, dry_run=True, prefix="n/")
    assert 7 == len(stack.waiting())
    assert ["n/35", "n/36", "n/37", "n/38", "n/39", "other", "unnamed"] == stack.come_out()


def sweep(stack, seconds=0.0, **fields):
    """Sweep to the end, with time for only one page in each call."""
    matched = cancelled = 0
    for _ in range(200):
        answer = operations.manage(SWEEP | fields, stack.manage_dependencies, stack.clock.deadline(seconds))
        matched, cancelled = matched + answer["matched"], cancelled + answer["cancelled"]
        if answer["next"] is None:
            return matched, cancelled
        fields["next"] = answer["next"]
    raise AssertionError("it never ends")


@pytest.mark.parametrize("more", [{}, {"dry_run": None}, {"dry_run": 0}, {"dry_run": "false"}])
def test_a_sweep_without_a_decision_about_dry_run_cancels_nothing(stack, more):
    """The error comes before any read or write, and says what each value does."""
    stack.take(name="n/1")
    with stack.before_call(-1, lambda: None) as calls, pytest.raises(InvalidRequest) as refusal:
        stack.ask("cancel_where", prefix="n/", **more)
    assert "wanted: true to count the schedules only, or false to cancel them" in str(refusal.value)
    assert ("pending", 0) == (stack.cloud.records.get("n/1").state, calls[0])


def test_a_dry_run_of_a_sweep_only_counts(stack):
    for number in range(3):
        stack.take(name=f"n/{number}")
    answer = stack.ask("cancel_where", prefix="n/", dry_run=True)
    assert {"matched": 3, "cancelled": 0, "next": None} == answer
    assert ["stored"] * 3 == [stack.ask("get", name=f"n/{number}")["state"] for number in range(3)]


def test_a_sweep_without_confirmed_writes_says_so(stack):
    """The caller can repeat it."""
    stack.take(name="n/1")
    events = stack.cloud.dynamodb.meta.events
    events.register("before-call.dynamodb.UpdateItem", refuse_call("ThrottlingException"), unique_id="down")
    with pytest.raises(NotConfirmed):
        stack.ask("cancel_where", prefix="n/", dry_run=False)
    events.unregister("before-call.dynamodb.UpdateItem", unique_id="down")
    assert (1, 1) == sweep(stack, prefix="n/")


def test_a_sweep_counts_cancels_whose_answers_were_lost(stack):
    """DynamoDB carries out the writes and every first answer is lost. No timer of a cancelled schedule stays."""
    for number in range(6):
        stack.take(FAR_S + number, name=f"n/{number}")
    heard = []

    def lose(**_):
        heard.append(None)
        if len(heard) % 2:
            raise ReadTimeoutError(endpoint_url="UpdateItem")

    events = stack.cloud.dynamodb.meta.events
    events.register("after-call.dynamodb.UpdateItem", lose, unique_id="lost")
    answer = operations.manage(SWEEP | {"prefix": "n/"}, stack.manage_dependencies, stack.clock.deadline(60))
    events.unregister("after-call.dynamodb.UpdateItem", unique_id="lost")
    assert {"matched": 6, "cancelled": 6, "next": None} == answer
    assert ["cancelled"] * 6 == [stack.ask("get", name=f"n/{number}")["state"] for number in range(6)]
    assert [] == stack.waiting()


def test_a_sweep_does_not_count_the_cancels_of_another_call(stack):
    """Its own write fails its condition, which differs from a lost answer."""
    stack.take(name="n/1")
    stack.take(name="n/2")
    reads = stack.cloud.records.page

    def page(*place):
        names = reads(*place)
        if names.records:
            stack.ask("cancel", name=names.records[0].name)
        return names

    stack.cloud.records.page = page
    answer = operations.manage(SWEEP | {"prefix": "n/1"}, stack.manage_dependencies, stack.clock.deadline(60))
    assert (1, 0) == (answer["matched"], answer["cancelled"])


def test_a_sweep_reports_the_number_of_unconfirmed_cancels(stack):
    """One is confirmed. The other may be cancelled, but does not count as cancelled."""
    names = [name for name in (f"n/{number}" for number in range(200)) if partition_of(name) == "names#0"][:2]
    for name in names:
        stack.take(name=name)

    def lose(params, **_):
        stack.bad = names[1] in str(params["body"])

    def lost(**_):
        if stack.bad:
            raise ReadTimeoutError(endpoint_url="UpdateItem")

    events = stack.cloud.dynamodb.meta.events
    events.register("before-call.dynamodb.UpdateItem", lose, unique_id="see")
    events.register("after-call.dynamodb.UpdateItem", lost, unique_id="lost")
    answer = stack.ask("cancel_where", prefix="n/", dry_run=False)
    assert (1, 1, 1) == (answer["matched"], answer["cancelled"], answer["unconfirmed"])
    assert answer["next"] is not None


# Failures and redrive.


@pytest.mark.slow
def test_failures_are_shown_in_order_and_in_pages(stack):
    """They span days, each with its error. Unreadable messages and quarantined schedules are included."""
    day_ms = 86_400_000
    times = [NOON_MS - 3 * day_ms, NOON_MS - 3 * day_ms + 5, NOON_MS - day_ms, NOON_MS - 7]
    for number, at_ms in enumerate(times):
        fail(stack, number, at_ms, name="bill" if number == 2 else None)
    stack.cloud.table.put_failed([unreadable("{", "no delivery job", NOON_MS - 3)])
    stack.cloud.table.quarantine([QuarantinedItem(schedule(9).key, schedule(9), "InvalidMessageContents")])
    shown, fields = [], {}
    for _ in range(10):
        answer = stack.ask("failures", limit=2, **fields)
        shown += answer["failures"]
        if answer["next"] is None:
            break
        fields["next"] = answer["next"]
    assert [at_ms / 1000 for at_ms in times] + [(NOON_MS - 3) / 1000, None] == [each["failed"] for each in shown]
    assert ("503", 5, "failed", "bill") == tuple(shown[2][fact] for fact in ("error", "attempts", "reason", "name"))
    assert (None, "no delivery job", "unreadable") == tuple(shown[4][fact] for fact in ("id", "error", "reason"))
    assert ("InvalidMessageContents", "quarantined") == (shown[5]["error"], shown[5]["reason"])
    since = stack.ask("failures", to=NOON_S, **{"from": NOON_S - 86_400})["failures"]
    assert times[2:] == [each["failed"] * 1000 for each in since[:2]]
    assert 3 == len(since)


@pytest.mark.slow
def test_one_failure_is_redriven_under_its_id(stack):
    """It is sent once and now, and its failure is deleted."""
    each = fail(stack, 1, NOON_MS - 50_000_000)
    fail(stack, 2, NOON_MS)
    assert {"redriven": 1, "left": 0, "next": None} == stack.ask("redrive", id=each.id)
    (message,) = stack.cloud.received()
    assert (each.id, "data 1") == (message["MessageAttributes"]["id"]["StringValue"], message["Body"])
    with pytest.raises(NotFound, match="is not among the failures that are kept"):
        stack.ask("redrive", id=each.id)
    assert 1 == len(stack.ask("failures", **SINCE_YESTERDAY)["failures"])


@pytest.mark.slow
def test_a_truncated_failure_is_not_redriven(stack):
    """It would deliver other data than the caller sent."""
    whole = replace(schedule(1), data="x" * 500_000)
    stack.cloud.table.put_failed([failed(whole, "503", 5, NOON_MS)])
    with pytest.raises(InvalidRequest, match="cannot be scheduled again"):
        stack.ask("redrive", id=whole.id)
    (shown,) = stack.ask("failures", **SINCE_YESTERDAY)["failures"]
    assert ("failed", "503") == (shown["reason"], shown["error"])
    assert [] == stack.cloud.received()


def test_one_failure_is_found_among_any_number(stack):
    """Each call ends in time, and the next one continues where it stopped."""
    bend_pages(stack, 3)
    key = failed_partitions(date(2029, 12, 31), schedule(99, NOON_MS - 100_000_000, "1").id)[-1]
    of_one_key = [
        number
        for number in range(100, 900)
        if key == failed_partitions(date(2029, 12, 31), schedule(number, NOON_MS - 100_000_000, "0").id)[-1]
    ]
    for place, number in enumerate(of_one_key[:40]):
        stack.cloud.table.put_failed(
            [failed(schedule(number, NOON_MS - 100_000_000, "0"), "503", 5, NOON_MS - 90_000_000 + place * 2_000_000)]
        )
    stack.cloud.dynamodb.meta.events.register("before-call.dynamodb.Query", lambda **_: stack.clock.sleep(1))
    each = fail(stack, 99, NOON_MS - 1_000)
    answers = ask_on(stack, 10, operation="redrive", id=each.id)
    assert 3 <= len(answers) <= 6
    assert [0] * (len(answers) - 1) + [1] == [answer["redriven"] for answer in answers]
    assert ["data 99"] == [message["Body"] for message in stack.cloud.received()]
    with pytest.raises(NotFound):
        ask_on(stack, 10, operation="redrive", id=each.id)


def test_a_quarantined_schedule_is_found_among_any_number(stack):
    """A member of a bundle is stored under its own due time, which its id does not show."""
    stack.bundle(40)
    (item,) = stack.waiting()
    bundle = stack.manage_dependencies.manage_table.get(Key(item["partition"]["S"], item["sort"]["S"]))
    quarantined_items = [QuarantinedItem(bundle.key, each, "closed") for each in bundle.members()]
    assert 40 == len(retry_batch(stack.cloud.table.quarantine, quarantined_items, stack.clock.deadline()).confirmed)
    stack.cloud.table.delete([bundle.key])
    bend_pages(stack, 3)
    stack.cloud.dynamodb.meta.events.register("before-call.dynamodb.Query", lambda **_: stack.clock.sleep(1))
    answers = ask_on(stack, 10, operation="redrive", id=bundle.members()[30].id)
    assert 1 == answers[-1]["redriven"]
    assert 3 <= len(answers) <= 6  # Each call reads only new pages.
    assert ["member 30"] == stack.come_out()


@pytest.mark.slow
def test_a_redrive_removes_both_failures_of_one_schedule(stack):
    """The schedule is sent once."""
    each = fail(stack, 1, NOON_MS - 70_000_000)
    fail(stack, 1, NOON_MS - 1_000)
    assert {"redriven": 1, "left": 0, "next": None} == stack.ask("redrive", id=each.id)
    assert (1, []) == (len(stack.cloud.received()), stack.ask("failures", **SINCE_YESTERDAY)["failures"])


@pytest.mark.slow
def test_all_failures_of_a_time_range_are_redriven_in_steps(stack):
    """Each call has time for one page. Failures that cannot be redriven stay and are counted."""
    bend_pages(stack, 3)
    for number in range(20):
        fail(stack, number, NOON_MS - 200_000_000 + number * 10_000_000)
    stack.cloud.table.put_failed([unreadable("{", "no delivery job", NOON_MS - 190_000_000)])
    total, left, fields = 0, 0, {"from": NOON_S - 200_000, "to": NOON_S - 50_000}
    for _ in range(20):
        answer = operations.manage(
            {"operation": "redrive", **fields}, stack.manage_dependencies, stack.clock.deadline(0.5)
        )
        stack.clock.sleep(1)
        total, left = total + answer["redriven"], left + answer["left"]
        if answer["next"] is None:
            break
        fields["next"] = answer["next"]
    assert (15, 1) == (total, left)
    assert 15 == len(stack.cloud.received())
    assert 6 == len(stack.ask("failures", **{"from": fields["from"]})["failures"])


@pytest.mark.slow
def test_a_spread_reaches_beyond_the_delay_of_a_queue(stack):
    """Schedules beyond the maximum delay wait in the table, and all of them are sent."""
    for number in range(10):
        fail(stack, number, NOON_MS - 1_000)
    assert 10 == stack.ask("redrive", spread=100_000, to=NOON_S, **SINCE_YESTERDAY)["redriven"]
    assert 10 == len(stack.waiting()) + stack.delayed(stack.cloud.output)
    assert 5 < len(stack.waiting())


@pytest.mark.slow
def test_a_name_is_redriven_if_it_has_no_pending_schedule(stack):
    """It gets a new id. A later schedule of that name stays unchanged."""
    each = fail(stack, 1, NOON_MS - 1_000, name="bill")
    stack.take(name="bill", data="later")
    with pytest.raises(InvalidRequest, match=r"has the name 'bill', under which .* is pending"):
        stack.ask("redrive", id=each.id)
    assert {"redriven": 0, "left": 1, "next": None} == stack.ask("redrive", to=NOON_S, **SINCE_YESTERDAY)
    stack.ask("cancel", name="bill")
    stack.clock.sleep(1)
    assert 1 == stack.ask("redrive", id=each.id)["redriven"]
    assert ["data 1"] == stack.come_out()
    assert "delivered" == stack.ask("get", name="bill")["state"]


@pytest.mark.slow
def test_quarantined_schedules_are_redriven_too(stack):
    """By id or with all others. An unreadable item stays."""
    stack.bundle(2)
    (item,) = stack.waiting()
    bundle = stack.manage_dependencies.manage_table.get(Key(item["partition"]["S"], item["sort"]["S"]))
    stack.cloud.table.quarantine([QuarantinedItem(bundle.key, each, "closed") for each in bundle.members()])
    stack.cloud.table.delete([bundle.key])
    junk = {"partition": {"S": "0"}, "sort": {"S": sort_from(5)}, "junk": {"BOOL": True}}
    stack.cloud.table.quarantine([QuarantinedItem(Key("0", sort_from(5)), junk, "no schedule")])
    assert 1 == stack.ask("redrive", id=bundle.members()[0].id)["redriven"]
    assert {"redriven": 1, "left": 1, "next": None} == stack.ask("redrive", to=FAR_S + 1, **{"from": 0})
    assert ["member 0", "member 1"] == stack.come_out()
    assert 1 == len(stack.ask("failures")["failures"])


def test_a_quarantined_timer_wakes_its_record(stack):
    """The record has all the data, and the timer has none."""
    stack.take(name="bill")
    (item,) = stack.waiting()
    timer = stack.manage_dependencies.manage_table.get(Key(item["partition"]["S"], item["sort"]["S"]))
    stack.cloud.table.quarantine([QuarantinedItem(timer.key, timer, "closed")])
    stack.cloud.table.delete([timer.key])
    stack.clock.now_ms = (FAR_S + 100_000) * 1000
    stack.ask("redrive", id=timer.id)
    assert ["data"] == stack.come_out()


@pytest.mark.slow
def test_a_redrive_without_an_answer_may_repeat_and_loses_nothing(stack):
    """The repeat sends again and then deletes the failure."""
    each = fail(stack, 1, NOON_MS - 1_000)
    lose_answer(stack.cloud.sqs, "sqs.SendMessageBatch")
    lose_answer(stack.cloud.dynamodb, "dynamodb.BatchWriteItem")
    stack.ask("redrive", id=each.id)
    assert {"data 1"} == {message["Body"] for message in stack.cloud.received()}
    assert [] == stack.ask("failures", **SINCE_YESTERDAY)["failures"]


@pytest.mark.slow
def test_failures_stay_while_their_queue_is_down(stack):
    """An unconfirmed redrive deletes nothing."""
    fail(stack, 1, NOON_MS - 1_000)
    stack.cloud.sqs.meta.events.register("before-call.sqs.SendMessageBatch", refuse_call("ServiceUnavailable", 503))
    with pytest.raises(NotConfirmed):
        stack.ask("redrive", to=NOON_S, **SINCE_YESTERDAY)
    assert 1 == len(stack.ask("failures", **SINCE_YESTERDAY)["failures"])


@pytest.mark.slow
def test_failures_whose_queue_is_missing_delay_no_others(stack):
    """More of them than one step has stay and are counted. The same call redrives the failures behind them."""
    for number in range(120):
        fail(stack, number, NOON_MS - 2_000 + number, target=OTHER_ARN)
    fail(stack, 200, NOON_MS - 1_000)
    assert {"redriven": 1, "left": 120, "next": None} == stack.ask("redrive", to=NOON_S, **SINCE_YESTERDAY)
    assert ["data 200"] == [message["Body"] for message in stack.cloud.received()]
    with pytest.raises(InvalidRequest, match="cannot be scheduled again: its queue is missing or denies access: Non"):
        stack.ask("redrive", id=schedule(0, NOON_MS - 100_000_000, "0").id)


@pytest.mark.slow
def test_a_sweep_of_failures_with_a_missing_queue_continues_where_it_stopped(stack):
    """It stopped in the middle of a step. The next call reads no failure again and counts each once."""
    for number in range(350):
        fail(stack, number, NOON_MS - 2_000 + number, target=OTHER_ARN)
    slow = stack.cloud.sqs.meta.events
    slow.register("before-call.sqs.SendMessageBatch", lambda **_: stack.clock.sleep(0.1))
    left, fields = 0, {**SINCE_YESTERDAY, "to": NOON_S}
    for _ in range(5):
        answer = stack.ask("redrive", **fields)
        left += answer["left"]
        if answer["next"] is None:
            break
        fields["next"] = answer["next"]
    assert (350, None) == (left, answer["next"])


@pytest.mark.slow
def test_failures_wait_while_the_output_queue_is_closed(stack):
    """The queue is the stack's own and never given up."""
    fail(stack, 1, NOON_MS - 1_000)
    stack.cloud.sqs.meta.events.register("before-call.sqs.SendMessageBatch", refuse_call("AccessDenied", 403))
    with pytest.raises(NotConfirmed, match="AccessDenied"):
        stack.ask("redrive", to=NOON_S, **SINCE_YESTERDAY)
    assert 1 == len(stack.ask("failures", **SINCE_YESTERDAY)["failures"])


@pytest.mark.slow
def test_an_undeleted_failure_is_reported(stack, capsys):
    """Its schedule is stored, and a later redrive would repeat it."""
    fail(stack, 1, NOON_MS - 1_000)
    fail(stack, 2, NOON_MS - 1_000)
    bend_batch(
        stack.cloud.dynamodb,
        "dynamodb.BatchWriteItem",
        lambda params: params["RequestItems"]["schedules"],
        lambda request: True,
        lambda parsed, held: parsed.update(UnprocessedItems={"schedules": list(held)}),
    )
    stack.clock.sleep(1)
    assert 2 == stack.ask("redrive", to=NOON_S, **SINCE_YESTERDAY)["redriven"]
    assert [] == stack.ask("failures", **SINCE_YESTERDAY)["failures"] or "not deleted" in capsys.readouterr().out


# Invalid requests, and the samples.


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (None, "the request is null; wanted: an object"),
        ([], "the request is a list of 0"),
        (
            {},
            "operation is missing; wanted: one of get, list, forecast, cancel, change, move, fire, cancel_where",
        ),
        (
            [{"delay": 5, "data": "x"}],
            "a list of 1; a schedule goes to the schedule function (output ScheduleFunction)",
        ),
        ({"timestamp": 5, "data": "x"}, "operation is missing; a schedule goes to the schedule function"),
        ({"date": 5, "payload": "x"}, "operation is missing; a schedule goes to the schedule function"),
        ({"schedules": []}, "operation is missing; a schedule goes to the schedule function"),
        ({"name": "n"}, "operation is missing; wanted"),
        ({"operation": "schedule", "data": "x"}, "operation is 'schedule'; a schedule goes to the schedule function"),
        ({"operation": "mvoe", "delay": 5}, "operation is 'mvoe'; did you mean move?; wanted"),
        ({"operation": "cancel", "prefix": "a"}, "'prefix' is not a field of cancel; cancel_where takes it; accepted"),
        ({"operation": "cancel_where", "name": "a"}, "'name' is not a field of cancel_where; cancel takes it"),
        ({"operation": "list", "name": "a"}, "'name' is not a field of list; get takes it"),
        ({"operation": "cancle"}, "operation is 'cancle'; did you mean cancel?; wanted: one of"),
        ({"operation": ["get"]}, "operation is a list of 1; wanted"),
        ({"operation": "get", "nmae": "x"}, "'nmae' is not a field of get; did you mean name?; accepted are name, id"),
        ({"operation": "get"}, "name and id are both missing; wanted: exactly one of the two"),
        ({"operation": "fire", "name": "x", "id": "y"}, "name and id are both given"),
        ({"operation": "cancel", "id": "bill"}, "id is 'bill'; is it a name?; wanted: an id as it was answered"),
        ({"operation": "cancel", "id": 5}, "id is 5; wanted: an id"),
        ({"operation": "cancel", "id": "names#0-1-2"}, "id is 'names#0-1-2'"),
        ({"operation": "cancel", "id": f"0-{'٣' * 15}-{'0' * 16}"}, "id is"),
        ({"operation": "cancel", "name": "a b"}, "name is 'a b'; wanted: 1 to 128 of"),
        ({"operation": "cancel", "name": ""}, "name is ''; wanted"),
        ({"operation": "move", "name": "x"}, "timestamp and delay are both missing"),
        ({"operation": "move", "name": "x", "delay": 1, "timestamp": 1}, "timestamp and delay are both given"),
        ({"operation": "move", "name": "x", "delay": -1}, "delay is -1, in the past"),
        ({"operation": "move", "name": "x", "timestamp": "soon"}, "timestamp is 'soon', no date that exists"),
        ({"operation": "list", "limit": 1_001}, "limit is 1001; wanted: a whole number from 1 to 1000"),
        ({"operation": "list", "limit": True}, "limit is true"),
        ({"operation": "list", "limit": 2.0}, "limit is 2.0"),
        ({"operation": "list", "from": 5, "to": 5}, "to is 5, not after from"),
        ({"operation": "list", "from": None}, "from is null; wanted: seconds since 1970"),
        ({"operation": "list", "to": 1893456000000}, "to is 1893456000000, past the year 9999; it looks like milli"),
        ({"operation": "list", "prefix": "a b"}, "prefix is 'a b'; wanted: the beginning of names"),
        ({"operation": "list", "prefix": "a", "next": "x"}, "next is 'x'; wanted: the next of the answer before"),
        ({"operation": "cancel_where"}, "prefix is missing; cancel_where wants prefix"),
        ({"operation": "cancel_where", "prefix": "a"}, "dry_run is missing; wanted: true to count the schedules only"),
        ({"operation": "cancel_where", "prefix": "a", "dry_run": "yes"}, "dry_run is 'yes'; wanted: true to count"),
        (SWEEP | {"prefix": "b", "next": "WyJzd2VlcCIsMCwiYSJd"}, "next is"),
        ({"operation": "failures", "next": "W10="}, "next is 'W10='"),
        ({"operation": "redrive"}, "id is missing, and so is from or to"),
        ({"operation": "redrive", "id": f"0-{'0' * 15}-{'0' * 16}", "from": 5}, "id and from are both given"),
        (
            {"operation": "redrive", "from": 0, "to": 1, "spread": -1},
            "spread is -1; wanted: a number of seconds from 0",
        ),
        ({"operation": "redrive", "from": 0, "to": 1, "next": "W10="}, "next is 'W10='"),
        ({"operation": "redrive", "id": f"0-{'0' * 15}-{'0' * 16}", "next": "W10="}, "next is 'W10='"),
    ],
)
def test_an_invalid_request_is_refused(stack, event, message):
    """The error shows the field, the value and what is accepted."""
    with pytest.raises(InvalidRequest) as refusal:
        operations.manage(event, stack.manage_dependencies, stack.clock.deadline())
    assert message in str(refusal.value)


def test_every_operation_has_a_sample(stack):
    """The operation accepts it."""
    samples = {path.stem.removeprefix("manage_"): json.loads(path.read_text()) for path in EVENTS.glob("manage_*.json")}
    assert set(operations.OPERATIONS) == set(samples) == {each["operation"] for each in samples.values()}
    for event in samples.values():
        try:
            operations.manage(event, stack.manage_dependencies, stack.clock.deadline())
        except (NotFound, OnItsWay):
            continue


def test_an_outcome_is_one_line_without_data(stack, capsys):
    """The line has ids and counts."""
    stack.take(data="secret", name="bill")
    capsys.readouterr()
    stack.ask("get", name="bill")
    stack.ask("list")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [("managed", "get"), ("managed", "list")] == [(line["outcome"], line["operation"]) for line in lines]
    assert "secret" not in json.dumps(lines)


def test_the_function_answers(cloud, monkeypatch):
    """It is built from its environment, as in Lambda."""
    addresses = {"OUTPUT_QUEUE_URL": cloud.output, "DELIVERY_QUEUE_URL": cloud.delivery}
    for name, value in {"TABLE_NAME": "schedules", "PARTITION_COUNT": "2", "REACH_SECONDS": "900", **addresses}.items():
        monkeypatch.setenv(name, value)
    sys.modules.pop("manage", None)
    manage = importlib.import_module("manage")
    context = SimpleNamespace(get_remaining_time_in_millis=lambda: 30_000)
    assert [] == manage.handler({"operation": "list"}, context)["schedules"]
    with pytest.raises(NotFound, match="nothing is known under the name 'bill'"):
        manage.handler({"operation": "get", "name": "bill"}, context)


def test_a_redrive_with_an_undeleted_failure_repeats_under_one_id(stack):
    """A named schedule is known to be delivered. Another one is sent again with the same id."""
    fail(stack, 1, NOON_MS - 1_000, name="bill")
    fail(stack, 2, NOON_MS - 1_000)
    spread = {"from": NOON_S - 86_400, "to": NOON_S, "spread": 100_000}
    events, gone = stack.cloud.dynamodb.meta.events, refuse_call("ServiceUnavailable", 503)

    def no_delete(params, **_):
        if any("DeleteRequest" in write for write in params["RequestItems"]["schedules"]):
            gone()

    events.register("provide-client-params.dynamodb.BatchWriteItem", no_delete)
    stack.ask("redrive", **spread)
    lying = {item["sort"]["S"] for item in stack.waiting()}
    events.unregister("provide-client-params.dynamodb.BatchWriteItem", no_delete)
    assert 2 == stack.ask("redrive", **{**spread, "spread": 0})["redriven"]
    assert lying == {item["sort"]["S"] for item in stack.waiting()}
    assert [] == stack.ask("failures", **{"from": NOON_S - 86_400, "to": NOON_S})["failures"]
    assert ["data 1", "data 2"] == stack.come_out(NOON_S + 200_000)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "spread"), [("bill", 0), ("bill", 100_000), (None, 100_000)])
def test_two_concurrent_redrives_send_a_failure_under_one_id(stack, name, spread):
    """The second redrive runs between any two calls of the first one.

    A random time within the reach waits in a queue, whose delay is real time. It is only counted.
    """
    asked, delayed = {"from": NOON_S - 3_600, "to": NOON_S, "spread": spread}, 0
    for number in range(9):
        stack.begin_anew()
        fail(stack, number, NOON_MS - 1_000, name=name and f"{name}/{number}")
        with stack.before_call(number, lambda: stack.ask("redrive", **asked)):
            stack.ask("redrive", **asked)
        assert [] == stack.ask("failures", **{"from": asked["from"], "to": NOON_S})["failures"]
        before, delayed = delayed, stack.delayed(stack.cloud.output) + stack.delayed(stack.cloud.delivery)
        expected = [] if delayed > before else [f"data {number}"]
        assert expected == stack.come_out(NOON_S + 200_000)


def test_a_refused_redrive_leaves_no_time_behind(stack):
    """A pending name keeps its failure, and a later redrive chooses its own time."""
    each = fail(stack, 1, NOON_MS - 1_000, name="bill")
    stack.take(name="bill", data="later")
    assert 1 == stack.ask("redrive", to=NOON_S, spread=1_000_000, **{"from": NOON_S - 86_400})["left"]
    stack.ask("cancel", name="bill")
    stack.clock.sleep(1)
    assert 1 == stack.ask("redrive", id=each.id)["redriven"]
    assert ["data 1"] == stack.come_out(NOON_S + 10)
