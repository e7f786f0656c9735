"""A virtual AWS account that contains the stack of template.yml, with a clock of its own."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from punctual.stack_files import stack_file
from punctual.testing.api_keys import ApiKeys
from punctual.testing.calls import Client, ExternalProcess, Network, Process, Watcher
from punctual.testing.function_loader import Source
from punctual.testing.services.dynamodb import DynamoDB
from punctual.testing.services.environments import Function
from punctual.testing.services.event_sources import EventSource
from punctual.testing.services.functions import Functions, Rule
from punctual.testing.services.queues import Queue
from punctual.testing.services.sns_and_events import Events, Sns
from punctual.testing.services.sqs import Sqs
from punctual.testing.services.webhook_endpoints import Machines, Receivers
from punctual.testing.template import ACCOUNT, REGION, Template
from punctual.testing.timeline import US, Timeline


class Cloud:
    """The virtual account. `template` and `folder` default to the stack that this package belongs to."""

    def __init__(
        self,
        start_s: float,
        randomness: random.Random,
        *,
        watcher: Watcher | None = None,
        template: Path | None = None,
        folder: Path | None = None,
        write: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.watcher = watcher or Watcher()
        self.timeline = Timeline(round(start_s * US), random.Random(f"{randomness.getrandbits(64)}"))
        self.network = Network(self.timeline, self.watcher)
        self.dynamodb = DynamoDB(self.timeline, self.watcher)
        self.sqs = Sqs(self.timeline, self.watcher)
        self.sns = Sns(self.timeline, self.watcher, self.sqs)
        self.events = Events(self.timeline, self.watcher)
        self.machines = Machines(self.timeline, self.watcher)
        self.receivers = Receivers(self.timeline, self.watcher)
        self.api_keys = ApiKeys(self.timeline, self.watcher)
        source = _source(folder or stack_file("functions"))
        source.write = write
        self.functions = Functions(
            self.timeline,
            self.watcher,
            self.network,
            self.sqs,
            source,
            random.Random(f"{randomness.getrandbits(64)}"),
        )
        outside = (self.sns, self.events, self.machines, self.receivers, self.api_keys)
        for service in (self.dynamodb, self.sqs, self.functions, *outside):
            self.network.services[service.name] = service
        self._path = template or stack_file("template.yml")
        self.template = _template(self._path, {})

    def client(self, service: str, process: Process | None = None) -> Client:
        return self.network.client(service, process or ExternalProcess())

    # --------------------------------------------------------------------------------------------------- deployment

    def deploy(self, parameters: Mapping[str, Any] | None = None) -> None:
        """Create the stack, or update it to other parameters. Existing resources keep their data."""
        self.template = _template(self._path, parameters or {})
        for name, table in self.template.of_type("AWS::DynamoDB::Table").items():
            keys = {key["KeyType"]: key["AttributeName"] for key in table["KeySchema"]}
            ttl_name = table.get("TimeToLiveSpecification", {}).get("AttributeName", "")
            self.dynamodb.create_table(self.template.name(name), keys["HASH"], keys["RANGE"], ttl_name)
        for name, queue in self.template.of_type("AWS::SQS::Queue").items():
            self.sqs.create_queue(self._queue(name, queue))
        for name in self.template.of_type("AWS::SNS::Topic"):
            self.sns.topics.add(self.template.resolve({"Ref": name}))
        for subscription in self.template.of_type("AWS::SNS::Subscription").values():
            self._subscribe(subscription)
        apis = self.template.of_type("AWS::Serverless::Api").items()
        self.api_keys.deploy(f"{self.template.name(name)}:{api['StageName']}" for name, api in apis)
        for name in self.template.of_type("AWS::Events::EventBus"):
            self.events.buses.add(self.template.name(name))
        for name, function in self.template.of_type("AWS::Serverless::Function").items():
            self.functions.deploy(self._function(name, function))
            for event_name, event in function.get("Events", {}).items():
                self._connect(name, event_name, event)

    def add_queue(self, name: str) -> str:
        """Add a queue that does not belong to the stack, as other teams have them, and return its ARN."""
        arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"
        self.sqs.create_queue(Queue(url=f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{name}", arn=arn))
        return arn

    def add_external_target(self, kind: str, name: str) -> str:
        """Add a topic, function, event bus or state machine that does not belong to the stack, and return its ARN.

        `kind` is `sns`, `lambda`, `events` or `states`.
        """
        resource = {"sns": "", "lambda": "function:", "events": "event-bus/", "states": "stateMachine:"}[kind]
        arn = f"arn:aws:{kind}:{REGION}:{ACCOUNT}:{resource}{name}"
        if kind == "events":
            self.events.buses.add(name)
        else:
            known = {"sns": self.sns.topics, "lambda": self.functions.external_arns, "states": self.machines.machines}
            known[kind].add(arn)
        return arn

    def output(self, name: str) -> str:
        return str(self.template.outputs[name])

    def _subscribe(self, properties: dict[str, Any]) -> None:
        queue = self.sqs.by_arn(properties["Endpoint"])
        if properties["Protocol"] != "sqs" or queue is None:
            raise NotImplementedError(f"the virtual SNS feeds queues of the stack alone, and not {properties}")
        fed = self.sns.queues.setdefault(properties["TopicArn"], [])
        if queue not in fed:
            fed.append(queue)

    def _queue(self, name: str, properties: dict[str, Any]) -> Queue:
        queue = Queue(
            url=self.template.resolve({"Ref": name}),
            arn=self.template.resolve({"Fn::GetAtt": [name, "Arn"]}),
            visibility_s=properties.get("VisibilityTimeout", 30),
            retention_s=properties.get("MessageRetentionPeriod", 345_600),
            delay_s=properties.get("DelaySeconds", 0),
            bytes_max=properties.get("MaximumMessageSize", 1_048_576),
        )
        if "RedrivePolicy" in properties:
            queue.dead_letter_arn = properties["RedrivePolicy"]["deadLetterTargetArn"]
            queue.receives_max = properties["RedrivePolicy"]["maxReceiveCount"]
        return queue

    def _function(self, name: str, properties: dict[str, Any]) -> Function:
        invoked = properties.get("EventInvokeConfig", {})
        variables = {key: str(value) for key, value in properties.get("Environment", {}).get("Variables", {}).items()}
        own = {"AWS_REGION": REGION, "AWS_LAMBDA_FUNCTION_NAME": self.template.name(name)}
        optional: dict[str, Any] = {}
        if "MaximumEventAgeInSeconds" in invoked:
            optional["event_age_s"] = invoked["MaximumEventAgeInSeconds"]
        return Function(
            name=self.template.name(name),
            handler=properties["Handler"],
            timeout_s=properties["Timeout"],
            environment={**variables, **own},
            retries=invoked.get("MaximumRetryAttempts", 2),
            failure_queue_arn=invoked.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination"),
            **optional,
        )

    def _connect(self, function: str, event_name: str, event: dict[str, Any]) -> None:
        name, properties = self.template.name(function), event["Properties"]
        if event["Type"] == "Schedule":
            self._connect_rule(f"{name}-{event_name}", name, _rate_s(properties["Schedule"]))
        elif event["Type"] == "SQS":
            queue = self.sqs.by_arn(properties["Queue"])
            assert queue is not None
            reports = "ReportBatchItemFailures" in properties.get("FunctionResponseTypes", [])
            source = EventSource(name, queue.url, properties.get("BatchSize", 10), reports)
            if source not in self.functions.mappings:
                self.functions.add_mapping(source)
        else:
            raise NotImplementedError(f"the virtual Lambda has no event source {event['Type']}")

    def _connect_rule(self, rule_name: str, function: str, interval_s: int) -> None:
        """Add the rule, or change its rate. A new rate counts from the change."""
        current = self.functions.rules.get(rule_name)
        if current is not None and current.interval_s == interval_s:
            return
        ticks = current.ticks if current is not None else None
        rule = Rule(rule_name, function, interval_s, self.timeline.now_us + interval_s * US)
        if ticks is not None:
            rule.ticks = ticks
        self.functions.add_rule(rule)


def _rate_s(expression: str) -> int:
    found = re.fullmatch(r"rate\((\d+) (minute|minutes|hour|hours)\)", expression)
    if found is None or (found[1] == "1") == found[2].endswith("s"):
        raise ValueError(f"{expression} is not a rate that EventBridge takes")
    return int(found[1]) * (60 if found[2].startswith("minute") else 3600)


_SOURCES: dict[Path, Source] = {}
_TEMPLATES: dict[tuple[Path, str], Template] = {}


def _source(folder: Path) -> Source:
    """Return the code in a folder, imported once per process. Its only state is where its prints go."""
    if folder not in _SOURCES:
        _SOURCES[folder] = Source(folder)
    return _SOURCES[folder]


def forget(folder: Path) -> None:
    """Free the code of a folder that will not be used again."""
    _SOURCES.pop(folder, None)


def _template(path: Path, parameters: Mapping[str, Any]) -> Template:
    key = (path, repr(sorted(parameters.items())))
    if key not in _TEMPLATES:
        _TEMPLATES[key] = Template(path, parameters)
    return _TEMPLATES[key]
