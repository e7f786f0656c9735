"""`punctual tail`: show the messages of the output queue as they come, and leave them for others.

`alone.py` makes sure that no other consumer loses its messages, `tail.py` is the loop, and `forward.py` posts messages.
`punctual.cli.app` names the subcommand. No other package imports this one.
"""
