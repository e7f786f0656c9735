"""The scheduler itself: the domain, which knows no AWS, and the adapters, which know nothing else.

Follow one schedule: `schedule.py` (the handler) -> `scheduling` -> `table` or `queues`; later `feeding` -> `queues`.
"""
