"""Send a reminder. Punctual invokes this function with the scheduled data when the reminder is due.

A reminder whose delivery has begun can no longer be cancelled. If your shop can tell whether the order is paid, ask it
here before you send.
"""

import os

import boto3

sns = boto3.client("sns")


def handler(event, context):
    sns.publish(
        TopicArn=os.environ["REMINDERS_TOPIC_ARN"],
        Subject=f"Order {event['order']} is not paid",
        Message=f"Your order {event['order']} waits for its payment.",
    )
