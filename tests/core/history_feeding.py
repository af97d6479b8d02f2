"""Small worlds of demand records for the tests of the history."""

from __future__ import annotations

from models.series import SeriesKey
from predictor.core.history import History
from predictor.core.history_layers import HistoryLayers
from predictor.core.input_partitions import InputPartitions
from streams.demand import DemandPart, Progress
from tests.core.core_values import EU, US, a_part

T0 = 1_799_999_940  # on a minute


def a_history(
    routed: tuple[str, ...] = (),
    inputs: InputPartitions | None = None,
    length_s: int = 7200,
    layers: HistoryLayers | None = None,
) -> History:
    layers = layers or HistoryLayers(length_s=length_s)
    return History(["core", "role"], [US, EU], routed, layers=layers, inputs=inputs)


def fed(history: History, *records: DemandPart | Progress) -> History:
    for record in records:
        if isinstance(record, DemandPart):
            history.add(record)
        else:
            history.advance(record)
    return history


def a_minute(start_s: int, per_s: float, **where: object) -> list[DemandPart]:
    return [a_part(start_s + 10 * i, per_s * 10, **where) for i in range(6)]  # type: ignore[arg-type]


def row(history: History, now_s: float, module: str = "core", region: str = US) -> list[float]:
    batch = history.series(now_s)
    values: list[float] = batch.values[batch.keys.index(SeriesKey(module, region))].tolist()
    return values
