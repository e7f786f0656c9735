"""Receive what Punctual sends: messages of the output queue, in a loop, in a worker or in a Lambda, and webhooks.

`messages.py` is the loop and `consume.py` the worker. Both hold messages by `held.py`, and `output_queue.py` speaks to
SQS. `consumer.py` is the decorator for a Lambda function, `handling.py` calls a user's function, `dedupe.py` recognizes
repeats, and `webhook.py` checks signatures.
Users import all of it from `punctual`. `punctual.client.scheduler` and `punctual.cli` import it too.
"""
