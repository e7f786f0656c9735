"""Receivers of each kind on the local AWS, outside the stack. They put what they get into queues."""

import io
import json
import time
import zipfile
from typing import Any

import boto3

from punctual.local.emulation.emulator import Emulator

FUNCTION_CODE = """
import json, os
import boto3

sqs = boto3.client("sqs")


def handler(event, context):
    sqs.send_message(QueueUrl=os.environ["QUEUE_URL"], MessageBody=json.dumps(event))
"""
RUNTIME = "python3.13"
READY_S_MAX = 20
POLL_S = 0.2


def make_queue(emulator: Emulator, name: str) -> str:
    """Create a queue and return its URL."""
    url: str = emulator.client("sqs").create_queue(QueueName=name)["QueueUrl"]
    return url


def arn_of_queue(emulator: Emulator, url: str) -> str:
    attributes = emulator.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    arn: str = attributes["Attributes"]["QueueArn"]
    return arn


def make_topic(emulator: Emulator, name: str, queue_url: str) -> str:
    """Create a topic with a queue that is subscribed with raw message delivery."""
    sns, queue_arn = emulator.client("sns"), arn_of_queue(emulator, queue_url)
    arn: str = sns.create_topic(Name=name)["TopicArn"]
    admit(emulator, queue_url, "sns.amazonaws.com", arn)
    sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=queue_arn, Attributes={"RawMessageDelivery": "true"})
    return arn


def make_topic_of_another(emulator: Emulator, account: str, name: str, queue_url: str) -> str:
    """Create a topic in another account that lets ours publish, with a queue of ours subscribed."""
    sns, queue_arn = client_of(emulator, account, "sns"), arn_of_queue(emulator, queue_url)
    arn: str = sns.create_topic(Name=name)["TopicArn"]
    ours = queue_arn.split(":")[4]
    statement = {"Effect": "Allow", "Principal": {"AWS": ours}, "Action": "sns:Publish", "Resource": arn}
    sns.set_topic_attributes(TopicArn=arn, AttributeName="Policy", AttributeValue=document(statement))
    admit(emulator, queue_url, "sns.amazonaws.com", arn)
    sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=queue_arn, Attributes={"RawMessageDelivery": "true"})
    return arn


def client_of(emulator: Emulator, account: str, service: str) -> Any:
    """Return a client of another account. The local AWS accepts an account id as access key."""
    session: Any = boto3.session.Session(account, "test", region_name=emulator.region)
    return session.client(service, endpoint_url=emulator.endpoint_url)


def make_bus(emulator: Emulator, name: str, queue_url: str) -> str:
    """Create a bus with a rule that sends our events to a queue."""
    events = emulator.client("events")
    arn: str = events.create_event_bus(Name=name)["EventBusArn"]
    pattern = json.dumps({"source": ["punctual"], "detail-type": ["Scheduled"]})
    rule_arn = events.put_rule(Name="all", EventBusName=name, EventPattern=pattern)["RuleArn"]
    admit(emulator, queue_url, "events.amazonaws.com", rule_arn)
    target = {"Id": "queue", "Arn": arn_of_queue(emulator, queue_url)}
    events.put_targets(Rule="all", EventBusName=name, Targets=[target])
    return arn


def make_function(emulator: Emulator, name: str, queue_url: str) -> str:
    """Create a function that sends its event to a queue, as JSON text."""
    statement = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": arn_of_queue(emulator, queue_url)}
    client = emulator.client("lambda")
    arn: str = client.create_function(
        FunctionName=name,
        Runtime=RUNTIME,
        Role=make_role(emulator, name, "lambda.amazonaws.com", statement),
        Handler="index.handler",
        Code={"ZipFile": zipped(FUNCTION_CODE)},
        Environment={"Variables": {"QUEUE_URL": queue_url}},
        Timeout=30,
    )["FunctionArn"]
    client.get_waiter("function_active_v2").wait(FunctionName=name)
    return arn


def make_machine(emulator: Emulator, name: str) -> str:
    """Create a state machine that ends at once. Its executions keep their inputs."""
    definition = {"StartAt": "End", "States": {"End": {"Type": "Pass", "End": True}}}
    role_arn = make_role(emulator, name, "states.amazonaws.com", None)
    made = emulator.client("stepfunctions").create_state_machine(
        name=name, definition=json.dumps(definition), roleArn=role_arn
    )
    arn: str = made["stateMachineArn"]
    return arn


def executions(emulator: Emulator, machine_arn: str, count: int) -> dict[str, str]:
    """Wait for `count` executions and return their inputs by name."""
    client = emulator.client("stepfunctions")
    deadline_s = time.monotonic() + READY_S_MAX
    while True:
        found = client.list_executions(stateMachineArn=machine_arn)["executions"]
        if len(found) >= count or time.monotonic() > deadline_s:
            return {
                each["name"]: client.describe_execution(executionArn=each["executionArn"])["input"] for each in found
            }
        time.sleep(POLL_S)


def make_secret(emulator: Emulator, name: str, text: str) -> str:
    arn: str = emulator.client("secretsmanager").create_secret(Name=name, SecretString=text)["ARN"]
    return arn


def make_role(emulator: Emulator, name: str, service: str, statement: dict[str, Any] | None) -> str:
    trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    iam = emulator.client("iam")
    arn: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document(trust))["Role"]["Arn"]
    if statement is not None:
        iam.put_role_policy(RoleName=name, PolicyName=name, PolicyDocument=document(statement))
    return arn


def admit(emulator: Emulator, queue_url: str, service: str, source_arn: str) -> None:
    """Let an AWS service send to the queue for its topic or rule."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sqs:SendMessage",
        "Resource": arn_of_queue(emulator, queue_url),
        "Condition": {"ArnEquals": {"aws:SourceArn": source_arn}},
    }
    emulator.client("sqs").set_queue_attributes(QueueUrl=queue_url, Attributes={"Policy": document(statement)})


def document(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def zipped(code: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("index.py", code)
    return buffer.getvalue()
