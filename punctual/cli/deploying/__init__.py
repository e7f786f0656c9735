"""`punctual deploy` and `punctual destroy`: CloudFormation with the template and the functions of this package.

They need boto3 alone: neither a checkout nor the SAM CLI. CloudFormation expands the serverless transform by itself.
"""
