"""What a worker's history hears of the demand topic: parts at once, progress when all have told."""

from __future__ import annotations

import numpy as np

from predictor.clock import EventClock
from predictor.demand_inbox import DemandInbox
from predictor.settings import ModuleSettings, RegionSettings, Settings
from streams.demand import DemandCell, DemandPart, Progress
from streams.topics import demand_partition

T0 = 1_764_000_000
NOW_S = T0 + 60
SETTINGS = Settings(
    regions={"here": RegionSettings(namespace="here", weight=100)},
    modules={name: ModuleSettings(hpa=name) for name in ("context", "core", "plan", "trace")},
    routes={},
)


def an_inbox(*owned: int) -> DemandInbox:
    inbox = DemandInbox(SETTINGS, EventClock(), partitions=2)
    inbox.on_assigned(set(owned))
    return inbox


def a_minute_arrives(inbox: DemandInbox, partition: int) -> None:
    """What one demand partition holds of a transaction: parts, then progress."""
    for module in SETTINGS.modules:
        if demand_partition(module, 2) == partition:
            for start_s in range(T0, T0 + 60, 10):
                cells = (DemandCell("here", False, 50.0, 5),)
                inbox.on_part(DemandPart(module, start_s, 10, 0, cells), partition)
    inbox.on_progress(Progress(0, T0 + 60, False, 1), partition)


def test_a_bucket_is_not_whole_while_parts_are_on_the_way_in_another_demand_partition() -> None:
    inbox = an_inbox(0, 1)

    a_minute_arrives(inbox, 0)
    early = inbox.history.series(NOW_S).values
    a_minute_arrives(inbox, 1)

    assert not np.isfinite(early).any()
    np.testing.assert_array_equal(inbox.history.series(NOW_S).values, [[5.0]] * 4)


def test_a_demand_partition_of_another_worker_is_not_waited_for() -> None:
    inbox = an_inbox(1)

    a_minute_arrives(inbox, 1)

    values = inbox.history.series(NOW_S).values
    assert len(values) == sum(demand_partition(one, 2) == 1 for one in SETTINGS.modules)
    assert (values == 5.0).all()


def test_the_slowest_demand_partition_says_how_far_an_input_has_come() -> None:
    inbox = an_inbox(0, 1)
    inbox.on_progress(Progress(0, T0 + 60, False, 1), 0)
    inbox.on_progress(Progress(0, T0 + 20, False, 1), 1)

    assert inbox.watermark_s == T0 + 20
