"""Adapters for applications and keys: what the table keeps of them, and their copies in API Gateway.

Only wiring imports it.
"""
