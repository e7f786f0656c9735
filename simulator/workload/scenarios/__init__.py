"""Scenarios of a run. Each plans a part of the callers' requests and is called by the simulation."""

INTERVAL_S = 600
"""The time between two feeds: the default of the template."""
