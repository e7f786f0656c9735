"""Measures what an invocation did, and prints it as CloudWatch metrics.

The use cases tell it what happened. Wiring decides whether anything is measured. It imports only `execution` and the
leaf modules. The use cases and `wiring` import it.
"""
