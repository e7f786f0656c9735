"""Lists schedules in pages, in order of time, by key or by name prefix, and counts them.

Part of `managing`. No other package imports it.
"""
