"""Measures what an invocation did, and prints it as CloudWatch metrics.

The use cases tell it what happened. Wiring decides whether anything is measured.
"""
