"""A function that does what the tests of the local stack ask for."""

import json
import os

import boto3

queue = boto3.client("sqs")


def handler(event, context):
    if "fail" in event:
        raise ValueError(event["fail"])
    if "environment" in event:
        return dict(os.environ)
    if "forbidden" in event:
        queue.send_message(QueueUrl=os.environ["FORBIDDEN_QUEUE_URL"], MessageBody=event["forbidden"])
    if "batch" in event:
        entries = [{"Id": str(number), "MessageBody": body} for number, body in enumerate(event["batch"])]
        queue.send_message_batch(QueueUrl=os.environ["QUEUE_URL"], Entries=entries)
    if "hops" in event:
        hop(event["hops"], context.function_name)
    return {"greeting": os.environ["GREETING"], "listeners": os.environ["LISTENERS"]}


def hop(hops, function_name):
    queue.send_message(QueueUrl=os.environ["QUEUE_URL"], MessageBody=str(hops))
    if hops > 1:
        payload = json.dumps({"hops": hops - 1})
        boto3.client("lambda").invoke(FunctionName=function_name, InvocationType="Event", Payload=payload)
