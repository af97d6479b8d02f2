"""Blocks of the demand table give back what was put in, one part for each bucket."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from streams.demand import DemandCell, DemandPart
from streams.demand_blocks import block_key, decode_key, parts_of, with_part


def a_part(at_s: int, requests: float = 1.0) -> DemandPart:
    return DemandPart("core", at_s, 10, 2, (DemandCell("us-east-1", False, requests, 1),))


def test_key_says_module_stretch_and_partition() -> None:
    key = block_key(a_part(1_732_000_790), block_s=600)

    assert key.encode() == b"core|1732000200|2"
    assert decode_key(key.encode()) == key


@given(st.lists(st.tuples(st.integers(0, 59), st.integers(1, 9)), min_size=1, max_size=80))
def test_last_part_of_a_bucket_is_the_one_that_stays(drawn: list[tuple[int, int]]) -> None:
    body: bytes | None = None
    for place, requests in drawn:
        body = with_part(body, a_part(place * 10, requests))

    assert body is not None
    key = block_key(a_part(0), 600)
    expected = {place * 10: a_part(place * 10, requests) for place, requests in drawn}
    assert parts_of(key, body) == [expected[at_s] for at_s in sorted(expected)]


def test_block_of_another_version_is_set_aside_and_written_anew() -> None:
    foreign = msgspec.msgpack.encode([99, 10, {}])

    assert parts_of(block_key(a_part(0), 600), foreign) == []
    assert parts_of(block_key(a_part(0), 600), with_part(foreign, a_part(0))) == [a_part(0)]
    assert parts_of(block_key(a_part(0), 600), b"not msgpack") == []
