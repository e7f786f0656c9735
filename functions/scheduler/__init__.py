"""The scheduler: the domain, which knows no AWS, and the adapters, which call AWS. Only the handlers import it.

Follow one schedule: `schedule.py` (the handler) -> `accepting.scheduling` -> `aws.table` or `aws.queues`. A schedule in
the table goes on later: `feeding.feed` -> `aws.queues`. `pyproject.toml` lists which package may import which.
"""

VERSION = "1.0.0"
"""As in punctual/__init__.py, which is the source. A test compares them."""
