"""Accepts schedules from the input queue: reads its messages, divides and requeues them, and reports rejections once.

Part of `accepting`. Outside of that package, only `wiring` and `aws` import it.
"""
