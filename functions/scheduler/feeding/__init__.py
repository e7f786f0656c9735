"""Moves schedules that will soon be due from the table to their queues.

The trigger starts one feed for each partition. No other use case imports this package. The
handlers, `wiring` and `aws` do.
"""
