"""Looks up, lists, counts, changes and cancels schedules, and handles failures.

No other use case imports it.
"""
