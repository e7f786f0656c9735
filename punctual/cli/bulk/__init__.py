"""Moves many schedules at once: `import`, `export` and `adopt`.

`punctual.cli.app` names the subcommands. No other package imports this one.
"""
