"""Deploys the real template to a local AWS, for a demonstration and for tests. Nothing listens beyond this machine."""
