"""Everything about one webhook request: addresses, allowed hosts, signature and the bounded connection.

Imports only the leaves. `aws`, `transports` and `accepting` import it.
"""
