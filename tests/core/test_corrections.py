"""What comes late corrects what was counted, and sampling says how sure a count is."""

from __future__ import annotations

import numpy as np
import pytest

from predictor.core.series_digest import series_digest
from streams.demand import DemandCell, DemandPart
from streams.demand_blocks import BlockKey, DemandBlock, read_block, with_part
from tests.core.core_values import EU, US, a_part, a_progress
from tests.core.history_feeding import T0, a_history, a_minute, fed, row


def test_a_correction_amends_a_step_that_was_whole_already() -> None:
    history = fed(a_history(), *a_minute(T0, 5), a_progress(T0 + 60))
    before = history.series(T0 + 60)

    fed(history, a_part(T0 + 30, 110, revision=1))

    assert row(history, T0 + 60) == [6.0]
    assert before.values[0, 0] == 5.0


def test_what_was_corrected_is_not_undone_by_the_part_it_corrected() -> None:
    history = fed(a_history(), a_part(T0, 60, revision=3), a_part(T0, 600, revision=2))

    history.advance(a_progress(T0 + 60))

    assert row(history, T0 + 60) == [1.0]


def test_a_partition_that_comes_back_after_an_hour_fills_its_gap_and_nothing_else() -> None:
    history = fed(a_history(), a_progress(T0, 0, 2), a_progress(T0, 1, 2))
    for minute in range(90):
        start_s = T0 + 60 * minute
        fed(history, *a_minute(start_s, 5), a_progress(start_s + 60, 0, 2))
        history.series(start_s + 60)
    assert np.isnan(row(history, T0 + 5400)).all()

    for minute in range(90):
        fed(history, *a_minute(T0 + 60 * minute, 2, partition=1))
        history.advance(a_progress(T0 + 60 * minute + 60, 1, 2))
        history.series(T0 + 5400)

    assert row(history, T0 + 5400) == [7.0] * 90
    assert not history.set_aside


def test_a_correction_of_a_step_that_is_final_is_set_aside() -> None:
    history = a_history()
    for minute in range(60):
        fed(history, *a_minute(T0 + 60 * minute, 5), a_progress(T0 + 60 * minute + 60))
        history.series(T0 + 60 * minute + 60)

    fed(history, a_part(T0, 600, revision=1))

    assert row(history, T0 + 3600) == [5.0] * 60
    assert history.set_aside == {"too late": 1}


def test_what_sampling_adds_to_the_variance_is_carried_beside_the_rate() -> None:
    sampled = [a_part(T0 + 60 + 10 * i, 50, variance=450.0) for i in range(6)]
    history = fed(a_history(), *a_minute(T0, 5), *sampled, a_progress(T0 + 120))

    batch, observed = history.series(T0 + 120), history.observed(T0 + 120)

    assert batch.sampling_variance is not None
    assert batch.sampling_variance[0].tolist() == [0.0, 6 * 450 / 3600]
    assert observed.sampling_variance is not None
    assert observed.sampling_variance[0] == pytest.approx(6 * 450 / 3600)


def test_a_history_in_which_nothing_was_sampled_says_nothing_of_it() -> None:
    history = fed(a_history(), *a_minute(T0, 5), a_progress(T0 + 60))

    assert history.series(T0 + 60).sampling_variance is None
    assert history.observed(T0 + 60).sampling_variance is None


def test_a_batch_keeps_its_variance_when_a_step_is_corrected() -> None:
    history = fed(a_history(), a_part(T0, 60, variance=3600.0), a_progress(T0 + 60))
    batch, digest = history.series(T0 + 60), history.series_digest()

    fed(history, a_part(T0, 60, variance=7200.0, revision=1))

    corrected = history.series(T0 + 60)
    assert corrected.sampling_variance is not None
    assert batch.sampling_variance is not None
    assert (batch.sampling_variance[0, 0], corrected.sampling_variance[0, 0]) == (1.0, 2.0)
    assert digest == series_digest(batch) != history.series_digest()


def blocks_of(parts: list[DemandPart]) -> list[DemandBlock]:
    bodies: dict[BlockKey, bytes] = {}
    for part in parts:
        key = BlockKey(part.module, part.bucket_start_s // 600 * 600, part.partition)
        bodies[key] = with_part(key, bodies.get(key), part)
    found = [read_block(key, body) for key, body in sorted(bodies.items())]
    return [block for block in found if block is not None]


@pytest.mark.parametrize("routed", [(), ("core",)])
def test_history_from_blocks_is_the_history_that_was_lived_through(routed: tuple[str, ...]) -> None:
    parts = [
        DemandPart(
            module,
            T0 + 20 + 10 * bucket,
            10,
            partition,
            (
                DemandCell(US, False, float(bucket % 7), 1, float(bucket % 3)),
                DemandCell(EU, True, float(partition), 1),
            ),
        )
        for bucket in range(450)
        for partition in range(2)
        for module in ("core", "role")
        if (bucket, partition) != (100, 1)
    ]
    gap = ((T0 + 1200, T0 + 1260),)
    progress = [a_progress(T0 + 4500, 0, 2), a_progress(T0 + 4500, 1, 2, gaps=gap)]
    lived = fed(a_history(routed), *parts, *progress)

    restored = fed(a_history(routed), *progress)
    for block in blocks_of(parts):
        restored.add_block(block)

    now_s = T0 + 4500
    assert series_digest(restored.series(now_s)) == series_digest(lived.series(now_s))
    assert np.isnan(restored.series(now_s).values[0, 20])
    assert np.isnan(restored.series(now_s).values[0, 0]), "the first minute is not whole"
    before, after = restored.observed(now_s), lived.observed(now_s)
    assert before.complete_per_s.tolist() == after.complete_per_s.tolist()
    assert before.provisional_per_s.tolist() == after.provisional_per_s.tolist()


def test_blocks_are_corrected_as_long_as_parts_are() -> None:
    parts = [part for minute in range(60) for part in a_minute(T0 + 60 * minute, 5)]
    history = fed(a_history(), a_progress(T0 + 3600))
    for block in blocks_of(parts):
        history.add_block(block)
    history.series(T0 + 3600)

    fed(history, a_part(T0 + 3000, 650, revision=1), a_part(T0, 650, revision=1))

    assert row(history, T0 + 3600) == [5.0] * 50 + [15.0] + [5.0] * 9
    assert history.set_aside == {"too late": 1}


def test_a_block_without_any_progress_is_not_final() -> None:
    history = a_history()
    for block in blocks_of(a_minute(T0, 5)):
        history.add_block(block)

    fed(history, a_part(T0, 350, revision=1), a_progress(T0 + 60))

    assert row(history, T0 + 60) == [10.0]


def test_what_a_block_holds_of_others_is_set_aside_with_its_reason() -> None:
    old = [
        a_part(T0, 10, module="nobody"),
        a_part(T0, 10, region="mars"),
        a_part(T0 + 10, -1.0),
    ]
    history = fed(a_history(), a_progress(T0 + 3600))

    for block in blocks_of([*old, *a_minute(T0 + 60, 5)]):
        history.add_block(block)

    assert history.set_aside == {
        "unknown module": 1, "unknown region": 1, "impossible demand": 1
    }  # fmt: skip
    assert row(history, T0 + 3600)[:3] == [0.0, 5.0, 0.0]
