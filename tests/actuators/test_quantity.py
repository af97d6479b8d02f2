"""Kubernetes quantities."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictor.actuators.quantity import parse_quantity


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("100", 100.0),
        ("500m", 0.5),
        ("100n", 1e-7),
        ("2k", 2000.0),
        ("1M", 1e6),
        ("1Ki", 1024.0),
        ("1Gi", 2.0**30),
        ("1.5Gi", 1.5 * 2.0**30),
        ("1e3", 1000.0),
        ("1E3", 1000.0),
        ("1E", 1e18),
        ("5e-1", 0.5),
        (".5", 0.5),
        ("3.", 3.0),
        ("-2", -2.0),
        ("+2", 2.0),
        (7, 7.0),
        (0.25, 0.25),
    ],
)
def test_a_quantity_is_read_in_its_base_unit(written: str | int | float, value: float) -> None:
    assert parse_quantity(written) == value


@pytest.mark.parametrize(
    "written",
    [
        "",
        "m",
        "1 Gi",
        "1gi",
        "1K",
        "0x10",
        "NaN",
        "inf",
        "1e",
        "1e3Ki",
        "1_0",
        "\u0661",
        "1e999",
        "1\n",
    ],
)
def test_anything_else_is_refused_by_name(written: str) -> None:
    with pytest.raises(ValueError, match=r"is not a Kubernetes quantity|too large"):
        parse_quantity(written)


def test_an_endless_quantity_is_refused_without_reading_it() -> None:
    with pytest.raises(ValueError, match="is not a Kubernetes quantity"):
        parse_quantity("1" * 10_000)


@given(st.integers(min_value=0, max_value=10**12))
def test_milli_and_plain_say_the_same(thousandths: int) -> None:
    assert parse_quantity(f"{thousandths}m") == pytest.approx(thousandths / 1000)
