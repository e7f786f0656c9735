"""`punctual apps`: the teams and customers that share a stack, and their keys.

`punctual.cli.app` names it. No other package imports it.
"""
