"""Counts what enters and what leaves the scheduler, for each application and day.

The use cases import it, and wiring. It imports the model and `execution`.
"""
