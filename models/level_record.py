"""What is known of each series' level: how many days were measured, its newest shift, its drift.

`models/ensemble.py` looks again while it learns, some rows at a time, because a level is judged by
blocks of half an hour; `models/ensemble_fit.py` looks at all rows. It must never be handed demand
of an outage: that is no level.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from models.level_shift import BLOCK_S, LevelShifts, find_level_shifts
from models.profile import DAY_S, Profile
from models.row_state import RowState
from models.series import FloatArray, SeriesBatch
from models.step_windows import IntArray

LOOK_S = 10 * DAY_S
"""Three days of habits before a shift that is told for three days, and the days of a drift."""
DAYS_LOOKED = 3
"""Where so many of the newest days are measured, no more is asked for."""
AT_ONCE_MIN = 400
ROUNDS = 12
"""Learning comes every five minutes: of very many rows each has its turn within an hour."""
ROWS_TOGETHER = 500
"""Bounds memory: ten days of minutes of so many rows are 60 MB."""


@dataclass(frozen=True, slots=True)
class LevelRecord(RowState):
    """Of each row, shape (n,): `days` measured of the newest three; the instant `shift_s` of the
    newest shift, epoch seconds, 0 for none, its `factor` and the `drift_per_day` (`LevelShifts`);
    `forgotten_s`, the shift for which the past was forgotten; `looked_s`, when it was looked at.
    """

    days: FloatArray
    shift_s: FloatArray
    factor: FloatArray
    drift_per_day: FloatArray
    forgotten_s: FloatArray
    looked_s: FloatArray

    def shifts_at(self, now_s: float) -> LevelShifts:
        """The shifts as they look at an instant."""
        known = self.shift_s > 0
        return LevelShifts(
            known.astype(np.int64),
            np.where(known, now_s - self.shift_s, np.nan),
            self.factor,
            self.drift_per_day,
        )


def new_level_record(rows: int) -> LevelRecord:
    """Nothing was looked at, so nothing is known against it."""
    return LevelRecord(
        days=np.full(rows, float(DAYS_LOOKED)),
        shift_s=np.zeros(rows),
        factor=np.ones(rows),
        drift_per_day=np.zeros(rows),
        forgotten_s=np.zeros(rows),
        looked_s=np.zeros(rows),
    )


def looked(record: LevelRecord, batch: SeriesBatch, profile: Profile) -> LevelRecord:
    """With a new look at the rows that are due; rows as in the batch and the profile."""
    due = np.flatnonzero(batch.end_s - record.looked_s >= BLOCK_S)
    at_once = max(AT_ONCE_MIN, -(-len(record.days) // ROUNDS))
    due = np.sort(due[np.argsort(record.looked_s[due], kind="stable")[:at_once]])
    for begin in range(0, len(due), ROWS_TOGETHER):
        rows = due[begin : begin + ROWS_TOGETHER]
        part = _look(batch, profile, rows)
        part = dataclasses.replace(part, forgotten_s=record.forgotten_s[rows])
        record = record.with_rows(rows, part)
    return record


def _look(batch: SeriesBatch, profile: Profile, rows: IntArray) -> LevelRecord:
    steps = min(LOOK_S // batch.step_s, batch.values.shape[1])
    start_s = batch.end_s - steps * batch.step_s
    demand = batch.values[:, batch.values.shape[1] - steps :][rows].astype(np.float64)
    shifts = find_level_shifts(demand, profile.at(rows, start_s, batch.step_s, steps), batch.step_s)
    newest = demand[:, -(DAYS_LOOKED * DAY_S // batch.step_s) :]
    return LevelRecord(
        days=np.isfinite(newest).sum(axis=1) * batch.step_s / DAY_S,
        shift_s=np.where(shifts.since > 0, start_s + shifts.since * float(batch.step_s), 0.0),
        factor=shifts.factor,
        drift_per_day=shifts.drift_per_day,
        forgotten_s=np.zeros(len(rows)),
        looked_s=np.full(len(rows), float(batch.end_s)),
    )
