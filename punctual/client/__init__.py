"""The Python client. Users import everything from `punctual`; the modules here may change between versions.

`punctual.receiving`, `punctual.cli` and `punctual.testing` import it.
"""
