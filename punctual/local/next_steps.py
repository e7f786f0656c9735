"""Suggest the next commands to try on a running stack, ready to paste after `. .punctual/env`."""

import sys


def suggestions() -> str:
    """Return shell commands and Python lines that schedule something and receive it."""
    return f"""\
Try it from another shell in this folder, after `. .punctual/env`:

{shell()}

Or in Python ({sys.executable} has boto3):

{python()}
"""


def shell() -> str:
    # fileb:// works with both versions of the aws command line: version 2 would expect a plain payload in base64.
    return """\
echo '{"delay": 10, "data": "hello"}' |
aws lambda invoke --function-name "$PUNCTUAL_SCHEDULE_FUNCTION" \\
    --payload fileb:///dev/stdin /dev/stdout

aws sqs receive-message --queue-url "$PUNCTUAL_OUTPUT_QUEUE_URL" \\
    --wait-time-seconds 20 --message-attribute-names All"""


def python() -> str:
    return """\
import boto3, json, os
function = os.environ["PUNCTUAL_SCHEDULE_FUNCTION"]
url = os.environ["PUNCTUAL_OUTPUT_QUEUE_URL"]
request = json.dumps({"delay": 10, "data": "hello"})
answer = boto3.client("lambda").invoke(FunctionName=function, Payload=request)
print(answer["Payload"].read().decode())
queue = boto3.client("sqs")
received = queue.receive_message(
    QueueUrl=url, WaitTimeSeconds=20, MessageAttributeNames=["All"]
)
print(received)"""
