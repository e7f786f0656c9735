"""The simulator: the real handlers in a virtual AWS with virtual time, faults from one seed, and the promises checked.

Follow one seed: `simulation` draws and drives it, `scenes` plan what is asked for, `callers` ask for `wishes`, `storm`
brings the faults, `others` is what is delivered to, `witness` sees everything and checks the promises with `names`,
`deliveries` and `letters` at every step, `reckoning` checks the rest at the end, `chronicle` tells what happened.
"""
