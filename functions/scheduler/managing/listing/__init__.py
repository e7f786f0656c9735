"""Pages of schedules in order of time, by key or by name prefix, and counts of them.

A part of `managing`.
"""
