"""The account, the stack, its version, and what the caller may do."""

from __future__ import annotations

from collections.abc import Iterator

import punctual
from punctual.cli.inspecting.checks.finding import Answer, Check, fault, not_checked, ok
from punctual.cli.inspecting.subject import Subject
from punctual.client.errors import AccessDenied, StackNotFound

BESIDE_FEEDS = 16
"""Concurrent executions beside those of the feeds: the trigger, five batches each of two queues, and a few callers."""


def credentials(subject: Subject) -> Iterator[Answer]:
    caller = subject.ask("sts:GetCallerIdentity", "sts", "get_caller_identity")
    region = getattr(subject.run.client("sts").meta, "region_name", "?")
    yield ok(f"account {caller['Account']} in {region}, as {caller['Arn']}")


def stack(subject: Subject) -> Iterator[Answer]:
    status = subject.described["StackStatus"]
    if "ROLLBACK" in status or status.endswith("FAILED"):
        yield fault(
            f"{subject.stack} is {status}: its last deployment failed",
            f"read why with: aws cloudformation describe-stack-events --stack-name {subject.stack}",
        )
    elif status.endswith("IN_PROGRESS"):
        yield fault(f"{subject.stack} is {status}", "wait until the deployment has ended, then run doctor again")
    else:
        yield ok(f"{subject.stack} is {status}")


def version(subject: Subject) -> Iterator[Answer]:
    client = punctual.__version__
    try:
        deployed = subject.output("Version")
    except StackNotFound:
        yield fault(
            f"the stack is older than its output Version, and this client is {client}",
            "update the stack: punctual deploy",
        )
        return
    if _numbers(deployed)[:2] == _numbers(client)[:2]:
        yield ok(f"the stack is {deployed}, this client {client}")
    elif _numbers(deployed) < _numbers(client):
        yield fault(f"the stack is {deployed}, older than this client {client}", "update the stack: punctual deploy")
    else:
        yield fault(
            f"the stack is {deployed}, newer than this client {client}",
            f"update the client: pip install 'punctual-aws[cli]=={deployed}'",
        )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdigit() else 0 for part in version.split("."))


def concurrency(subject: Subject) -> Iterator[Answer]:
    """Feeds that Lambda throttles make schedules late."""
    limit = subject.ask("lambda:GetAccountSettings", "lambda", "get_account_settings")["AccountLimit"]
    quota, wanted = limit["ConcurrentExecutions"], subject.partition_count + BESIDE_FEEDS
    if quota < wanted:
        yield fault(
            f"the account may run {quota} functions at once; {subject.partition_count} partitions want {wanted}",
            "ask Service Quotas for more concurrent executions of Lambda, or lower PartitionCount",
        )
    else:
        yield ok(f"the account may run {quota:,} functions at once")


def rights(subject: Subject) -> Iterator[Answer]:
    """Lambda's dry run checks the rights and runs nothing."""
    for name, what in (("ScheduleFunction", "schedule"), ("ManageFunction", "look up and change schedules")):
        function = subject.output(name)
        try:
            subject.ask("lambda:InvokeFunction", "lambda", "invoke", FunctionName=function, InvocationType="DryRun")
        except AccessDenied as denied:
            yield fault(
                f"you may not {what}: {denied}", f"allow lambda:InvokeFunction on {function} in your role or user"
            )
        else:
            yield ok(f"you may {what}")


def table(subject: Subject) -> Iterator[Answer]:
    name = subject.output("TableName")
    described = subject.ask("dynamodb:DescribeTable", "dynamodb", "describe_table", TableName=name)["Table"]
    if described["TableStatus"] != "ACTIVE":
        yield fault(f"the table {name} is {described['TableStatus']}", "wait until DynamoDB has made it ACTIVE")
        return
    ttl = subject.ask("dynamodb:DescribeTimeToLive", "dynamodb", "describe_time_to_live", TableName=name)
    status = ttl["TimeToLiveDescription"].get("TimeToLiveStatus", "DISABLED")
    if status not in ("ENABLED", "ENABLING"):
        yield fault(
            f"the time to live of the table {name} is {status}: old records stay and cost",
            "punctual deploy sets it again",
        )
    elif str(described.get("DeletionProtectionEnabled")).lower() == "true":  # The local AWS answers with text.
        yield ok(f"{name} is active and protected against deletion")
    else:
        yield ok(f"{name} is active; TableProtection=true would protect it against deletion")


def backups(subject: Subject) -> Iterator[Answer]:
    name = subject.output("TableName")
    answer = subject.ask(
        "dynamodb:DescribeContinuousBackups", "dynamodb", "describe_continuous_backups", TableName=name
    )
    recovery = answer["ContinuousBackupsDescription"].get("PointInTimeRecoveryDescription")
    if recovery is None:
        yield not_checked("DynamoDB says nothing about point-in-time recovery")
    elif recovery["PointInTimeRecoveryStatus"] != "ENABLED":
        yield fault(f"{name} has no point-in-time recovery: a loss cannot be undone", "punctual deploy sets it again")
    else:
        yield ok(f"{name} has point-in-time recovery")


CHECKS = (
    Check("credentials", credentials),
    Check("stack", stack),
    Check("version", version),
    Check("your rights", rights),
    Check("concurrency quota", concurrency),
    Check("table", table),
    Check("backups", backups),
)
