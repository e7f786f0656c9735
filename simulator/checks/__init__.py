"""Checkers: they decide which events are faults of our code. Only the simulator imports them."""
