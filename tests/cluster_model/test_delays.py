"""Delays: as distributed as they say, and the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest

from predictor.cluster_model.delays import GRID_S, EmpiricalDelay, FixedDelay, LogNormalDelay


def drawn(delay: LogNormalDelay | EmpiricalDelay, count: int, seed: int = 1) -> list[float]:
    draws = delay.draw(np.random.default_rng(seed), count)
    return [delay_s for delay_s, alike in draws for _ in range(alike)]


def test_a_log_normal_delay_has_the_median_and_the_p90_it_was_told() -> None:
    delays_s = drawn(LogNormalDelay(600.0, 1800.0), 20_000)

    assert np.median(delays_s) == pytest.approx(600.0, rel=0.05)
    assert np.quantile(delays_s, 0.9) == pytest.approx(1800.0, rel=0.05)


def test_measured_delays_come_back_as_often_as_they_were_measured() -> None:
    delays_s = drawn(EmpiricalDelay((60.0, 60.0, 60.0, 181.0)), 8000)

    assert sorted(set(delays_s)) == [60.0, 195.0]
    assert delays_s.count(60.0) / 8000 == pytest.approx(0.75, abs=0.03)


def test_draws_lie_on_the_sync_grid_so_that_pods_stay_together() -> None:
    draws = LogNormalDelay(60.0, 100.0).draw(np.random.default_rng(1), 10_000)

    assert len(draws) < 60
    assert all(delay_s % GRID_S == 0.0 for delay_s, _ in draws)


def test_a_fixed_delay_is_exact() -> None:
    assert FixedDelay(47.5).draw(np.random.default_rng(1), 3) == [(47.5, 3)]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: FixedDelay(-1.0),
        lambda: FixedDelay(float("nan")),
        lambda: LogNormalDelay(100.0, 50.0),
        lambda: EmpiricalDelay(()),
        lambda: EmpiricalDelay((float("inf"),)),
    ],
)
def test_a_delay_that_cannot_be_is_an_error(wrong: object) -> None:
    with pytest.raises(ValueError, match=r"delay|samples"):
        wrong()  # type: ignore[operator]
