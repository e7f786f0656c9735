"""The callers' requests and the expected schedules. Only the simulation and the checkers import them."""
