"""The promises hold with metrics: under random faults, a lease that keeps a time is as good as one that is deleted."""

import json

import pytest

from scheduler.measuring.embedded_metrics import UNITS
from simulator.simulation import Simulation

SEEDS = range(8)


@pytest.mark.slow
def test_the_promises_hold_under_random_faults_with_metrics():
    """Every line of a seed is one of the metrics, and all seeds together have most of them."""
    found = set()
    for seed in SEEDS:
        simulation = Simulation(seed)
        simulation.parameters = {"Metrics": True}
        logged = simulation.checker.logged

        def listen(text, logged=logged):
            logged(text)
            if '"_aws"' in text:
                (directive,) = json.loads(text)["_aws"]["CloudWatchMetrics"]
                found.update(each["Name"] for each in directive["Metrics"])

        simulation.cloud.functions.source.write = listen
        result = simulation.run()
        assert result.violation is None, f"seed {seed}: {result.violation}\n" + "\n".join(result.trace)
    assert found <= set(UNITS)
    assert {"Accepted", "Fed", "FeedLag", "Delivered", "Lateness", "Retried", "Failed", "Expired"} <= found
