"""The callers' requests and the expected schedules. Only the simulator imports them."""
