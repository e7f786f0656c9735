"""Checks, signs and sends webhook requests: allowed hosts, IP addresses, signatures and bounded connections.

It imports only the leaf modules, such as `errors`. Only `accepting`, `administering`, `aws`, `transports` and `wiring`
import it.
"""
