"""The canary: schedules like a user every minute, and checks that each schedule came once and on time.

Only the canary function loads this package.
"""
