"""The table, under DynamoDB's rules: conditions, pages and unprocessed items."""

import random

import pytest
from botocore.exceptions import ClientError

from fakes import NOON_MS, Clock, schedule
from scheduler.aws import items
from scheduler.errors import NotConfirmed
from scheduler.execution.deadline import retry_batch
from scheduler.feeding.jobs import QuarantinedItem
from scheduler.model.failure_report import unreadable
from scheduler.model.schedule import Key, Request, Schedule, sort_from
from scheduler.placing.keys import KeyGenerator

SORT = f"{sort_from(NOON_MS)}#{'f' * 16}"
EARLIEST, LATEST = sort_from(0), sort_from(NOON_MS * 2)
MANY = 1_000


def test_a_schedule_is_read_back_unchanged(cloud):
    """Every field, with Unicode, newlines and 256 KiB."""
    key = Key("3", f"{sort_from(NOON_MS)}#0123456789abcdef")
    whole = Schedule(
        key, NOON_MS, "Zeile\n🎉" + "x" * 262_000, "arn:aws:sqs:eu-central-1:123456789012:other", "me", 5_000
    )
    assert [whole] == cloud.table.put([whole]).confirmed
    assert [whole] == cloud.table.page("3", EARLIEST, LATEST, MANY).schedules


def test_many_items_are_written_in_batches(cloud):
    """DynamoDB accepts 25 writes at once. Each call makes one request, so the caller can check the time in between."""
    many = [schedule(number) for number in range(60)]
    first = cloud.table.put(many)
    assert (many[:25], many[25:]) == (first.confirmed, first.not_attempted)
    assert many == retry_batch(cloud.table.put, many, Clock().deadline()).confirmed
    assert many == cloud.table.page("0", EARLIEST, LATEST, MANY).schedules
    assert 60 == len(retry_batch(cloud.table.delete, [each.key for each in many], Clock().deadline()).confirmed)
    assert [] == cloud.items()


@pytest.mark.parametrize(
    ("code", "status"),
    [("ProvisionedThroughputExceededException", 400), ("ThrottlingException", 400), ("InternalServerError", 500)],
)
def test_a_temporary_error_leaves_everything(cloud, code, status):
    """The result is unknown, so nothing counts as done and nothing is lost."""

    def fail(**_):
        raise ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "")

    cloud.dynamodb.meta.events.register("before-call.dynamodb.*", fail)
    outcome = cloud.table.put([schedule(1)])
    assert ([schedule(1)], code) == (outcome.unconfirmed, outcome.last_error)
    with pytest.raises(NotConfirmed, match=code):
        cloud.table.page("0", EARLIEST, LATEST, MANY)
    assert [4] == cloud.table.remember_partitions([4]).unconfirmed


def test_a_mistake_of_ours_raises(cloud):
    """Retries cannot create a missing table."""
    cloud.table._name = "nowhere"
    with pytest.raises(ClientError, match="ResourceNotFound"):
        cloud.table.put([schedule(1)])


def test_a_quarantined_item_keeps_everything_and_its_reason(cloud):
    """A schedule or an unreadable item stays complete, under its due time, with its old key."""
    odd = {"partition": {"S": "0"}, "sort": {"S": sort_from(5)}, "junk": {"BOOL": True}}
    things = [
        QuarantinedItem(schedule(1).key, schedule(1), "too odd"),
        QuarantinedItem(Key("0", sort_from(5)), odd, "no schedule"),
    ]
    assert things == cloud.table.quarantine(things).confirmed
    junk, kept = sorted(cloud.items(), key=lambda item: item["sort"]["S"])
    assert {"quarantine"} == {item["partition"]["S"] for item in (junk, kept)}
    assert schedule(1).key.sort == kept["sort"]["S"]
    assert ("data 1", "0", "too odd") == (kept["data"]["S"], kept["origin"]["S"], kept["reason"]["S"])
    assert (True, {"BOOL": True}) == (junk["sort"]["S"].startswith(sort_from(5)), junk["junk"])


@pytest.mark.parametrize("sort", [sort_from(5), sort_from(5) + "x" * 1_009])
def test_unreadable_items_of_two_partitions_are_both_kept(cloud, sort):
    """They can have the same sort key, which anyone may have chosen, of the maximum length.

    A second quarantine of one item overwrites the first.
    """
    for partition in ("0", "1", "1"):
        key = items.key(partition, sort)
        cloud.table.quarantine(
            [QuarantinedItem(Key(partition, sort), {**key, "junk": {"S": partition}}, "no schedule")]
        )
    assert ["0", "1"] == sorted(item["junk"]["S"] for item in cloud.items())


@pytest.mark.parametrize(
    "item",
    [
        {"sort": {"S": SORT}},
        {"sort": {"S": SORT}, "data": {"N": "5"}},
        {"sort": {"S": f"000000000000abc{SORT[15:]}"}, "data": {"S": "x"}},
        {"sort": {"S": sort_from(NOON_MS)}, "data": {"S": "x"}},
        {"sort": {"S": f"{sort_from(NOON_MS)}#x"}, "data": {"S": "x"}},
        {"sort": {"S": f"00000000000000²{SORT[15:]}"}, "data": {"S": "x"}},
        {"sort": {"S": SORT}, "data": {"S": "x"}, "target": {"S": "nowhere"}},
        {"sort": {"S": SORT}, "data": {"S": "x"}, "target": {"S": '{"url":"https://["}'}},
        {"sort": {"S": SORT}, "data": {"S": "x"}, "target": {"S": '{"url":"https://a.b/","headers":{"a":[[]]}}'}},
        {"sort": {"S": SORT}, "data": {"S": ""}},
        {"sort": {"S": SORT}, "data": {"S": "\ufffe"}},
        {"sort": {"S": SORT}, "data": {"S": "x"}, "user": {"S": "\ufffe"}},
        {"sort": {"S": SORT}, "data": {"S": "x"}, "name": {"S": "a b"}},
        {"sort": {"S": SORT}, "name": {"S": "bill"}, "target": {"S": '{"url":"https://["}'}},
        {"sort": {"S": SORT}, "data": {"S": "x"}, "terms": {"S": "x"}},
        {"sort": {"S": SORT}, "data": {"S": "x"}, "terms": {"S": '{"failure_target":"x"}'}},
        {"sort": {"S": SORT}, "bundle": {"B": b"x"}},
        {"sort": {"S": SORT}, "bundle": {"B": b"x"}, "members": {"N": "-1"}},
        {"sort": {"S": SORT}, "bundle": {"B": b"x"}, "members": {"N": "501"}},
        {"sort": {"S": SORT}, "bundle": {"S": "x"}, "members": {"N": "2"}},
        {"sort": {"S": SORT}, "data": {"S": "x"}, "expires_after": {"N": "1.5"}},
        {"sort": {"S": SORT}, "data": {"S": "x"}, "expires_after": {"N": "-1"}},
        {"sort": {"S": SORT}, "data": {"S": "x"}, "expires_after": {"N": "9" * 38}},
        {"sort": {"S": SORT}, "data": {"S": "x"}, "cut": {"N": "5"}},
    ],
)
def test_an_unreadable_item_does_not_hide_schedules(cloud, item):
    """It comes with a reason, and the page continues."""
    cloud.dynamodb.put_item(TableName="schedules", Item={"partition": {"S": "0"}, **item})
    cloud.table.put([schedule(1)])
    page = cloud.table.page("0", EARLIEST, LATEST, MANY)
    assert ([schedule(1)], 1) == (page.schedules, len(page.unreadable))
    assert page.unreadable[0].reason.startswith("no schedule: ")


def packed(*requests):
    """Return one bundle of these requests, and its members."""
    ((bundle, members),) = KeyGenerator(1, random.Random(1), 60_000).bundles(dict(enumerate(requests)), None)
    return bundle, list(members.values())


def test_a_bundle_holds_the_time_of_its_first_member(cloud):
    """A reader can then skip it packed. After a write-back, the time is that of the first remaining member."""
    bundle, members = packed(Request(NOON_MS - 7, "a"), Request(NOON_MS - 5, "b"), Request(NOON_MS, "c"))
    cloud.table.put([bundle])
    assert [{"N": str(NOON_MS - 7)}] == [item["first"] for item in cloud.items()]
    cloud.table.write_back(bundle, bundle.holding(members[1:]))
    assert [{"N": str(NOON_MS - 5)}] == [item["first"] for item in cloud.items()]


@pytest.mark.parametrize("first", [None, {"S": "x"}, {"N": "1.5"}, {"N": "-1"}, {"N": str(NOON_MS + 1)}], ids=str)
def test_a_bundle_is_fed_whatever_its_first_time_says(first):
    """An earlier version stored no such attribute. An impossible value must not hide the members."""
    bundle, _ = packed(Request(NOON_MS - 5, "a"), Request(NOON_MS, "b"))
    stored = {name: value for name, value in items.item(bundle).items() if name != "first"}
    read = items.bundle({**stored, "first": first} if first else stored)
    assert (None, bundle.packed) == (read.first_ms, read.packed)


def test_a_full_bundle_is_four_write_units(cloud):
    """DynamoDB counts names and values. Random data packs worst."""
    requests = [Request(NOON_MS, random.Random(number).randbytes(50).hex()) for number in range(500)]
    for bundle, _ in KeyGenerator(256, random.Random(1), 60_000).bundles(dict(enumerate(requests)), None):
        cloud.table.put([bundle])
    for item in cloud.items():
        size_bytes = sum(len(name) + len(*value.values()) for name, value in item.items())
        assert size_bytes <= 4 * 1024


def test_a_member_is_quarantined_as_a_schedule_of_its_own(cloud):
    """It is stored under its own due time, with its index in the key."""
    bundle, members = packed(Request(NOON_MS - 5, "a"), Request(NOON_MS, "b"))
    cloud.table.quarantine([QuarantinedItem(bundle.key, member, "too odd") for member in members])
    tail = bundle.key.sort[15:]
    assert {(f"{sort_from(NOON_MS - 5)}{tail}-0", "a"), (f"{sort_from(NOON_MS)}{tail}-1", "b")} == {
        (item["sort"]["S"], item["data"]["S"]) for item in cloud.items()
    }


@pytest.mark.parametrize("text", ["x" * 500_000, "ü" * 500_000, "\ud800" * 200_000])
def test_an_item_over_the_size_limit_is_truncated_and_marked(cloud, text):
    """The beginning and the full size stay. A message may be twice as large as an item."""
    outcome = cloud.table.put_failed([unreadable(text, "no delivery job", NOON_MS)])
    assert 1 == len(outcome.confirmed)
    (item,) = cloud.items()
    whole = text.encode(errors="backslashreplace")
    assert whole.startswith(item["text"]["S"].encode())
    assert 399_000 < len(item["text"]["S"].encode()) < int(item["cut"]["N"]) == len(whole) + len("text")


def test_a_quarantined_item_fits_the_size_limit(cloud):
    """A full item still gets its reason. The longest attribute is truncated, and short ones stay."""
    full = {"data": {"S": "x" * 200_000}, "some": {"S": "ü" * 101_500}, "bit": {"BOOL": True}, "list": {"L": []}}
    key = items.key("0", schedule(1).key.sort)
    cloud.dynamodb.put_item(TableName="schedules", Item={**key, **full})
    (read,) = cloud.items()
    assert 1 == len(cloud.table.quarantine([QuarantinedItem(schedule(1).key, read, "no schedule")]).confirmed)
    (item,) = [each for each in cloud.items() if each["partition"]["S"] == "quarantine"]
    assert ("no schedule", 200_000) == (item["reason"]["S"], len(item["data"]["S"]))
    assert 95_000 < len(item["some"]["S"]) < 101_500
    assert ({"BOOL": True}, {"L": []}) == (item["bit"], item["list"])
    assert int(item["cut"]["N"]) > 403_000


def test_bytes_are_truncated_and_lists_removed():
    """The item records that they existed. Nothing is truncated without need."""
    key = items.key("0", schedule(1).key.sort)
    lists = {"L": [{"S": "x" * 1000}] * 300}
    cut = items.quarantined(
        QuarantinedItem(schedule(1).key, {**key, "bundle": {"B": b"x" * 200_000}, "junk": lists}, "no bundle")
    )
    assert ({"NULL": True}, 200_000) == (cut["junk"], len(cut["bundle"]["B"]))
    cut = items.quarantined(QuarantinedItem(schedule(1).key, {**key, "bundle": {"B": b"x" * 409_000}}, "no bundle"))
    assert 399_000 < len(cut["bundle"]["B"]) < 400_000
    assert "cut" not in items.quarantined(QuarantinedItem(schedule(1).key, schedule(1), "no"))
