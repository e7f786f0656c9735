"""Looks up, lists, counts, changes and cancels schedules, and handles failures.

No other use case imports it. The handlers, `serving`, `wiring` and `aws` do.
"""
