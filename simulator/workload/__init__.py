"""The workload: the requests of callers and the expected outcome of each. Only the simulator imports it."""
