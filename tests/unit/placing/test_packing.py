"""Packing compresses any data a few times at most, and bundles are full."""

import base64
import json
import random
import zlib
from collections import Counter

import pytest

from fakes import NOON_MS
from scheduler.model.bundle import PACKED_BYTES_MAX
from scheduler.model.schedule import Request
from scheduler.placing.keys import KeyGenerator

BATCH_BYTES = 1_000_000


def encoded(chance, count):
    return base64.b64encode(chance.randbytes(count)).decode()


def few_messages(chance, count):
    return "".join(chance.choices("acgt", k=count))


BATCHES = {
    "members of 2 KB that do not compress": lambda chance, index: encoded(chance, 1_980),
    "members of 6 KB that do not compress": lambda chance, index: encoded(chance, 4_500),
    "members of two letters": lambda chance, index: "ab",
    "members of one kind": lambda chance, index: f"{index} {chance.random()} " + "of one kind " * 20,
    "members that zlib is slow with": lambda chance, index: few_messages(chance, 620),
    "runs of members that compress, and one that does not": lambda chance, index: (
        "x" * 1_000 if index % 20 else encoded(chance, 3_000)
    ),
    "members that grow": lambda chance, index: few_messages(chance, 40 * (index % 100 + 1)),
    "tiny members, and every eleventh is long": lambda chance, index: (
        few_messages(chance, 8_000) if index % 11 == 10 else "t"
    ),
}


def batch_of(member):
    """Return a batch of one megabyte, or of the largest number of members."""
    chance, total_bytes, requests = random.Random(1), 0, {}
    while total_bytes < BATCH_BYTES and len(requests) < 10_000:
        requests[len(requests)] = Request(NOON_MS, member(chance, len(requests)))
        total_bytes += len(requests[len(requests) - 1].data)
    return requests


def pack(requests):
    return [bundle for bundle, _ in KeyGenerator(4, random.Random(1), 60_000).bundles(requests, "token")]


class Counted:
    """A compressor of zlib that counts the bytes which it and its copies get."""

    def __init__(self, compressor, counts):
        self._compressor, self._counts = compressor, counts

    def compress(self, data):
        self._counts["bytes"] += len(data)
        return self._compressor.compress(data)

    def flush(self, *mode):
        return self._compressor.flush(*mode)

    def copy(self):
        self._counts["copies"] += 1
        return Counted(self._compressor.copy(), self._counts)


@pytest.mark.parametrize("kind", BATCHES)
def test_packing_compresses_a_batch_a_few_times_at_most(kind, monkeypatch):
    """The work per member does not grow with the members after it, so no batch outlasts the function."""
    requests, counts, make = batch_of(BATCHES[kind]), Counter(), zlib.compressobj
    monkeypatch.setattr(zlib, "compressobj", lambda level: Counted(make(level), counts))
    pack(requests)
    as_text = len(json.dumps([request.data for request in requests.values()])) + 30 * len(requests)
    assert counts["bytes"] < 3 * as_text
    assert counts["copies"] < 4 * len(requests)


def test_every_bundle_is_almost_full():
    """All of these members have about the same length, so no bundle but the last has room for another ten of them."""
    bundles = pack(batch_of(lambda chance, index: chance.randbytes(60).hex()))
    assert all(bundle.count % 10 == 0 for bundle in bundles[:-1])
    assert all(len(bundle.packed) * (bundle.count + 11) / bundle.count > PACKED_BYTES_MAX for bundle in bundles[:-1])


def test_a_member_that_does_not_compress_leaves_the_next_bundles_full():
    """A bundle may begin with a single step, but it takes all members that a step finds to fit."""
    requests = batch_of(lambda chance, index: encoded(chance, 3_000) if index == 1_000 else f"{index} of one kind")
    counts = [bundle.count for bundle in pack(requests)]
    assert 9_999 <= sum(counts) <= 10_000
    assert len(counts) <= 22
