"""The subcommands for one schedule and for lists of them.

`punctual.cli.app` names them. `inspecting` and `tailing` import how this package shows a schedule.
"""
