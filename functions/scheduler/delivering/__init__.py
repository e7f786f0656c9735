"""Delivers schedules to their targets when they are due, retries failed attempts, and records the results.

No other use case imports this package. The handlers, `wiring` and `aws` do.
"""
