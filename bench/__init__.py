"""Measure what the scheduler costs in calls, time, memory and dollars, next to a plain boto3 loop for the same work.

`standin` answers for AWS in its own process. `worker` is the measured process. `reference` is the plain loop. `trials`
defines the trials, and `report` formats the results. `cost` turns counted calls into dollars. No deployed function
imports this package.
"""
