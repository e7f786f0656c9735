"""Schedule a stream of requests in batches: gather them, send them in parallel, and give results in order.

Only `punctual.client.scheduler` imports it.
"""
