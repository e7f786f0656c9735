"""The scenarios: each plans a part of the requests of a run. Only `simulation` and the crash points import them."""

INTERVAL_S = 600
"""The default time between two feeds in the template."""
