"""Suggest the next commands to try on a running stack, ready to paste."""

import shlex
import sys

from punctual.local.deployment import Stack


def suggestions(stack: Stack) -> str:
    """Return shell commands and Python lines that schedule something and receive it."""
    return f"""\
Try it from another shell:

{shell(stack)}

Or in Python ({sys.executable} has boto3):

{python(stack)}
"""


def shell(stack: Stack) -> str:
    variables = " ".join(f"{name}={shlex.quote(value)}" for name, value in settings(stack).items())
    endpoint = stack.emulator.endpoint_url
    # fileb:// works with both versions of the aws command line: version 2 would expect a plain payload in base64.
    return f"""\
export {variables}
unset AWS_PROFILE AWS_SESSION_TOKEN

echo "{{\\"timestamp\\": $(($(date +%s) + 10)), \\"data\\": \\"hello\\"}}" |
aws lambda invoke --endpoint-url {endpoint} --function-name {stack.outputs["ScheduleFunction"]} \\
    --payload fileb:///dev/stdin /dev/stdout

aws sqs receive-message --endpoint-url {endpoint} --queue-url {stack.outputs["OutputQueueUrl"]} \\
    --wait-time-seconds 20 --message-attribute-names All"""


def python(stack: Stack) -> str:
    return f"""\
import json, time, boto3
aws = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="{stack.emulator.region}")
function = aws.client("lambda", endpoint_url="{stack.emulator.endpoint_url}")
queue = aws.client("sqs", endpoint_url="{stack.emulator.endpoint_url}")
schedule = {{"timestamp": time.time() + 10, "data": "hello"}}
answer = function.invoke(FunctionName="{stack.outputs["ScheduleFunction"]}", Payload=json.dumps(schedule))
print(answer["Payload"].read().decode())
url = "{stack.outputs["OutputQueueUrl"]}"
print(queue.receive_message(QueueUrl=url, WaitTimeSeconds=20, MessageAttributeNames=["All"]))"""


def settings(stack: Stack) -> dict[str, str]:
    """Return the variables that the aws command line needs for credentials and a region."""
    wanted = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION")
    return {name: stack.emulator.environment()[name] for name in wanted}
