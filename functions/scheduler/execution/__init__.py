"""Retries calls, runs them concurrently, and collects their results.

It imports only the leaf modules, such as `errors`. Every package above it may import it.
"""
