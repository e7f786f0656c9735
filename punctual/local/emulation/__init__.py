"""Runs ministack as a local AWS of our own, apart from the user's settings, and ends it with everything it started.

`punctual.local` imports it. So do the tests and the bench that deploy the stack.
"""
