"""Schedule one message for each line of a file, all for the same moment.

Invoke this function with {"file": "recipients.ndjson", "timestamp": "2030-01-01T00:00", "zone": "Europe/Berlin",
"spread": 600}. It reads the file from the bucket line by line, so its memory stays the same for any number of lines.
"""

import os

import boto3

from punctual import Rejected, Scheduler, Unconfirmed

WHEN = ("timestamp", "zone", "spread")
SHOWN_MAX = 10
"""How many rejected lines the answer shows."""

storage = boto3.client("s3")
scheduler = Scheduler()  # The template sets the variable with the function of Punctual.


def handler(event, context):
    content = storage.get_object(Bucket=os.environ["BUCKET"], Key=event["file"])["Body"]
    return plan(content.iter_lines(), {field: event[field] for field in WHEN if field in event})


def plan(lines, when):
    """Schedule the lines, and return the counts of accepted, rejected and unconfirmed ones."""
    counts = {"accepted": 0, "rejected": 0, "unconfirmed": 0}
    reasons = []
    requests = ({"data": line.decode(), **when} for line in lines)
    for number, result in enumerate(scheduler.schedule_many(requests), 1):
        if isinstance(result, Rejected):
            counts["rejected"] += 1
            if len(reasons) < SHOWN_MAX:
                reasons.append(f"line {number}: {result.message}")
        elif isinstance(result, Unconfirmed):
            counts["unconfirmed"] += 1
        else:
            counts["accepted"] += 1
    return {**counts, "reasons": reasons}
