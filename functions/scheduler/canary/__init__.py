"""The canary: schedules like a user every minute, and checks that each schedule came once and on time.

Only the canary's handler, its wiring and its adapter import it, so no other function loads it.
"""
