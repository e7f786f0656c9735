"""docs/operations.md names the metrics and alarms that exist, and its sums are right."""

import json
import re
from pathlib import Path

from punctual.testing.template import Template
from scheduler.measuring.embedded_metrics import UNITS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text()
SECTION = PAGE.split("\n## Measure the stack\n")[1].split("\n## ")[0]


def first_cells(text):
    """Return the names in the first column of the tables."""
    return re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)


def alarms(**parameters):
    return Template(ROOT / "template.yml", parameters).of_type("AWS::CloudWatch::Alarm")


def watched(alarm):
    return sum("MetricStat" in each for each in alarm.get("Metrics", [{"MetricStat": {}}]))


def test_the_page_explains_every_metric():
    assert sorted(UNITS) == sorted(set(first_cells(SECTION)) & set(UNITS))


def test_the_page_explains_every_alarm_and_whether_it_notifies():
    always, more = alarms(), alarms(Alarms=True, AlarmTopicArn="arn:aws:sns:eu-central-1:123456789012:alarms")
    assert set(always) <= set(first_cells(PAGE.split("\n## What to watch\n")[1]))
    told = SECTION.split("\n### The alarms\n")[1].split("\n### ")[0]
    notifying, silent = told.split("\nFour are for the dashboard")
    added = {name: each for name, each in more.items() if name not in always}
    assert {name for name, each in added.items() if "AlarmActions" in each} == set(first_cells(notifying))
    assert {name for name, each in added.items() if "AlarmActions" not in each} == set(first_cells(silent))


def test_the_dollars_are_those_of_the_bench():
    monthly = json.loads((ROOT / "bench" / "prices.json").read_text())["dollars_per_month"]
    added = sum(watched(each) for name, each in alarms(Alarms=True).items() if name not in alarms())
    for count, price in ((len(UNITS), monthly["custom_metric"]), (added, monthly["alarm"])):
        assert f"{count} x {price:.2f} = {count * price:.2f}" in SECTION
    together = len(UNITS) * monthly["custom_metric"] + added * monthly["alarm"] + monthly["dashboard"]
    assert f"${together:.2f} a month" in SECTION
