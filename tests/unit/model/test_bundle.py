"""Bundles keep their members, never unpack too large, and survive hostile content."""

import json
import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import NOON_MS, OTHER_ARN, schedule
from scheduler.limits import DATA_BYTES_MAX
from scheduler.model import bundle
from scheduler.model.bundle import MEMBERS_MAX, PACKED_BYTES_MAX, UNPACKED_BYTES_MAX, Bundle, Unpackable
from scheduler.model.schedule import Request
from scheduler.placing.keys import KeyGenerator

SPAN_MS = 60_000


def pack(requests, token=None, span_ms=SPAN_MS, seed=1):
    """Return the bundles of a batch, each with its members by index."""
    key_generator = KeyGenerator(4, random.Random(seed), span_ms)
    return list(key_generator.bundles(dict(enumerate(requests)), token))


def hexadecimal(number):
    return Request(NOON_MS, random.Random(number).randbytes(50).hex())


text = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40)
requests = st.lists(
    st.builds(
        Request,
        st.integers(NOON_MS, NOON_MS + 200_000),
        text,
        st.none() | st.just(OTHER_ARN),
        st.none() | text,
        st.none() | st.integers(0, 10**9),
    ),
    max_size=60,
)


@given(requests, st.none() | text)
def test_every_member_comes_out_as_requested(batch, token):
    """Each keeps its time, data, target, user and expiry, in a bundle or alone."""
    seen = set()
    for packed, members in pack(batch, token):
        assert packed.count == len(members) > 1
        assert packed.members() == list(members.values())
        for place, member in members.items():
            asked = batch[place]
            assert (asked.due_ms, asked.data, asked.target, asked.user, asked.expires_after_ms) == (
                member.due_ms,
                member.data,
                member.target,
                member.user,
                member.expires_after_ms,
            )
            assert place not in seen
            seen.add(place)


@given(requests)
def test_a_bundle_keeps_its_bounds(batch):
    """The key of its latest member, the span, the packed and unpacked size, and a single queue."""
    for packed, members in pack(batch):
        dues_ms = [member.due_ms for member in members.values()]
        assert (packed.first_ms, packed.key.due_ms) == (min(dues_ms), max(dues_ms))
        assert max(dues_ms) - min(dues_ms) <= SPAN_MS
        assert 1 == len({member.target for member in members.values()})
        assert len(packed.packed) <= PACKED_BYTES_MAX
        assert packed.count <= MEMBERS_MAX
        assert len(zlib.decompress(packed.packed)) <= UNPACKED_BYTES_MAX


def test_a_member_id_is_the_key_and_the_index():
    """`<partition>-<15 digits>-<16 hex>-<index>`, with the digits of the latest member."""
    ((packed, members),) = pack([Request(NOON_MS, "a"), Request(NOON_MS + 5, "b")])
    assert [f"{packed.key.id}-0", f"{packed.key.id}-1"] == [member.id for member in members.values()]
    assert packed.key.id.split("-")[1] == f"{NOON_MS + 5:015d}"


def test_random_data_is_packed_in_multiples_of_ten():
    """A hundred bytes of hex take less than 60 in a bundle. An SQS batch carries ten messages."""
    counts = [packed.count for packed, _ in pack([hexadecimal(number) for number in range(1000)])]
    assert 1000 == sum(counts)
    assert all(count % 10 == 0 for count in counts)
    assert min(counts[:-1]) >= 60


def test_similar_data_is_bounded_by_number():
    """A bundle holds five hundred members at most, even if more would fit."""
    assert [500, 500] == [packed.count for packed, _ in pack([Request(NOON_MS, "x" * 100)] * 1000)]


def test_repetitive_strings_do_not_unpack_beyond_the_memory_of_a_feed():
    """Fifteen of 256 KiB would pack into 4 KB. Each of them stays alone, and so do two of half the size."""
    assert [] == pack([Request(NOON_MS, "x" * DATA_BYTES_MAX)] * 15)
    assert [] == pack([Request(NOON_MS, "x" * (DATA_BYTES_MAX // 2))] * 15)
    assert [2] * 7 == [packed.count for packed, _ in pack([Request(NOON_MS, "x" * 130_000)] * 15)]


def test_schedules_due_too_far_apart_are_not_packed_together():
    """A millisecond beyond the span is too far. Without a span, only schedules due at the same instant are packed."""
    apart = [Request(NOON_MS, "a"), Request(NOON_MS + SPAN_MS + 1, "b")]
    assert [] == pack(apart)
    assert 1 == len(pack([apart[0], Request(NOON_MS + SPAN_MS, "b")]))
    assert [] == pack([apart[0], Request(NOON_MS + 1, "b")], span_ms=0)
    assert 1 == len(pack([apart[0]] * 2, span_ms=0))


@pytest.mark.parametrize(
    ("reach_ms", "interval_ms", "span_ms"),
    [(900_000, 600_000, 60_000), (900_000, 840_000, 15_000), (90_000, 60_000, 7_500), (60_000, 60_000, 0), (5, 9, 0)],
)
def test_the_span_is_a_quarter_of_the_time_beyond_the_reach(reach_ms, interval_ms, span_ms):
    """It is at most a minute, and zero if no time is left."""
    assert span_ms == bundle.span_ms_max(reach_ms, interval_ms)


def test_the_same_batch_with_its_token_packs_into_the_same_bundles():
    """Randomness changes nothing. Other data, another token or no token makes other keys."""
    batch = [hexadecimal(number) for number in range(100)]
    again = pack(batch, "t", seed=2)
    assert pack(batch, "t", seed=1) == again
    for other in (pack(batch, "u"), pack(batch), pack([*batch[:50], Request(NOON_MS, "?"), *batch[51:]], "t")):
        assert not {packed.key for packed, _ in other} & {packed.key for packed, _ in again[:1]}


def test_two_equal_bundles_of_one_batch_have_two_keys():
    """A thousand equal requests make two bundles of five hundred, not one bundle written twice."""
    assert 2 == len({packed.key for packed, _ in pack([Request(NOON_MS, "x")] * 1000, "t")})


def test_the_rest_of_a_bundle_keeps_its_indexes():
    """A member keeps its id until it is sent."""
    ((packed, members),) = pack([Request(NOON_MS, str(number), user="me") for number in range(5)])
    kept = [members[1], members[4]]
    left = packed.holding(kept)
    assert (packed.key, 2, kept) == (left.key, left.count, left.members())


def test_the_rest_of_a_bundle_knows_when_its_first_member_is_due():
    """The time is that of the first remaining member, and unknown if no member is readable."""
    ((packed, members),) = pack([Request(NOON_MS + number, "x") for number in (0, 5, 9)])
    assert NOON_MS + 5 == packed.holding([members[2], members[1]]).first_ms
    assert NOON_MS + 9 == packed.holding([members[2]], ["[]"]).first_ms
    assert packed.holding([], ["[]"]).first_ms is None


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"junk",
        zlib.compress(b"junk"),
        zlib.compress(b"[]")[:-1],
        zlib.compress(b"5"),
        zlib.compress(b"[5]"),
        zlib.compress(b"[[]]"),
        zlib.compress(b"[]"),
        zlib.compress(b'{"a":1}'),
        zlib.compress(b"[" * 200_000),
        zlib.compress(b"[[0,1]]"),
        zlib.compress(b'[["0",1,"x"]]'),
        zlib.compress(b'[[0,1.5,"x"]]'),
        zlib.compress(b'[[0,1,{"a":1}]]'),
        zlib.compress(b"\xff\xfe"),
        zlib.compress(json.dumps([[0, NOON_MS, "x" * UNPACKED_BYTES_MAX]]).encode()),
        zlib.compress(b"0" * 10**8),
    ],
    ids=range(17),
)
def test_an_unreadable_bundle_is_refused_with_a_reason(packed):
    """Unpacking stops at the size limit of a bundle, so a zip bomb does no harm."""
    with pytest.raises(Unpackable):
        Bundle(schedule(1).key, packed, 1).members()


BROKEN = [
    5,
    [],
    [1, NOON_MS],
    [1, NOON_MS, "x", None, None, None, None, None],
    [None, NOON_MS, "x"],
    [0, NOON_MS, "the index of another"],
    [True, NOON_MS, "x"],
    [-1, NOON_MS, "x"],
    [10**30, NOON_MS, "x"],
    [1, NOON_MS + 1, "later than the key"],
    [1, -1, "x"],
    [1, NOON_MS, ""],
    [1, NOON_MS, "\ud800"],
    [1, NOON_MS, "x", 5],
    [1, NOON_MS, "x", '{"url":"https://["}'],
    [1, NOON_MS, "x", None, 5],
    [1, NOON_MS, "x", None, None, "soon"],
    [1, NOON_MS, "x", None, None, -1],
    [1, NOON_MS, "x", None, None, None, "x"],
    [1, NOON_MS, [[[[]]]]],
]


@pytest.mark.parametrize("broken", BROKEN, ids=str)
def test_an_unreadable_member_does_not_affect_the_others(broken):
    """The others stay as they were, and the unreadable member stays unchanged when they are removed."""
    members = [[0, NOON_MS, "a"], broken, [2, NOON_MS, "b", OTHER_ARN, "me", 5, '{"retry":{"attempts":2}}'], broken]
    contents = Bundle(schedule(1).key, zlib.compress(json.dumps(members).encode()), 4).unpacked()
    assert ["a", "b"] == [each.data for each in contents.members]
    assert [broken] == [json.loads(text) for text in contents.broken]

    left = Bundle(schedule(1).key, b"", 4).holding(contents.members[:1], contents.broken)
    assert (2, contents.members[:1], contents.broken) == (
        left.count,
        left.unpacked().members,
        left.unpacked().broken,
    )
