"""A consumer that schedules itself again is a normal use, and Lambda's loop detection must not stop it."""

import io
import json
import time
import zipfile

import pytest

pytestmark = pytest.mark.slow

ROUNDS = 30

CONSUMER = """
import json, os
import boto3

functions = boto3.client("lambda")


def handler(event, context):
    for record in event["Records"]:
        round = int(record["body"])
        print(json.dumps({"round": round}), flush=True)
        if round < int(os.environ["ROUNDS"]):
            again = {"delay": 1, "data": str(round + 1)}
            functions.invoke(FunctionName=os.environ["SCHEDULE_FUNCTION"], Payload=json.dumps(again).encode())
"""


@pytest.fixture
def looping(make_stack, queue_of):
    """A stack with a consumer of the output queue that schedules the next round."""
    stack = make_stack()
    statements = [
        {"Effect": "Allow", "Action": ["lambda:InvokeFunction", "sqs:*"], "Resource": "*"},
    ]
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    iam, functions = stack.emulator.client("iam"), stack.emulator.client("lambda")
    role = iam.create_role(RoleName="looping", AssumeRolePolicyDocument=document([trust]))["Role"]["Arn"]
    iam.put_role_policy(RoleName="looping", PolicyName="looping", PolicyDocument=document(statements))
    functions.create_function(
        FunctionName="looping",
        Role=role,
        Runtime="python3.13",
        Handler="index.handler",
        Code={"ZipFile": zipped("index.py", CONSUMER)},
        Timeout=10,
        Environment={
            "Variables": {"SCHEDULE_FUNCTION": stack.outputs["ScheduleFunction"], "ROUNDS": str(ROUNDS)},
        },
    )
    functions.create_event_source_mapping(
        FunctionName="looping", EventSourceArn=queue_of(stack, "OutputQueueUrl").arn, BatchSize=10
    )
    return stack


def test_a_consumer_may_schedule_itself_thirty_times_in_a_row(looping):
    """Each round takes a second, through the schedule function and the output queue. All thirty come."""
    looping.invoke("ScheduleFunction", {"delay": 1, "data": "1"})
    deadline_s = time.time() + 5 * ROUNDS
    rounds = []
    while len(rounds) < ROUNDS and time.time() < deadline_s:
        time.sleep(0.5)
        lines = looping.emulator.log_path.read_text().splitlines()
        rounds = [json.loads(line)["round"] for line in lines if line.startswith('{"round"')]
    assert list(range(1, ROUNDS + 1)) == rounds


def document(statements):
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def zipped(name, text):
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr(name, text)
    return held.getvalue()
