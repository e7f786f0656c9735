"""Builds what the handlers work with: configuration, runtime and clients.

Only the handlers import it.
"""
