"""Counts what enters and what leaves the scheduler, for each application and day.

It imports `model`, `execution` and the leaf modules. `placing`, the use cases and `wiring` import it.
"""
