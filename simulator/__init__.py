"""Run the real handlers in a virtual AWS with virtual time, inject faults from one seed, and check the guarantees.

`simulation` draws and drives one seed. The scenarios in `workload` plan the requests, and `workload.callers` sends
them. `faults` injects the faults and plays the external targets. `checks.releases` sees every step and checks the
guarantees with `names`, `deliveries` and `input_messages`. `checks.at_the_end` checks the rest at the end. `event_log`
records what happened.

The tests import this package, and `python -m simulator` runs it. The functions never import it.
"""
