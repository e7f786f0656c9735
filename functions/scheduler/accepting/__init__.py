"""Accepts schedules from direct invocations and from the input queue, in the current and the older request formats.

No other use case may import it. The handler, `serving`, `wiring` and `aws` do.
"""
