"""The dashboard shows metrics that exist, and its estimate uses the prices of the bench."""

import json
import re
from itertools import combinations
from pathlib import Path

import pytest

from punctual.testing.template import Template
from scheduler.measuring.embedded_metrics import UNITS

ROOT = Path(__file__).parents[2]
PRICES = json.loads((ROOT / "bench" / "prices.json").read_text())
OF_AWS = {
    "AWS/Lambda": ("FunctionName", {"Invocations", "Errors", "Throttles", "Duration"}),
    "AWS/DynamoDB": (
        "TableName",
        {"ConsumedReadCapacityUnits", "ConsumedWriteCapacityUnits", "ReadThrottleEvents", "WriteThrottleEvents"},
    ),
    "AWS/SQS": (
        "QueueName",
        {
            *("ApproximateAgeOfOldestMessage", "ApproximateNumberOfMessagesVisible", "NumberOfEmptyReceives"),
            *("NumberOfMessagesSent", "NumberOfMessagesReceived", "NumberOfMessagesDeleted"),
        },
    ),
}
"""The metrics that AWS publishes, with their dimension.

https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
"""
KINDS = {
    "FunctionName": "AWS::Serverless::Function",
    "TableName": "AWS::DynamoDB::Table",
    "QueueName": "AWS::SQS::Queue",
}


def template(**parameters):
    return Template(ROOT / "template.yml", {"Dashboard": True, **parameters})


def widgets(**parameters):
    (dashboard,) = template(**parameters).of_type("AWS::CloudWatch::Dashboard").values()
    return json.loads(dashboard["DashboardBody"])["widgets"]


def graphs():
    return [each["properties"] for each in widgets() if each["type"] == "metric"]


def metrics():
    """Return every metric of the dashboard: namespace, name, dimension, value and options."""
    found = [[*each, {}][:5] for graph in graphs() for each in graph["metrics"] if len(each) > 1]
    assert all(len(each) == 5 for each in found)
    return found


def test_a_stack_has_a_dashboard_on_request_alone():
    assert {} == template(Dashboard=False).of_type("AWS::CloudWatch::Dashboard")
    (dashboard,) = template().of_type("AWS::CloudWatch::Dashboard").values()
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,255}", dashboard["DashboardName"])
    assert dashboard["DashboardName"].startswith("virtual-")
    assert "eu-central-1" in dashboard["DashboardName"]


def test_every_metric_is_one_that_a_function_prints_or_that_aws_publishes():
    names = {kind: {f"virtual-{name}" for name in template().of_type(resource)} for kind, resource in KINDS.items()}
    own = set()
    for namespace, name, dimension, value, _ in metrics():
        if namespace == "Punctual":
            assert ("Stack", "virtual") == (dimension, value)
            own.add(name)
        else:
            wanted_dimension, published = OF_AWS[namespace]
            assert (dimension, name in published) == (wanted_dimension, True), name
            assert value in names[dimension]
    assert set(UNITS) == own


def test_the_questions_of_the_dashboard_stand_in_its_titles():
    titles = " ".join(graph["title"] for graph in graphs())
    for question in ("On time", "Keeping up", "Failing", "cost of a day"):
        assert question in titles


@pytest.mark.parametrize("with_alarms", [False, True])
def test_it_shows_every_alarm_of_the_stack(with_alarms):
    made = template(Alarms=with_alarms)
    (alarms,) = [each["properties"]["alarms"] for each in widgets(Alarms=with_alarms) if each["type"] == "alarm"]
    wanted = set(made.of_type("AWS::CloudWatch::Alarm")) - {"CanaryAlarm"}
    assert sorted(f"{name}.Arn" for name in wanted) == sorted(alarms)


def test_no_widget_covers_another_and_all_fit_into_the_width():
    taken = [(each["x"], each["y"], each["x"] + each["width"], each["y"] + each["height"]) for each in widgets()]
    assert all(right <= 24 for _, _, right, _ in taken)
    for one, other in combinations(taken, 2):
        assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]


def cost():
    (graph,) = [graph for graph in graphs() if "cost" in graph["title"]]
    expressions = {each[0]["id"]: each[0]["expression"] for each in graph["metrics"] if len(each) == 1}
    ids = {each[4]["id"]: each for each in graph["metrics"] if len(each) > 1}
    return graph, expressions, ids


def test_the_cost_is_marked_as_an_estimate():
    """The text beside it lists the missing costs."""
    graph, _, _ = cost()
    assert ("Estimated cost of a day in dollars", 86_400, "Sum") == tuple(
        graph[name] for name in ("title", "period", "stat")
    )
    texts = [each["properties"]["markdown"] for each in widgets() if each["type"] == "text"]
    assert any(text.startswith("**An estimate**") and "leaves out" in text for text in texts)


def test_the_estimate_uses_each_of_its_metrics():
    _, expressions, ids = cost()
    used = set(re.findall(r"FILL\((\w+), 0\)", " ".join(expressions.values())))
    assert set(ids) == used
    assert set(re.findall(r"[a-z]+", expressions["day"])) == set(expressions) - {"day"}
    assert all(each[4]["visible"] is False for each in ids.values())


def test_the_prices_of_the_estimate_are_those_of_the_bench():
    _, expressions, _ = cost()
    million = PRICES["dollars_per_million"]
    writes, reads = re.fullmatch(
        r"([0-9.]+) \* FILL\(writes, 0\) \+ ([0-9.]+) \* FILL\(reads, 0\)", expressions["table"]
    ).groups()
    assert million["dynamodb_write_units"] == pytest.approx(float(writes) * 1e6)
    assert million["dynamodb_read_units"] == pytest.approx(float(reads) * 1e6)
    for name, price in (("runs", "lambda_requests"), ("queues", "sqs_requests")):
        assert million[price] == pytest.approx(float(expressions[name].split(" * ")[0]) * 1e6)
    assert expressions["time"].startswith(f"{PRICES['dollars_per_lambda_gb_second_arm']:.10f} / 1024000 * (")


def test_the_estimate_knows_the_memory_of_each_function():
    _, expressions, ids = cost()
    memory = re.findall(r"(\d+) \* FILL\((\w+), 0\)", expressions["time"])
    assert 5 == len(memory)
    for megabytes, id in memory:
        name = ids[id][3].removeprefix("virtual-")
        assert int(megabytes) == template().resources[name]["Properties"]["MemorySize"]
