"""Everything that fails outside our code: calls, crashes, outages, external targets. Only the simulator imports it."""
