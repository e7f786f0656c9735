"""The checkers notice: faults put into a copy of the functions are each found within 200 seeds."""

from __future__ import annotations

import dataclasses

import pytest

from simulator import mutations
from simulator.mutations import MUTATIONS, Stale


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_fault_in_our_code_is_found(mutation):
    """By one of the promises that it breaks, and not because the copy does not run at all."""
    found = mutations.hunt(mutation)
    assert found is not None, f"{mutation.name}: nothing noticed within {mutations.SEEDS_MAX} seeds"
    assert found.breach is not None
    assert found.breach.promise in mutation.promises
    assert not any(word in found.breach.what for word in ("NameError", "ImportError", "AttributeError", "TypeError"))


def test_a_mutation_whose_text_is_gone_fails_loudly():
    """Otherwise the code could move on, and the fault would never be put in again."""
    gone = dataclasses.replace(MUTATIONS[0], old="this stands nowhere")
    with pytest.raises(Stale), mutations.applied(gone):
        pass
