"""Schedules, bundles, name records, targets and reports, and the format in which each is stored or sent.

It imports only the leaf modules and `execution`. The use cases, `placing` and the adapters may import it.
"""
