"""CloudWatch beside a virtual stack: it takes metrics from log lines and from the services, and evaluates alarms.

It evaluates an alarm at the end of each of its periods, over the last periods, as CloudWatch does in the steady state.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from botocore.exceptions import ClientError

from punctual.testing import Stack
from punctual.testing.timeline import US

READS = ("query", "get_item", "batch_get_item")
THROTTLED = ("ThrottlingException", "ProvisionedThroughputExceededException")
STATISTICS: dict[str, Callable[[list[float]], float]] = {"Sum": sum, "Minimum": min, "Maximum": max}
STEP_S = 300
Metric = tuple[str, str, tuple[tuple[str, str], ...]]


def metric(namespace: str, name: str, dimensions: dict[str, str]) -> Metric:
    return namespace, name, tuple(sorted(dimensions.items()))


class CloudWatch:
    """The metrics of one stack, from now on."""

    def __init__(self, stack: Stack) -> None:
        self.stack, self.begun_s = stack, stack.now
        self.points: dict[Metric, list[tuple[float, float]]] = defaultdict(list)
        self._lines = len(stack.log())
        watcher = stack._watch
        self._fell, self._called = watcher.fell, watcher.called
        watcher.fell, watcher.called = self.fell, self.called  # type: ignore[method-assign]

    # ------------------------------------------------------------------------------------------------------- taking

    def put(self, of: Metric, *values: float, at_s: float | None = None) -> None:
        self.points[of] += [(self.stack.now if at_s is None else at_s, value) for value in values]

    def fell(self, kind: str, **facts: Any) -> None:
        """Take the metric of Lambda for an invocation that begins."""
        if kind == "began":
            name = facts["invocation"].environment.function.name
            self.put(metric("AWS/Lambda", "Invocations", {"FunctionName": name}), 1)
        self._fell(kind, **facts)

    def called(self, call: Any) -> None:
        """Take the metrics of throttled calls."""
        code = call.error.response["Error"]["Code"] if isinstance(call.error, ClientError) else ""
        if call.service == "dynamodb" and code in THROTTLED:
            name = "ReadThrottleEvents" if call.operation in READS else "WriteThrottleEvents"
            ((table, requests),) = call.parameters.get("RequestItems", {call.parameters.get("TableName"): [1]}).items()
            self.put(metric("AWS/DynamoDB", name, {"TableName": table}), len(requests))
        if call.service == "lambda" and code == "TooManyRequestsException":
            name = call.parameters["FunctionName"].rpartition(":")[2]
            self.put(metric("AWS/Lambda", "Throttles", {"FunctionName": name}), 1)
        self._called(call)

    def look(self) -> None:
        """Take the metrics of new log lines, and those of the queues."""
        lines = self.stack.log()
        for line in lines[self._lines :]:
            self._take(line)
        self._lines = len(lines)
        for url, queue in self.stack._cloud.sqs.queues.items():
            dimensions, now_us = {"QueueName": url.rpartition("/")[2]}, self.stack._cloud.timeline.now_us
            visible = sum(message.visible_us <= now_us for message in queue.messages.values())
            self.put(metric("AWS/SQS", "ApproximateNumberOfMessagesVisible", dimensions), visible)
            if queue.messages:
                age_s = (now_us - min(message.sent_us for message in queue.messages.values())) / 1e6
                self.put(metric("AWS/SQS", "ApproximateAgeOfOldestMessage", dimensions), age_s)

    def _take(self, line: dict[str, Any]) -> None:
        for directive in line.get("_aws", {}).get("CloudWatchMetrics", []):
            for each in directive["Metrics"]:
                value = line[each["Name"]]
                for names in directive["Dimensions"]:
                    of = metric(directive["Namespace"], each["Name"], {name: line[name] for name in names})
                    values = value if isinstance(value, list) else [value]
                    self.put(of, *values, at_s=line["_aws"]["Timestamp"] / 1000)
        for filter_ in self.stack._cloud.template.of_type("AWS::Logs::MetricFilter").values():
            ((field, wanted),) = re.findall(r'^\{ \$\.(\w+) = "(\w+)" \}$', filter_["FilterPattern"])
            if line.get(field) == wanted:
                for made in filter_["MetricTransformations"]:
                    self.put(metric(made["MetricNamespace"], made["MetricName"], {}), float(made["MetricValue"]))

    def run(self, *, hours: float, each_step: Callable[[int], None] = lambda number: None) -> None:
        """Move the clock in steps of five minutes, without leaving out a tick as `advance` does."""
        for number in range(round(hours * 3600 / STEP_S)):
            each_step(number)
            run(self.stack, STEP_S)
            self.look()

    def total(self, name: str) -> float:
        """Return the sum of one of the stack's own metrics."""
        return sum(value for _, value in self.points[metric("Punctual", name, {"Stack": "virtual"})])

    # --------------------------------------------------------------------------------------------------------- alarms

    def fired(self) -> dict[str, list[float]]:
        """Return the alarms of the stack that were in ALARM, each with the seconds from the beginning when it was."""
        alarms = self.stack._cloud.template.of_type("AWS::CloudWatch::Alarm")
        found = {name: self._in_alarm(properties) for name, properties in alarms.items()}
        return {name: moments for name, moments in found.items() if moments}

    def _in_alarm(self, alarm: dict[str, Any]) -> list[float]:
        value_of = (
            _math(alarm, self._value) if "Metrics" in alarm else lambda from_s, to_s: self._plain(alarm, from_s, to_s)
        )
        period_s, periods = _period_s(alarm), alarm["EvaluationPeriods"]
        wanted = alarm.get("DatapointsToAlarm", periods)
        first, last = math.ceil(self.begun_s / period_s), int(self.stack.now // period_s)
        breaching = [
            _breaches(alarm, value_of(number * period_s, (number + 1) * period_s)) for number in range(first, last)
        ]
        ends = range(periods, len(breaching) + 1)
        return [
            (first + end) * period_s - self.begun_s for end in ends if sum(breaching[end - periods : end]) >= wanted
        ]

    def _plain(self, alarm: dict[str, Any], from_s: float, to_s: float) -> float | None:
        return self._value(alarm, alarm["Statistic"], from_s, to_s)

    def _value(self, of: dict[str, Any], statistic: str, from_s: float, to_s: float) -> float | None:
        dimensions = {each["Name"]: each["Value"] for each in of.get("Dimensions", [])}
        points = self.points.get(metric(of["Namespace"], of["MetricName"], dimensions), [])
        values = [value for at_s, value in points if from_s <= at_s < to_s]
        return STATISTICS[statistic](values) if values else None


def _period_s(alarm: dict[str, Any]) -> int:
    if "Period" in alarm:
        return int(alarm["Period"])
    (period_s,) = {each["MetricStat"]["Period"] for each in alarm["Metrics"] if "MetricStat" in each}
    return int(period_s)


def _math(alarm: dict[str, Any], value: Callable[..., float | None]) -> Callable[[float, float], float]:
    """Return what evaluates an expression that adds up metrics, with zeros for missing values."""
    stats = {each["Id"]: each["MetricStat"] for each in alarm["Metrics"] if "MetricStat" in each}
    (expression,) = [each["Expression"] for each in alarm["Metrics"] if each.get("ReturnData", True)]
    names = re.findall(r"FILL\((\w+), 0\)", expression)
    assert expression == " + ".join(f"FILL({name}, 0)" for name in names)
    assert set(names) == set(stats)

    def evaluate(from_s: float, to_s: float) -> float:
        return sum(value(stats[name]["Metric"], stats[name]["Stat"], from_s, to_s) or 0 for name in names)

    return evaluate


def _breaches(alarm: dict[str, Any], value: float | None) -> bool:
    if value is None:
        return bool(alarm["TreatMissingData"] == "breaching")
    comparison, threshold = alarm["ComparisonOperator"], alarm["Threshold"]
    return {"GreaterThanThreshold": value > threshold, "LessThanThreshold": value < threshold}[comparison]


def run(stack: Stack, seconds: float) -> None:
    """Move the clock. The feeds run in every interval, also if there is nothing to do."""
    timeline = stack._cloud.timeline
    timeline.run_until(timeline.now_us + round(seconds * US))


def metric_lines(stack: Stack) -> list[dict[str, Any]]:
    return [line for line in stack.log() if "_aws" in line]


def names_in(lines: Iterable[dict[str, Any]]) -> set[str]:
    directives = [directive for line in lines for directive in line["_aws"]["CloudWatchMetrics"]]
    return {each["Name"] for directive in directives for each in directive["Metrics"]}
