"""Measure what the scheduler costs in calls, time, memory and dollars, next to a plain boto3 loop for the same work.

In `laboratory`, `standin` answers for AWS in its own process, `worker` is the measured process, and `reference` is the
plain loop. `trials` and `sections` define the trials, and `report` formats the results. `cost` turns counted calls into
dollars. No deployed function imports this package.
"""
