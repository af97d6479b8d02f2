"""How many writes go out in a second."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictor.actuators.write_budget import WriteBudget
from predictor.core.reasons import Code
from rigs.kubernetes import ControlPlane
from tests.actuators.target_world import TargetWorld, reason_of


class Watch:
    """A clock that stands still until it is moved."""

    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_a_burst_goes_out_at_once_and_then_the_rate_holds() -> None:
    budget = WriteBudget(10.0, 3, Watch())

    waits = [budget.take(1.0) for _ in range(5)]

    assert waits == pytest.approx([0.0, 0.0, 0.0, 0.1, 0.2])


def test_who_would_wait_too_long_is_told_so_and_takes_nothing() -> None:
    watch = Watch()
    budget = WriteBudget(10.0, 1, watch)
    budget.take(0.0)

    refused = [budget.take(0.05) for _ in range(3)]
    watch.now_s += 0.2

    assert refused == [None, None, None]
    assert budget.take(0.0) == 0.0


def test_a_pause_saves_up_one_burst_and_no_more() -> None:
    watch = Watch()
    budget = WriteBudget(10.0, 3, watch)
    watch.now_s += 3600.0

    assert [budget.take(0.0) for _ in range(4)] == [0.0, 0.0, 0.0, None]


@given(st.lists(st.floats(0.0, 0.5), min_size=1, max_size=200))
def test_no_second_has_more_than_the_rate_and_one_burst(pauses: list[float]) -> None:
    watch, sent = Watch(), []
    budget = WriteBudget(5.0, 4, watch)
    for pause in pauses:
        watch.now_s += pause
        wait_s = budget.take(10.0)
        if wait_s is not None:
            sent.append(watch.now_s + wait_s)

    for start in sent:
        assert sum(start <= at < start + 1.0 for at in sent) <= 5 + 4


@pytest.mark.parametrize(("rate", "burst"), [(0.0, 5), (-1.0, 5), (5.0, 0)])
def test_a_budget_that_writes_nothing_is_an_error(rate: float, burst: int) -> None:
    with pytest.raises(ValueError, match="writes nothing"):
        WriteBudget(rate, burst)


@pytest.mark.real
async def test_a_floor_beyond_the_budget_waits_for_a_tick(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    world = TargetWorld(control_plane, tmp_path, modules="ab", writes_per_s=0.01, writes_burst=1)
    await world.raise_to(5, "a")

    said = reason_of(await world.raise_to(5, "b"))
    floor = world.floor("b")
    await world.end()

    assert said.code is Code.CHANGES_LIMITED
    assert "more than 0.01 writes/s are waiting" in said.sentence
    assert floor == 2
