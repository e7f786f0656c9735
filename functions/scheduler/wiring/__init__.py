"""Builds the dependencies of the handlers from configuration, runtime and clients.

Only the handlers import it.
"""
