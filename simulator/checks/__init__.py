"""Checkers: what the simulator holds to be a fault of ours."""
