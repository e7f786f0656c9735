"""Adapters for DynamoDB, SQS, Lambda and Secrets Manager. Only this package knows what their answers look like.

Imports the use cases for the value types of their ports. `transports` and `wiring` import it.
"""
