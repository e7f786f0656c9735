"""Serves the HTTP API: reads the events of API Gateway, checks the key, and calls the use cases in process.

It may import the use cases. Only `wiring` and the handler of the API import it, so no other function loads it.
"""
