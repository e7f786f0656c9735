"""Adapters for applications and keys: what the table keeps of them, and their copies in API Gateway.

Only `wiring` and the adapter of the canary, `aws.canary`, import it.
"""
