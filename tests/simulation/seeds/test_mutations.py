"""The checkers find faults: each fault in a copy of the functions is found within 200 seeds."""

from __future__ import annotations

import dataclasses

import pytest

from simulator import mutations
from simulator.mutations import MUTATIONS, Stale


def each_mutation():
    """Yield the mutations. Without a noted seed the hunt takes minutes, so it belongs to `make soak`."""
    for mutation in MUTATIONS:
        marks = [pytest.mark.slow] if mutation.seed is not None else [pytest.mark.soak, pytest.mark.timeout(0)]
        yield pytest.param(mutation, id=mutation.name, marks=marks)


@pytest.mark.parametrize("mutation", list(each_mutation()))
def test_a_fault_in_our_code_is_found(mutation):
    """A promise that it breaks must find it. A copy that does not run does not count."""
    found = mutations.hunt(mutation)
    assert found is not None, f"{mutation.name}: nothing noticed within {mutations.SEEDS_MAX} seeds"
    assert found.violation is not None
    assert found.violation.promise in mutation.promises
    assert not any(word in found.violation.what for word in ("NameError", "ImportError", "AttributeError", "TypeError"))


def test_a_mutation_with_missing_text_fails_loudly():
    """Otherwise a change of the code could disable the fault."""
    gone = dataclasses.replace(MUTATIONS[0], old="this stands nowhere")
    with pytest.raises(Stale), mutations.applied(gone):
        pass
