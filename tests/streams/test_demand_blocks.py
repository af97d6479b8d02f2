"""Blocks of the demand table give back what was put in, one part for each bucket."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.demand import DemandCell, DemandPart, supersedes
from streams.demand_blocks import (
    BlockKey,
    KeptBlocks,
    block_key,
    decode_key,
    read_block,
    with_part,
)

KEY = BlockKey("core", 0, 2)


def a_part(
    at_s: int,
    requests: float = 1.0,
    *,
    region: str = "us-east-1",
    events: int = 1,
    revision: int = 0,
    variance: float = 0.0,
    announced: tuple[tuple[str, float], ...] = (),
) -> DemandPart:
    cells = (DemandCell(region, False, requests, events, variance),)
    return DemandPart("core", at_s, 10, 2, cells, revision=revision, announced=announced)


def parts_of(body: bytes) -> list[DemandPart]:
    block = read_block(KEY, body)
    assert block is not None
    return block.parts()


def a_block_of(*parts: DemandPart) -> bytes:
    body: bytes | None = None
    for part in parts:
        body = with_part(KEY, body, part)
    assert body is not None
    return body


def test_key_says_module_stretch_and_partition() -> None:
    key = block_key(a_part(1_732_000_790), block_s=600)

    assert key.encode() == b"core|1732000200|2"
    assert decode_key(key.encode()) == key


any_cell = st.builds(
    DemandCell,
    st.sampled_from(["us-east-1", "eu-west-1"]),
    st.booleans(),
    st.floats(0, 1e12),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.0, 0.0, 12.5]),
)
any_part = st.builds(
    lambda place, cells, revision, announced: DemandPart(
        "core",
        10 * place,
        10,
        2,
        tuple(sorted(cells, key=lambda cell: (cell.region, cell.pinned))),
        revision=revision,
        announced=tuple(sorted(announced.items())),
    ),
    st.integers(0, 59),
    st.lists(any_cell, unique_by=lambda cell: (cell.region, cell.pinned), max_size=4),
    st.integers(0, 2**40),
    st.dictionaries(st.sampled_from(["us-east-1", "eu-west-1"]), st.floats(0.5, 1e9), max_size=2),
)


@given(st.lists(any_part, min_size=1, max_size=40), st.randoms(use_true_random=False))
def test_of_all_parts_of_a_bucket_the_same_one_stays_in_any_order(
    parts: list[DemandPart], random: object
) -> None:
    expected: dict[int, DemandPart] = {}
    for part in parts:
        known = expected.get(part.bucket_start_s)
        if known is None or supersedes(part, known):
            expected[part.bucket_start_s] = part
    shuffled = list(parts)
    random.shuffle(shuffled)  # type: ignore[attr-defined]

    assert parts_of(a_block_of(*shuffled)) == [expected[at_s] for at_s in sorted(expected)]


def test_a_correction_takes_the_place_of_what_it_corrects_also_where_it_comes_first() -> None:
    first, amended = a_part(20, 5.0), a_part(20, 6.0, events=2, revision=7)

    assert parts_of(a_block_of(first, amended)) == [amended]
    assert parts_of(a_block_of(amended, first)) == [amended]


def test_a_part_that_is_known_already_leaves_the_bytes_as_they_are() -> None:
    body = a_block_of(a_part(0), a_part(10))

    assert with_part(KEY, body, a_part(10)) == body


def test_a_region_that_a_correction_no_longer_names_is_gone() -> None:
    moved = a_part(0, region="eu-west-1", revision=1)

    assert parts_of(a_block_of(a_part(0), moved)) == [moved]


def test_columns_say_requests_and_variance_of_each_bucket_and_what_was_not_given() -> None:
    block = read_block(KEY, a_block_of(a_part(10, 4.0, variance=2.0), a_part(30, 6.0)))

    assert block is not None
    assert block.cells == (("us-east-1", False),)
    np.testing.assert_equal(block.requests, [[np.nan, 4.0, np.nan, 6.0]])
    np.testing.assert_equal(block.variance, [[0.0, 2.0, 0.0, 0.0]])
    assert block.revisions.tolist() == [-1, 0, -1, 0]
    assert block.end_s == 40


def test_what_a_block_has_announced_lies_in_columns_too() -> None:
    parts = a_part(10, announced=(("us-east-1", 4.0),)), a_part(30, announced=(("us-east-1", 2.5),))
    block = read_block(KEY, a_block_of(*parts))

    assert block is not None
    ((region, workflows),) = block.announced
    assert (region, workflows.tolist()) == ("us-east-1", [0.0, 4.0, 0.0, 2.5])


def test_a_block_from_before_announcements_is_read_and_written_on() -> None:
    new = a_block_of(a_part(0), a_part(10))
    before = msgspec.msgpack.encode(msgspec.msgpack.decode(new)[:-1])
    announcing = a_part(20, announced=(("us-east-1", 4.0),))

    assert parts_of(before) == parts_of(new)
    assert parts_of(with_part(KEY, before, announcing)) == [a_part(0), a_part(10), announcing]


def test_a_block_that_an_earlier_release_wrote_is_read_and_written_on() -> None:
    cell = ["us-east-1", False, 3.0, 2]
    earlier = msgspec.msgpack.encode([1, 10, {20: [cell], 40: [cell]}])
    old = [a_part(at_s, 3.0, events=2) for at_s in (20, 40)]

    assert parts_of(earlier) == old
    assert parts_of(with_part(KEY, earlier, a_part(60))) == [*old, a_part(60)]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(msgspec.msgpack.encode([99, 10, b"", []]), id="a version to come"),
        pytest.param(msgspec.msgpack.encode([99, 10, {}]), id="another layout"),
        pytest.param(b"not msgpack", id="no msgpack"),
        pytest.param(msgspec.msgpack.encode([2, 10, b"123", []]), id="half a revision"),
        pytest.param(
            msgspec.msgpack.encode([2, 10, bytes(8), [["us-east-1", False, bytes(16), bytes(8)]]]),
            id="a column longer than the block",
        ),
    ],
)
def test_what_cannot_be_read_is_set_aside_and_written_anew(body: bytes) -> None:
    assert read_block(KEY, body) is None
    assert parts_of(with_part(KEY, body, a_part(0))) == [a_part(0)]


def test_blocks_before_the_history_are_named_once() -> None:
    kept = KeptBlocks(history_s=1200)
    for start_s in (600, 0, 1200, 0):
        kept.note(start_s)
    assert kept.take_too_old() == []

    kept.note(2400)

    assert kept.take_too_old() == [0, 600]
    assert kept.take_too_old() == []
