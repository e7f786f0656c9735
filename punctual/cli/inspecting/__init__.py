"""The subcommands that look into a deployed stack: `doctor`, `explain` and `verify`.

`punctual.cli.app` names them. No other package imports this one.
"""
