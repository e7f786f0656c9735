"""The faults: failing calls, crashes, outages and external targets. The simulator and its tests import them."""
