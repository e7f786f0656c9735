"""Receive webhooks of Punctual at a function URL. Accept only those that Punctual has signed."""

import base64
import functools
import logging
import os
import time

import boto3

from punctual import InvalidSignature, verify_webhook

SECRETS_KEPT_S = 300
"""How long the function uses the secrets before it reads them again, so that a rotation needs no deployment."""

secrets_manager = boto3.client("secretsmanager")
log = logging.getLogger(__name__)
log.setLevel(logging.INFO)


def handler(event, context):
    try:
        webhook = verify_webhook(event["headers"], body_of(event), secrets(time.time() // SECRETS_KEPT_S))
    except InvalidSignature as error:
        log.warning("refused: %s", error)
        return {"statusCode": 401}
    work(webhook)
    return {"statusCode": 204}  # An exception above makes it a 502, and Punctual calls again.


def work(webhook):
    """Do your work here. A webhook may come twice: a repeat has the same id."""
    log.info("schedule %s: %d characters of data", webhook.id, len(webhook.data))


def body_of(event):
    """Return the bytes of the request as they came. A function URL encodes some types of content in base64."""
    body = event.get("body", "")
    return base64.b64decode(body) if event["isBase64Encoded"] else body.encode()


@functools.lru_cache(maxsize=1)
def secrets(period):
    """Return the secrets of this period: one, or two during a rotation."""
    return secrets_manager.get_secret_value(SecretId=os.environ["WEBHOOK_SECRET_ARN"])["SecretString"].split()
