"""Push the alarm of a device away. The device invokes this function with each heartbeat: {"device": "boiler-7"}.

The alarm is a schedule with the name of the device. The next heartbeat replaces it with a later one. If no heartbeat
comes in time, Punctual publishes the alarm to the topic. The heartbeat after that begins anew.
"""

import json
import os

import boto3

SILENCE_S_MAX = int(os.environ["SILENCE_SECONDS_MAX"])

functions = boto3.client("lambda")


def handler(event, context):
    device = event["device"]
    return schedule(
        {
            "name": f"alarm/{device}",
            "delay": SILENCE_S_MAX,
            "data": f"{device} has sent no heartbeat for {SILENCE_S_MAX} seconds",
            "target": os.environ["ALARMS_TOPIC_ARN"],
        }
    )


def schedule(request):
    answer = functions.invoke(FunctionName=os.environ["SCHEDULE_FUNCTION_ARN"], Payload=json.dumps(request).encode())
    content = json.loads(answer["Payload"].read())
    if "FunctionError" in answer:
        raise RuntimeError(f"Punctual did not accept the schedule: {content['errorMessage']}")
    return content
