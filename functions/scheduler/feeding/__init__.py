"""Moves from the table to the queues what has come within reach.

No other use case imports it.
"""
