"""The command `punctual`: everything a person does with a scheduler.

`app` starts it and lists its subcommands, `group` parses the command line, and `run` holds what every subcommand needs.
Subcommands are imported when they are called, and import boto3 and other slow modules inside their functions.
`punctual.local` imports this package for its subcommand `dev`. The client never does.
"""
