"""The functions: whether they start, what CloudWatch counted, and how they are connected."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any

from punctual.cli.inspecting.checks.finding import Answer, Check, fault, not_checked, ok
from punctual.cli.inspecting.subject import NEWER_FUNCTIONS, Subject
from punctual.client.calling.aws_errors import Throttled
from punctual.client.errors import AccessDenied, NotConfirmed, PunctualError

WATCHED_MINUTES = 60
MAPPED = {"ScheduleFunction": "InputQueueArn", "DeliverFunction": "DeliveryQueueArn"}
"""The functions that read a queue, and the outputs that name it."""
ON = ("Enabled", "Enabling", "Creating", "Updating")
NEVER_DUE = "9000-01-01T00:00:00Z"
"""No schedule is due from then on, so a list is empty and cheap."""
NO_NAME = "punctual-doctor/"
"""The caller function wants a prefix. Names that begin with this one are unlikely."""
RAISING = ("ScheduleFunction", "ManageFunction", *NEWER_FUNCTIONS)
"""The functions that raise an error to reject a request, which is a fault of the caller."""


def answers(subject: Subject) -> Iterator[Answer]:
    """The schedule function rejects a batch of one, and the others list. None of this changes anything.

    No call makes a function raise an error, because CloudWatch would count that.
    """
    for output, probe in PROBES.items():
        if output in NEWER_FUNCTIONS and subject.optional_output(output) is None:
            continue
        try:
            probe(subject)
        except AccessDenied as denied:
            yield not_checked(f"{output}: needs a permission: {denied}")
        except (NotConfirmed, Throttled) as failure:
            yield fault(
                f"{output} fails: {failure}",
                f"read its log: aws logs tail {log_group(subject, subject.output(output))} --since 1h",
            )
        else:
            yield ok(f"{output} answers")


def log_group(subject: Subject, function: str) -> str:
    """Return the log group of a function. CloudFormation may have made it under a name of its own."""
    try:
        found = subject.ask(
            "lambda:GetFunctionConfiguration", "lambda", "get_function_configuration", FunctionName=function
        )
    except PunctualError:
        found = {}
    return str(found.get("LoggingConfig", {}).get("LogGroup") or f"/aws/lambda/{function}")


def _ask_schedule(subject: Subject) -> None:
    subject.schedule_once(b"[{}]")


def _ask_admin(subject: Subject) -> None:
    subject.operate_once("AdminFunction", "list")


def _lister(function: str, **fields: str) -> Callable[[Subject], None]:
    """Return what asks a function for a list that is empty and cheap."""
    return lambda subject: subject.operate_once(function, "list", limit=1, **{"from": NEVER_DUE}, **fields)


PROBES: dict[str, Callable[[Subject], None]] = {
    "ScheduleFunction": _ask_schedule,
    "ManageFunction": _lister("ManageFunction"),
    "ViewFunction": _lister("ViewFunction"),
    "CallerFunction": _lister("CallerFunction", prefix=NO_NAME),
    "AdminFunction": _ask_admin,
}


def settings(subject: Subject) -> Iterator[Answer]:
    """A function that was set to no concurrency, or whose last update failed, does no work."""
    for name, function in subject.functions.items():
        found = subject.ask(
            "lambda:GetFunctionConfiguration", "lambda", "get_function_configuration", FunctionName=function
        )
        state, update = found.get("State", "Active"), found.get("LastUpdateStatus", "Successful")
        if state in ("Failed", "Inactive") or update == "Failed":
            yield fault(f"{name} is {state}, its last update {update}", "punctual deploy updates it again")
            continue
        reserved = subject.ask(
            "lambda:GetFunctionConcurrency", "lambda", "get_function_concurrency", FunctionName=function
        ).get("ReservedConcurrentExecutions")
        if reserved == 0:
            yield fault(
                f"{name} is off: its reserved concurrency is 0",
                f"aws lambda delete-function-concurrency --function-name {function}",
            )
        else:
            yield ok(f"{name} is on")


def mappings(subject: Subject) -> Iterator[Answer]:
    for name, output in MAPPED.items():
        queue = subject.output(output)
        found = [each for each in _mappings(subject, subject.output(name)) if each.get("EventSourceArn") == queue]
        if not found:
            yield fault(f"{name} has no event source mapping for {queue}", "punctual deploy makes it again")
        for mapping in found:
            yield from _mapping(name, mapping)


def consumers(subject: Subject) -> Iterator[Answer]:
    """The functions that read the output queue: those of the stack, and the caller's own."""
    queue = subject.output("OutputQueueArn")
    answer = subject.ask("lambda:ListEventSourceMappings", "lambda", "list_event_source_mappings", EventSourceArn=queue)
    found = answer["EventSourceMappings"]
    if not found:
        yield ok("no function reads the output queue")
    for mapping in found:
        yield from _mapping(mapping["FunctionArn"].rsplit(":", 1)[-1], mapping)


def _mappings(subject: Subject, function: str) -> list[Mapping[str, Any]]:
    answer = subject.ask(
        "lambda:ListEventSourceMappings", "lambda", "list_event_source_mappings", FunctionName=function
    )
    found: list[Mapping[str, Any]] = answer["EventSourceMappings"]
    return found


def _mapping(name: str, mapping: Mapping[str, Any]) -> Iterator[Answer]:
    queue = mapping["EventSourceArn"].rsplit(":", 1)[-1]
    if mapping.get("State") not in ON:
        yield fault(
            f"the event source mapping of {name} for {queue} is {mapping.get('State')}: nothing is read",
            f"aws lambda update-event-source-mapping --uuid {mapping['UUID']} --enabled",
        )
    elif "ReportBatchItemFailures" not in (mapping.get("FunctionResponseTypes") or []):
        yield fault(
            f"the event source mapping of {name} for {queue} lacks ReportBatchItemFailures: one failure repeats all",
            f"aws lambda update-event-source-mapping --uuid {mapping['UUID']} "
            "--function-response-types ReportBatchItemFailures",
        )
    else:
        yield ok(f"{name} reads {queue}")


def recursion(subject: Subject) -> Iterator[Answer]:
    """The feed function invokes itself while more is waiting. Lambda would stop that after about 16 times."""
    function = subject.output("FeedFunction")
    answer = subject.ask(
        "lambda:GetFunctionRecursionConfig", "lambda", "get_function_recursion_config", FunctionName=function
    )
    if answer["RecursiveLoop"] == "Allow":
        yield ok("FeedFunction may invoke itself")
    else:
        yield fault(
            "Lambda stops FeedFunction when it invokes itself: RecursiveLoop is Terminate",
            f"aws lambda put-function-recursion-config --function-name {function} --recursive-loop Allow",
        )


def counted(subject: Subject) -> Iterator[Answer]:
    """Read the counts of CloudWatch for the last hour: errors and throttles of functions and table."""
    functions = subject.functions
    wanted = [
        ("AWS/Lambda", metric, "FunctionName", function, f"{metric} of {name}")
        for name, function in functions.items()
        for metric in ("Errors", "Throttles")
    ]
    table = subject.output("TableName")
    wanted += [
        ("AWS/DynamoDB", each, "TableName", table, each) for each in ("ReadThrottleEvents", "WriteThrottleEvents")
    ]
    wanted += [("AWS/Lambda", "Invocations", "FunctionName", functions["TriggerFunction"], "Invocations")]
    sums = _sums(subject, wanted)
    if not sums.pop("Invocations", 0):
        yield not_checked("CloudWatch has no metrics of the functions yet")
        return
    rejected = [f"Errors of {name}" for name in RAISING]
    for what, count in sums.items():
        if count and what in rejected:
            yield ok(f"{what} in the last hour: {count:,.0f}, which counts rejected requests")
        elif count:
            yield fault(f"{what} in the last hour: {count:,.0f}", _remedy(what))
    if not any(count for what, count in sums.items() if what not in rejected):
        yield ok("no other errors and no throttles in the last hour")


def _remedy(what: str) -> str:
    if "Errors" in what:
        return "read the log of the function; Lambda repeats the call, and after three failures it is a dead letter"
    if "Throttles of" in what:
        return "raise the concurrency quota, or limit others with reserved concurrency (docs/operations.md)"
    return "raise PartitionCount, or warm the table's throughput (docs/operations.md)"


def _sums(subject: Subject, wanted: list[tuple[str, str, str, str, str]]) -> dict[str, float]:
    queries = [
        {
            "Id": f"m{number}",
            "Label": label,
            "MetricStat": {
                "Metric": {
                    "Namespace": space,
                    "MetricName": metric,
                    "Dimensions": [{"Name": dimension, "Value": value}],
                },
                "Period": 60 * WATCHED_MINUTES,
                "Stat": "Sum",
            },
        }
        for number, (space, metric, dimension, value, label) in enumerate(wanted)
    ]
    now = subject.now()
    answer = subject.ask(
        "cloudwatch:GetMetricData",
        "cloudwatch",
        "get_metric_data",
        MetricDataQueries=queries,
        StartTime=now - timedelta(minutes=WATCHED_MINUTES),
        EndTime=now,
    )
    return {each["Label"]: sum(each.get("Values", [])) for each in answer["MetricDataResults"]}


CHECKS = (
    Check("functions answer", answers),
    Check("functions are on", settings),
    Check("event sources", mappings),
    Check("consumers", consumers),
    Check("recursion", recursion),
    Check("errors, throttles", counted),
)
