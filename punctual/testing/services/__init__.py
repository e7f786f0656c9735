"""The services of the virtual AWS: DynamoDB, SQS, Lambda with its triggers, SNS, EventBridge and hosts with webhooks.

`punctual.testing`, the simulator and our own tests import them. Users import only `punctual.testing`.
"""
