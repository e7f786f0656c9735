"""Gives a schedule its key, and puts it in its queue or in the table.

Imports `model` and `execution`. The use cases import it.
"""
