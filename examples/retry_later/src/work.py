"""Fetch the address of each job. Schedule a failed job again, each time after a longer delay.

A job is a message of the jobs queue: {"url": "https://api.example.com/orders/7"}. A job may run twice, so make your own
work repeatable.
"""

import json
import logging
import os
import urllib.request

import boto3

FIRST_DELAY_S = float(os.environ["FIRST_DELAY_SECONDS"])
GROWTH = 5
"""Each delay is so many times longer than the one before."""
ATTEMPTS_MAX = int(os.environ["ATTEMPTS_MAX"])
FETCH_S_MAX = 10

functions, sqs = boto3.client("lambda"), boto3.client("sqs")
log = logging.getLogger(__name__)
log.setLevel(logging.INFO)


def handler(event, context):
    """Report only the messages whose job neither worked nor was scheduled again. SQS delivers them again."""
    failures = []
    for record in event["Records"]:
        try:
            attempt(json.loads(record["body"]))
        except Exception:  # One bad message must not bring back the others of its batch.
            log.exception("message %s stays in the queue", record["messageId"])
            failures.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failures}


def attempt(job):
    try:
        work(job)
    except OSError as error:  # urllib raises one for a status of 400 and more, a timeout, and a lost connection.
        later(job, str(error))


def work(job):
    with urllib.request.urlopen(job["url"], timeout=FETCH_S_MAX) as answer:
        log.info("%s: %d bytes", job["url"], len(answer.read()))


def later(job, reason):
    """Schedule the next attempt. After the last attempt, put the job into the queue of failed jobs."""
    attempts = job.get("attempts", 0) + 1
    failed = {**job, "attempts": attempts}
    if attempts >= ATTEMPTS_MAX:
        sqs.send_message(QueueUrl=os.environ["FAILED_QUEUE_URL"], MessageBody=json.dumps({**failed, "reason": reason}))
        return
    delay_s = FIRST_DELAY_S * GROWTH ** (attempts - 1)
    # The spread keeps jobs that failed together from coming back together.
    schedule({"delay": delay_s, "spread": delay_s / 4, "data": failed, "target": os.environ["JOBS_QUEUE_ARN"]})
    log.info("%s: attempt %d failed (%s); the next one is in %d s", job["url"], attempts, reason, delay_s)


def schedule(request):
    answer = functions.invoke(FunctionName=os.environ["SCHEDULE_FUNCTION_ARN"], Payload=json.dumps(request).encode())
    content = json.loads(answer["Payload"].read())
    if "FunctionError" in answer:
        raise RuntimeError(f"Punctual did not accept the schedule: {content['errorMessage']}")
