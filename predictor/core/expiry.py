"""How long a floor is good for, and when that has to be written anew.

`predictor/core/fleet_floors.py` asks after guardrails and budgets. A floor above the baseline runs
out by itself (`state.predictor.mplp.io/until`), so that nothing stays up that nobody wants any
more: it is renewed while it is wanted, when less than half of its time is left, or more than there
should ever be. At the baseline nothing can run out, and what was written of it is dropped, as a
rule with the release itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.series import FloatArray
from predictor.core.guardrails import BoolArray, IntArray
from predictor.core.reasons import Code, Reason

RENEW_AT_SHARE = 0.5
"""Of the time a floor is good for: at least one renewal may fail before it runs out."""
CLOCKS_APART_MAX_S = 60.0
"""Two workers' clocks may lie this far apart: each is within 30 s of the API server's, or writes
nothing. Who dies with an expiry farther ahead than that would leave a floor that nobody takes."""
URGENT_SHARE = 0.25
"""Of the same time: a renewal that late goes before the raises of others."""


@dataclass(frozen=True, slots=True)
class Expiry:
    """What is written beside a floor, and which writes are about nothing else; shape (n,).

    `until_s` is NaN where the floor is the owner's own again. `renews` and `drops` are rows whose
    floor stays: the first move `until` on, the second take it away.
    """

    until_s: FloatArray
    renews: BoolArray
    drops: BoolArray

    @property
    def writes(self) -> BoolArray:
        """Rows that are written although their floor stays."""
        return self.renews | self.drops


def expiry(
    allowed: IntArray,
    *,
    floor_now: IntArray,
    baseline: IntArray,
    kept_until_s: FloatArray,
    is_ours: BoolArray,
    wanted: BoolArray,
    expiry_s: float,
    now_s: float,
) -> Expiry:
    """What to write beside floors that are to stand at `allowed`.

    `is_ours` are rows whose field holds our value and may be written, `wanted` those of them whose
    floor is to be kept up (a paused one is not, nor one that nothing can size). `kept_until_s` is
    what stands on the object, NaN where nothing does.
    """
    above = allowed > baseline
    stays = is_ours & (allowed == floor_now)
    left_s = kept_until_s - now_s
    is_good = (left_s >= RENEW_AT_SHARE * expiry_s) & (left_s <= expiry_s + CLOCKS_APART_MAX_S)
    return Expiry(
        until_s=np.where(above, now_s + expiry_s, np.nan),
        renews=stays & above & wanted & ~is_good,
        drops=stays & ~above & np.isfinite(kept_until_s),
    )


def renewal_reason(made: Expiry, row: int, floor: int, left_s: float, expiry_s: float) -> Reason:
    """Why a row is written although its floor stays."""
    if made.drops[row]:
        return Reason(
            Code.HANDED_BACK, f"the floor of {floor} is the baseline; nothing of ours runs out"
        )
    left = f"{left_s:.0f} s were left" if np.isfinite(left_s) else "nothing said until when"
    return Reason(
        Code.RENEWED, f"the floor of {floor} stays, good for another {expiry_s:.0f} s; {left}"
    )
