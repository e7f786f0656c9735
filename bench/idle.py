"""Calculate what a stack costs in a month without any schedule, item by item."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from scheduler.measuring.embedded_metrics import UNITS

MILLION = 1_000_000
MINUTES = 60


def table(tick: Counter[str], template: Mapping[str, Any], prices: Mapping[str, Any]) -> list[str]:
    """Return the table's lines: monthly costs, sum and what parameters add. `tick` is AWS's bill for one tick."""
    rows = _rows(tick, template, prices)
    lines = ["| item | how much in a month | dollars |", "|---|---|---|"]
    lines += [f"| {item} | {much} | {dollars:.2f} |" for item, much, dollars in rows]
    lines.append(f"| **together** | | **{sum(dollars for _, _, dollars in rows):.2f}** |")
    return lines + [f"| {item} | {much} | + {dollars:.2f} |" for item, much, dollars in _more(template, prices)]


def _rows(tick: Counter[str], template: Mapping[str, Any], prices: Mapping[str, Any]) -> list[tuple[str, str, float]]:
    ticks = (
        prices["assumed"]["hours_per_month"] * MINUTES / int(template["Parameters"]["FeedIntervalMinutes"]["Default"])
    )
    of = prices["dollars_per_million"]
    requests, gb_s = tick["lambda_requests"] * ticks, tick["lambda_mb_ms"] * ticks / 1024 / 1000
    run = requests * of["lambda_requests"] / MILLION + gb_s * prices["dollars_per_lambda_gb_second_arm"]
    writes, reads = tick["dynamodb_write_units"] * ticks, tick["dynamodb_read_units"] * ticks
    units = (writes * of["dynamodb_write_units"] + reads * of["dynamodb_read_units"]) / MILLION
    logged = tick["log_bytes"] * ticks
    mappings, alarms = _mappings(template), len(_alarms(template, None))
    polls = mappings * _polls(prices, "pollers_of_an_idle_queue")
    return [
        ("alarms", f"{alarms}", alarms * prices["dollars_per_month"]["alarm"]),
        ("Lambda polls queues that are empty", f"{polls:,.0f} requests, {mappings} queues", _sqs(polls, prices)),
        ("trigger and feeds run", f"{requests:,.0f} invocations, {gb_s:,.0f} GB-seconds", run),
        ("trigger and feeds ask the table", f"{writes:,.0f} write units, {reads:,.0f} read units", units),
        ("their log lines", f"{logged / 1e6:.1f} MB", logged / 1e9 * prices["dollars_per_log_gb"]),
        ("table, queues, rule, topic", "empty", 0.0),
    ]


def _more(template: Mapping[str, Any], prices: Mapping[str, Any]) -> list[tuple[str, str, float]]:
    """Return what each optional parameter adds. A metric costs only while it has data, and zeros are not printed."""
    polls = _polls(prices, "pollers_of_an_idle_queue")
    more = _polls(prices, "pollers_of_an_idle_queue_with_a_limit") - polls
    monthly = prices["dollars_per_month"]
    alarms, watched = _alarms(template, "HasAlarms"), _watched(template, "HasAlarms")
    return [
        ("`ConsumerEnabled=true`", f"{polls:,.0f} requests", _sqs(polls, prices)),
        ("a `…ConcurrencyMax`, each", f"{more:,.0f} requests", _sqs(more, prices)),
        ("`DeliveryPollers=2`", "2 pollers at any time", 2 * monthly["poller"]),
        ("`TableKeyArn`", "a key, without its calls", monthly["kms_key"]),
        ("`Metrics=true`, at most", f"{len(UNITS)} metrics", len(UNITS) * monthly["custom_metric"]),
        ("`Alarms=true`", f"{len(alarms)} more alarms on {watched} metrics", watched * monthly["alarm"]),
        ("`Dashboard=true`", "a dashboard", monthly["dashboard"]),
    ]


def _mappings(template: Mapping[str, Any]) -> int:
    """Return how many queues Lambda polls with the default parameters."""
    functions = [each for each in template["Resources"].values() if each["Type"] == "AWS::Serverless::Function"]
    events = [
        event
        for each in functions
        if "Condition" not in each
        for event in each["Properties"].get("Events", {}).values()
    ]
    return sum(event["Type"] == "SQS" for event in events)


def _alarms(template: Mapping[str, Any], condition: str | None) -> list[Mapping[str, Any]]:
    """Return the alarms that depend on this condition, or those that every stack has."""
    resources = template["Resources"].values()
    found = [each for each in resources if each["Type"] == "AWS::CloudWatch::Alarm"]
    return [each["Properties"] for each in found if each.get("Condition") == condition]


def _watched(template: Mapping[str, Any], condition: str | None) -> int:
    """Return how many metrics these alarms watch. AWS bills an alarm for each of them."""
    return sum(
        sum("MetricStat" in each for each in alarm["Metrics"]) if "Metrics" in alarm else 1
        for alarm in _alarms(template, condition)
    )


def _polls(prices: Mapping[str, Any], pollers: str) -> float:
    assumed = prices["assumed"]
    polls: float = assumed[pollers] * assumed["hours_per_month"] * 3600 / assumed["long_poll_s"]
    return polls


def _sqs(requests: float, prices: Mapping[str, Any]) -> float:
    dollars: float = requests * prices["dollars_per_million"]["sqs_requests"] / MILLION
    return dollars
