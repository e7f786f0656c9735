"""How calls are retried, run side by side, and read.

Imports only the leaves. Every other package may import it.
"""
