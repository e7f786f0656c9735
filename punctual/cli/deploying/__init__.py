"""`punctual deploy` and `punctual destroy`: CloudFormation with the template and the functions of this package.

They need boto3 alone: neither a checkout nor the SAM CLI. CloudFormation expands the serverless transform by itself.
`punctual.cli.app` names the subcommands. No other package imports this one.
"""
