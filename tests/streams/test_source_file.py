"""A file of events is read line by line, like a partition."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from streams.source_file import read_values


@pytest.mark.parametrize("name", ["events.jsonl", "events.jsonl.gz"])
def test_line_is_a_value_and_its_number_the_offset(tmp_path: Path, name: str) -> None:
    text = b'{"a":1}\n\n{"b":2}\r\n{"c":3}'
    path = tmp_path / name
    path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)

    assert list(read_values(path)) == [(0, b'{"a":1}'), (2, b'{"b":2}'), (3, b'{"c":3}')]


@pytest.mark.parametrize("length", [100, 101, 102, 202, 203, 1000])
def test_line_of_any_length_costs_bounded_memory_and_no_other_line(
    tmp_path: Path, length: int
) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"first\n" + b"x" * length + b"\nlast\n")

    values = list(read_values(path, bytes_max=100))

    assert values == [(0, b"first"), (1, b"x" * min(length, 101)), (2, b"last")]
