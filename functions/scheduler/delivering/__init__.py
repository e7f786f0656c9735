"""Delivers a schedule to its target at its moment, retries it, and records the outcome.

No other use case imports it.
"""
