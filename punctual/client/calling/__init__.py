"""Call the functions of a stack: repeats, errors and pages.

The other modules of the client import it. So do `punctual.receiving` and `punctual.cli`.
"""
