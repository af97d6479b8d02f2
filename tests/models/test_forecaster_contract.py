from __future__ import annotations

import pytest

from models.registry import FITS, REGISTRY
from tests.models.ensemble_builders import few_trees
from tests.models.forecaster_contract import CHECKS, Check


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_forecaster_keeps_the_contract(name: str, check: Check) -> None:
    with few_trees():
        check(name, REGISTRY[name])


def test_every_method_can_be_fitted_and_says_when_it_is_wrong() -> None:
    assert set(REGISTRY) == set(FITS)
    assert all(
        ("wrong" in method.describe() or "late" in method.describe())
        for method in REGISTRY.values()
    )
