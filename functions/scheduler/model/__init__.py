"""Schedules, bundles, name records, targets and reports, and the format in which each is stored or sent.

It imports only the leaf modules. Every package above it may import it.
"""
