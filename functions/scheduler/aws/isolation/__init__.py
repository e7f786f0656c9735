"""Keeps what the table holds for one application apart from everything else.

The hash keys of an application's items contain its id. The adapters and use cases never see these keys, so no id, name
or page token of a caller can lead them to another application.

Only `wiring` and `aws.applications` import this package.
"""
