"""Gives a schedule its key, and puts it into its queue or into the table.

It imports only `counting`, `model`, `execution` and the leaf modules. The use cases and the packages above them may
import it.
"""
