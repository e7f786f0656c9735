"""Send batches of requests, with a journal of what was sent.

Part of `punctual.cli.bulk`. No other package imports it.
"""
