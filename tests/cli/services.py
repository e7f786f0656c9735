"""The services of AWS that the virtual AWS lacks, with the answers of a healthy stack. A test replaces answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from punctual.testing import Stack

REGION, ACCOUNT = "eu-central-1", "123456789012"


def refusal(code: str, message: str = "no", status: int = 400) -> ClientError:
    answer: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "Call")


class Aws:
    """A virtual stack in an account: `answers["sts", "get_caller_identity"]` is an answer, an error or a function."""

    def __init__(self, stack: Stack, **parameters: str) -> None:
        self.stack, self.parameters = stack, parameters
        self.answers: dict[tuple[str, str], Any] = {}
        self.calls: list[tuple[str, str, dict[str, Any]]] = []
        self.described: dict[str, Any] = {"StackStatus": "CREATE_COMPLETE"}
        self.created = datetime.fromtimestamp(stack.now, UTC) - timedelta(days=30)
        self.sums: dict[str, float] = {"Invocations": 6.0}
        """The counts of CloudWatch by the label of the query."""

    def backend(self) -> Any:
        return _Backend(self)

    def outputs(self) -> dict[str, str]:
        return self.stack.outputs()

    def refuse(self, service: str, method: str, code: str = "AccessDeniedException", message: str = "no") -> None:
        self.answers[service, method] = refusal(code, message)

    def mapping(self, function: str, queue: str, **changes: Any) -> dict[str, Any]:
        """Return an event source mapping of a function of the stack, with the names of two outputs."""
        return {
            "UUID": f"uuid-of-{function}",
            "State": "Enabled",
            "EventSourceArn": self.stack.output(queue),
            "FunctionArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{self.stack.output(function)}",
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            **changes,
        }

    # ----------------------------------------------------------------------------------- the answers of a healthy stack

    def sts_get_caller_identity(self) -> dict[str, Any]:
        return {"Account": ACCOUNT, "Arn": f"arn:aws:iam::{ACCOUNT}:user/me"}

    def cloudformation_describe_stacks(self, StackName: str = "") -> dict[str, Any]:  # noqa: N803 - As boto3 names it.
        listed = [
            {"ParameterKey": key, "ParameterValue": value}
            for key, value in (self.stack.parameters() | self.parameters).items()
        ]
        return {"Stacks": [{"CreationTime": self.created, "Parameters": listed, **self.described}]}

    def cloudformation_list_stack_resources(self, **_: Any) -> dict[str, Any]:
        named = {name: each for name, each in self.outputs().items() if name.endswith("Function")}
        functions = [(name, each, "AWS::Lambda::Function") for name, each in named.items()]
        resources = [*functions, ("TriggerFunctionTick", "the-rule", "AWS::Events::Rule")]
        keys = ("LogicalResourceId", "PhysicalResourceId", "ResourceType")
        return {"StackResourceSummaries": [dict(zip(keys, each, strict=True)) for each in resources]}

    def events_describe_rule(self, **_: Any) -> dict[str, Any]:
        return {"State": "ENABLED", "ScheduleExpression": "rate(10 minutes)"}

    def lambda_get_account_settings(self) -> dict[str, Any]:
        return {"AccountLimit": {"ConcurrentExecutions": 1_000}}

    def lambda_get_function_configuration(self, **_: Any) -> dict[str, Any]:
        return {"State": "Active", "LastUpdateStatus": "Successful"}

    def lambda_get_function_concurrency(self, **_: Any) -> dict[str, Any]:
        return {}

    def lambda_get_function_recursion_config(self, **_: Any) -> dict[str, Any]:
        return {"RecursiveLoop": "Allow"}

    def lambda_list_event_source_mappings(self, FunctionName: str = "", EventSourceArn: str = "") -> dict[str, Any]:  # noqa: N803 - As boto3 names them.
        all_of_them = [
            self.mapping("ScheduleFunction", "InputQueueArn"),
            self.mapping("DeliverFunction", "DeliveryQueueArn"),
        ]
        return {
            "EventSourceMappings": [
                each
                for each in all_of_them
                if (FunctionName and each["FunctionArn"].endswith(f":{FunctionName}"))
                or EventSourceArn == each["EventSourceArn"]
            ]
        }

    def dynamodb_describe_table(self, **_: Any) -> dict[str, Any]:
        return {"Table": {"TableStatus": "ACTIVE", "DeletionProtectionEnabled": True}}

    def dynamodb_describe_time_to_live(self, **_: Any) -> dict[str, Any]:
        return {"TimeToLiveDescription": {"TimeToLiveStatus": "ENABLED"}}

    def dynamodb_describe_continuous_backups(self, **_: Any) -> dict[str, Any]:
        recovery = {"PointInTimeRecoveryStatus": "ENABLED"}
        return {"ContinuousBackupsDescription": {"PointInTimeRecoveryDescription": recovery}}

    def cloudwatch_get_metric_data(self, MetricDataQueries: list[Any], **_: Any) -> dict[str, Any]:  # noqa: N803 - As boto3 names it.
        labels = [each["Label"] for each in MetricDataQueries]
        found = [{"Label": label, "Values": [self.sums[label]] if label in self.sums else []} for label in labels]
        return {"MetricDataResults": found}

    def cloudwatch_get_metric_statistics(self, **_: Any) -> dict[str, Any]:
        return {"Datapoints": [{"Timestamp": datetime.fromtimestamp(self.stack.now, UTC), "Maximum": 3.0}]}

    def sqs_get_queue_url(self, QueueName: str, **_: Any) -> dict[str, Any]:  # noqa: N803 - As boto3 names it.
        urls = [url for url in self.stack._cloud.sqs.queues if url.rpartition("/")[2] == QueueName]
        if not urls:
            raise refusal("AWS.SimpleQueueService.NonExistentQueue", "The specified queue does not exist.")
        return {"QueueUrl": urls[0]}


class _Backend:
    def __init__(self, aws: Aws) -> None:
        self._aws, self._virtual = aws, aws.stack.backend()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._virtual, name)

    def client(self, service: str) -> Any:
        return _Client(self._aws, service, self._virtual)


class _Client:
    def __init__(self, aws: Aws, service: str, virtual: Any) -> None:
        self._aws, self._service, self._virtual = aws, service, virtual
        self.meta = type("Meta", (), {"region_name": REGION})

    def __getattr__(self, method: str) -> Callable[..., Any]:
        def call(**arguments: Any) -> Any:
            self._aws.calls.append((self._service, method, arguments))
            answer = self._aws.answers.get((self._service, method))
            if isinstance(answer, Exception):
                raise answer
            if isinstance(answer, dict):
                return answer
            healthy = answer or getattr(self._aws, f"{self._service}_{method}", None) or self._of_virtual(method)
            return healthy(**arguments)

        return call

    def _of_virtual(self, method: str) -> Callable[..., Any]:
        """Return the method of the virtual AWS. Lambda's dry run is allowed, and runs nothing."""
        real = getattr(self._virtual.client(self._service), method)

        def called(**arguments: Any) -> Any:
            if arguments.get("InvocationType") == "DryRun":
                return {"StatusCode": 204}
            return real(**arguments)

        return called


def payload(content: object) -> dict[str, Any]:
    """Return the answer of a function that failed with this content."""

    class Body:
        def read(self) -> bytes:
            return json.dumps(content).encode()

    return {"FunctionError": "Unhandled", "Payload": Body()}
