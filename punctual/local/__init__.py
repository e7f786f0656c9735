"""Deploys the real template to a local AWS, for a demonstration and for tests. Nothing listens beyond this machine.

`punctual.cli.app` names its command `dev`. The tests, the bench and `tools` import it too. The client never does.
"""
