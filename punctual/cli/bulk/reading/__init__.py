"""Read requests from files: lines, NDJSON and CSV.

Part of `punctual.cli.bulk`. No other package imports it.
"""
