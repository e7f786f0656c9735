"""The use case of the owner: create applications and their keys, replace and disable keys, delete applications.

No other use case may import it. `wiring` and the handler do, and the adapters in `aws` import its value types.
"""
