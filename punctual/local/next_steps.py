"""Suggest the next commands to try on a running stack, ready to paste after `. .punctual/env`."""

import sys


def suggestions() -> str:
    """Return commands and Python lines that schedule something and receive it."""
    return f"""
Try it from another shell in this folder, after `. .punctual/env`:

{command()}

Or with the AWS CLI:

{shell()}

Or in Python ({sys.executable}):

{python()}
"""


def command() -> str:
    return """\
punctual schedule hello --in 10s
punctual tail"""


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
from punctual import Scheduler
scheduler = Scheduler()
print(scheduler.schedule("hello", delay=10).id)
for message in scheduler.messages():
    print(message.id, message.data)
    message.delete()
    break"""
