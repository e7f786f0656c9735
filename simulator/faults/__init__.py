"""Everything that fails outside our code: calls, crashes, outages and external targets.

Only the simulator and its tests import it.
"""
