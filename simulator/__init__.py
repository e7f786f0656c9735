"""The simulator: real handlers in a virtual AWS with virtual time, faults from one seed, and checked promises.

To follow one seed: `simulation` draws and drives it. `workload` has the scenarios, the callers and their expected
schedules. `faults` has the faults and the external targets. `checks.releases` sees every step and checks the promises
with `names`, `deliveries` and `input_messages`. `checks.at_the_end` checks the rest, and `event_log` records the
events. Only tests and `python -m simulator` import this package.
"""
