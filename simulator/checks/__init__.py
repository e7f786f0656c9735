"""The checkers: they define what the simulator counts as a fault of our own. Only the simulator imports them."""
