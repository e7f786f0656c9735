"""Accepts schedules from the input queue: reads its messages, divides and requeues them, and reports rejections once.

Part of `accepting`. Beside it, only `wiring` and `aws` import this package.
"""
