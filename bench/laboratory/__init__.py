"""What a trial runs in: the stand-in for AWS, worker processes, the reference, and made data.

The rest of `bench` imports it. It imports none of the trials.
"""
