"""The arithmetic of limits: which comes first, and what a rate needs."""

import json
import re
from pathlib import Path

import pytest

from bench import scale
from bench.scale import Stored, Wanted
from scheduler import limits
from scheduler.model.name_record import NAME_PARTITIONS

QUOTAS = json.loads((scale.BENCH / "quotas.json").read_text())
ONE_BY_ONE = Stored("one by one", 2.0, 4_000)
BUNDLES = Stored("in bundles", 0.2, 6_000)


def reached(stored, partitions=4):
    return {limit.name: limit.reached for limit in Wanted(100_000, partitions, QUOTAS["quotas"]).limits(stored)}


def needed(stored, rate):
    return {limit.name: limit.for_rate for limit in Wanted(rate, 4, QUOTAS["quotas"]).limits(stored)}


def test_the_first_limit_comes_first():
    rates = list(reached(ONE_BY_ONE).values())
    assert sorted(rates) == rates


def test_a_partition_takes_a_thousand_writes_a_second():
    """A schedule that is stored alone takes one write to store and one to delete."""
    assert 2_000 == reached(ONE_BY_ONE)["write units of 4 partitions"]
    assert 20_000 == reached(BUNDLES)["write units of 4 partitions"]
    assert "`PartitionCount=20`" == needed(ONE_BY_ONE, 10_000)["write units of 4 partitions"]


def test_more_partitions_than_a_stack_has_are_spread_over_stacks():
    assert "`PartitionCount=256 in each of 2 stacks`" == needed(ONE_BY_ONE, 200_000)["write units of 4 partitions"]


def test_a_feed_is_bound_by_the_deletes_of_its_key_or_by_its_processor():
    assert 1_000 == scale.feed_rate(ONE_BY_ONE, QUOTAS["quotas"])
    assert 6_000 * 1_024 / 1_769 == scale.feed_rate(BUNDLES, QUOTAS["quotas"])


def test_what_is_due_at_one_instant_leaves_in_the_time_between_reach_and_interval():
    assert 300 * 4 * 1_000 == scale.at_one_instant(ONE_BY_ONE, 4, QUOTAS["quotas"])


def test_the_quota_of_the_table_bounds_many_feeds():
    assert 300 * 40_000 == scale.at_one_instant(ONE_BY_ONE, 256, QUOTAS["quotas"])


def test_every_quota_has_a_source():
    assert set(QUOTAS["quotas"]) <= set(QUOTAS["sources"])
    assert all(source.startswith("https://docs.aws.amazon.com/") for source in QUOTAS["sources"].values())


def test_the_numbers_are_those_of_code_and_template():
    """A change there would make the page wrong."""
    template = (scale.BENCH.parent / "template.yml").read_text()
    feed = template.split("\n  FeedFunction:")[1].split("\n  FeedRole:")[0]
    assert str(scale.FEED_MB) == re.search(r"MemorySize: (\d+)", feed)[1]
    spare_s = limits.SQS_DELAY_S_MAX - 600
    assert (spare_s, limits.PARTITIONS_MAX, limits.SQS_BATCH_MESSAGES_MAX, len(NAME_PARTITIONS)) == (
        scale.SPARE_S,
        scale.PARTITIONS_MAX,
        scale.BATCH_MESSAGES,
        scale.NAME_KEYS,
    )


def test_the_command_prints_a_table_for_each_way_of_storing(capsys):
    scale.main(["--rate", "5000", "--partitions", "8"])
    printed = capsys.readouterr().out
    assert 2 == printed.count("| limit | reached at, a second | for 5,000 a second |")
    assert 2 == printed.count("write units of 8 partitions")


@pytest.mark.parametrize(
    "arguments", [["--partitions", "257"], ["--partitions", "0"], ["--rate", "-1"], ["--pending", "nan"]]
)
def test_a_number_out_of_range_is_refused_with_what_is_wanted(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        scale.main(arguments)
    assert 2 == stopped.value.code
    assert re.search("wanted: a whole number from 1 to 256|numbers above 0", capsys.readouterr().err)


def test_the_page_shows_what_the_command_prints():
    """Each line of both tables is in the page."""
    page = (Path(scale.BENCH).parent / "docs" / "scaling.md").read_text()
    assert "\n".join(scale.lines(100_000, 1e9, 256)).strip() in page
