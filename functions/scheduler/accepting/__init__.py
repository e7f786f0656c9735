"""Accepts schedules: from a direct invocation, from the input queue, and in the older request formats.

No other use case imports it.
"""
