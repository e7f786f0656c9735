"""Schedules, bundles, names, targets and reports, and how each is written down.

Imports the leaves and `execution`. Every package further up may import it.
"""
