"""What the scheduler costs in calls, time, memory and dollars, beside a plain boto3 loop that does the same work.

`standin` answers for AWS in a process of its own, `worker` is the process that is measured, `reference` is the plain
loop, `trials` says what is tried, and `report` lays out what came of it. `cost` turns counted calls into dollars.
"""
