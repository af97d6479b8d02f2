"""Says for each series which method has earned its place: by losses, not by hope.

`models/standing.py` calls it with the losses of each origin whose outcome became known. It goes
down a rung as soon as another method was clearly better, and up again only after a long stretch in
which the higher one would have been at least as good. It must never judge by forecasts whose
outcome is unknown, nor one method on other outcomes than the next.

Losses are gathered in blocks that are longer than a window, because forecasts minutes apart share
most of their outcome; blocks count as independent (batch means: Conway, "Some tactical problems in
digital simulation", Management Science 10, 1963). All sums forget exponentially.
"""

from __future__ import annotations

import dataclasses
import enum
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from models.row_state import RowState
from models.series import FloatArray
from models.step_windows import IntArray

METHODS = 3
"""The rungs that have losses: all but `Rung.NONE`."""
PAIRS = ((0, 1), (0, 2), (1, 2))
"""Which two methods are compared, by number: the higher rung, then the lower."""
BLOCK_WINDOWS = 3
"""A block of so many windows: neighbours then share a tenth of what they vary by."""


class Rung(enum.IntEnum):
    """Which forecast a series is scaled by, the best first."""

    ENSEMBLE = 0
    LAST_VALUE = 1
    """The last value: what a reactive autoscaler knows, so the HPA alone would do as well."""
    SEASONAL_NAIVE = 2
    NONE = 3
    """No forecast: the HPA alone."""


LABELS = ("ensemble", "last value", "seasonal naive")


@dataclass(frozen=True, slots=True)
class SkillRules:
    """When a method goes and when it comes back.

    `demote_above`: its loss over another's, so much and no less, and worse by `margin` standard
    errors: three, because there is a look every block, and few blocks have wide tails.
    `promote_below`: its loss over that of the method in force, for `promote_after_s` without a
    block of another opinion. `blocks_min`: fewer prove nothing. `block_s`: the shortest block.
    `memory_s`: the time after which a block counts 1/e, or `memory_blocks` where that is longer.
    Chosen among nine settings on the development traces: an insurance for the few series on which
    the mix fails.
    """

    demote_above: float = 1.05
    promote_below: float = 1.0
    promote_after_s: float = 3600.0
    blocks_min: float = 6.0
    block_s: float = 1800.0
    memory_s: float = 21_600.0
    memory_blocks: float = 4.0
    margin: float = 3.0

    def __post_init__(self) -> None:
        for field in fields(self):
            if not getattr(self, field.name) > 0:
                raise ValueError(f"{field.name} is {getattr(self, field.name)}, must be above 0")
        if self.promote_below > self.demote_above:
            raise ValueError(
                f"promote_below {self.promote_below} is above demote_above {self.demote_above}: "
                "a method would come back as soon as it is gone"
            )


RULES = SkillRules()


@dataclass(frozen=True, slots=True)
class Skill(RowState):
    """The rung in force of each row, `rung` (n,), and the losses that it was judged by.

    Of each of `PAIRS`, shape (n, pairs), over blocks in which both methods have losses: `higher`
    and `lower`, the weighted sums of their mean losses, and `weight`, that of the weights; with
    squared weights `squares`, `apart` and `apart_squares`, the sums of 1, of the difference and of
    its square. `outcomes` counts outcomes and never forgets. The block under way: `block_higher`,
    `block_lower` and `block_count` (n, pairs), lasting for `block_s` (n,). `good_s` (n, methods):
    for how long each method was no worse than the one in force. `rung_before` (n,): what was in
    force before the last change, which is `changed_s` (n,) ago.
    """

    rung: IntArray
    rung_before: IntArray
    changed_s: FloatArray
    higher: FloatArray
    lower: FloatArray
    weight: FloatArray
    squares: FloatArray
    apart: FloatArray
    apart_squares: FloatArray
    outcomes: FloatArray
    block_higher: FloatArray
    block_lower: FloatArray
    block_count: FloatArray
    block_s: FloatArray
    good_s: FloatArray

    @property
    def ratio(self) -> FloatArray:
        """The loss of the ensemble over that of each method, (n, methods); NaN where unknown."""
        ratio = _over(self.higher[:, :2], self.lower[:, :2])
        same = np.ones((len(self.rung), 1))
        return np.concatenate([same, np.where(self.weight[:, :2] > 0, ratio, np.nan)], axis=1)


def new_skill(rows: int) -> Skill:
    """Nothing known yet: everybody begins at the top."""
    pairs = (rows, len(PAIRS))
    return Skill(
        rung=np.zeros(rows, np.int64),
        rung_before=np.zeros(rows, np.int64),
        changed_s=np.zeros(rows),
        higher=np.zeros(pairs),
        lower=np.zeros(pairs),
        weight=np.zeros(pairs),
        squares=np.zeros(pairs),
        apart=np.zeros(pairs),
        apart_squares=np.zeros(pairs),
        outcomes=np.zeros(pairs),
        block_higher=np.zeros(pairs),
        block_lower=np.zeros(pairs),
        block_count=np.zeros(pairs),
        block_s=np.zeros(rows),
        good_s=np.zeros((rows, METHODS)),
    )


def pinball_losses(
    outcome: FloatArray, quantiles: FloatArray, levels: tuple[float, ...]
) -> FloatArray:
    """The loss of each forecast, averaged over levels, (n, o); NaN where a number is unknown.

    `outcome` (n, o), `quantiles` (n, o, levels). Koenker and Bassett, "Regression Quantiles", 1978.
    """
    over = outcome[:, :, None] - quantiles
    level = np.asarray(levels)
    return np.asarray(np.maximum(level * over, (level - 1.0) * over).mean(axis=2))


def judge(
    skill: Skill,
    losses: FloatArray,
    elapsed_s: float,
    hold_s: float = 0.0,
    rules: SkillRules = RULES,
) -> Skill:
    """Take in the losses (n, methods) of one origin, NaN where unknown; who is in force then.

    `elapsed_s` is the time since the origin before, `hold_s` the length of a window. Where a block
    is full the rows are judged anew. Raises `ValueError` for losses of another shape.
    """
    if losses.shape != (len(skill.rung), METHODS):
        raise ValueError(
            f"losses of shape {losses.shape} for {len(skill.rung)} rows of {METHODS} methods"
        )
    first, second = (losses[:, list(side)] for side in zip(*PAIRS, strict=True))
    known = np.isfinite(first) & np.isfinite(second)
    counted = dataclasses.replace(
        skill,
        changed_s=skill.changed_s + elapsed_s,
        outcomes=skill.outcomes + known,
        block_higher=skill.block_higher + np.where(known, first, 0.0),
        block_lower=skill.block_lower + np.where(known, second, 0.0),
        block_count=skill.block_count + known,
        block_s=skill.block_s + elapsed_s * known.any(axis=1),
    )
    full = np.flatnonzero(counted.block_s >= max(rules.block_s, BLOCK_WINDOWS * hold_s))
    if not len(full):
        return counted
    under_way = counted.rows(full)
    return counted.with_rows(full, _judged(_closed(under_way, rules), under_way, rules))


def sentence_of(skill: Skill, row: int, rules: SkillRules = RULES) -> str:
    """Why a row stands where it stands; nothing where it never left the top."""
    before, rung = (Rung(int(one[row])) for one in (skill.rung_before, skill.rung))
    if before == rung:
        return ""
    if rung < before:
        return (
            f"back at {LABELS[rung]}: loss at most {rules.promote_below:.2f} x {LABELS[before]} "
            f"for {rules.promote_after_s / 3600:g} h"
        )
    return (
        f"demoted: loss {skill.ratio[row, rung]:.2f} x {LABELS[rung]} over "
        f"{skill.outcomes[row, rung - 1]:.0f} windows, at most {rules.promote_below:.2f} is needed "
        f"for {rules.promote_after_s / 3600:g} h to return"
    )


def _closed(skill: Skill, rules: SkillRules) -> Skill:
    """The block under way taken into the sums, a new one begun."""
    known = skill.block_count > 0
    count = np.maximum(skill.block_count, 1.0)
    first, second = skill.block_higher / count, skill.block_lower / count
    memory_s = np.maximum(rules.memory_s, rules.memory_blocks * skill.block_s)
    keep = np.where(known, np.exp(-skill.block_s / memory_s)[:, None], 1.0)
    nothing = np.zeros_like(skill.block_count)
    return dataclasses.replace(
        skill,
        higher=keep * skill.higher + first,
        lower=keep * skill.lower + second,
        weight=keep * skill.weight + known,
        squares=keep**2 * skill.squares + known,
        apart=keep**2 * skill.apart + first - second,
        apart_squares=keep**2 * skill.apart_squares + (first - second) ** 2,
        block_higher=nothing,
        block_lower=nothing,
        block_count=nothing,
        good_s=skill.good_s + skill.block_s[:, None],
        block_s=np.zeros_like(skill.block_s),
    )


def _judged(skill: Skill, block: Skill, rules: SkillRules) -> Skill:
    """The rungs after a block, `block` is as it was before it was closed; a change begins all
    stretches anew."""
    good_s = np.where(_no_worse(block, rules), skill.good_s, 0.0)
    rung = _demoted(skill, _promoted(skill.rung, good_s, rules), rules)
    changed = rung != skill.rung
    return dataclasses.replace(
        skill,
        rung=rung,
        rung_before=np.where(changed, skill.rung, skill.rung_before),
        changed_s=np.where(changed, 0.0, skill.changed_s),
        good_s=np.where(changed[:, None], 0.0, good_s),
    )


def _no_worse(skill: Skill, rules: SkillRules) -> NDArray[np.bool_]:
    """Which methods above the one in force lost no more than it did in this block, shape (n,
    methods). The sums would still be those of the time before demand became another."""
    good = np.zeros_like(skill.good_s, dtype=np.bool_)
    for pair, (higher, lower) in enumerate(PAIRS):
        held = (skill.rung == lower) & (skill.block_count[:, pair] > 0)
        low = skill.block_higher[:, pair] <= rules.promote_below * skill.block_lower[:, pair]
        good[:, higher] |= held & low
    return good


def _promoted(rung: IntArray, good_s: FloatArray, rules: SkillRules) -> IntArray:
    """Up to the highest method that was no worse for long enough."""
    up = rung
    for higher in reversed(range(METHODS)):
        up = np.where((higher < rung) & (good_s[:, higher] >= rules.promote_after_s), higher, up)
    return up


def _demoted(skill: Skill, rung: IntArray, rules: SkillRules) -> IntArray:
    """Down to a method below that was clearly better: of two, to the better one."""
    worse = _clearly_worse(skill, rules)
    down = rung
    for pair, (higher, lower) in enumerate(PAIRS):
        down = np.where((rung == higher) & worse[:, pair], lower, down)
    # Both may be better than the ensemble: the last value stays, unless it lost the more.
    both = (rung == 0) & worse[:, 0] & worse[:, 1]
    return np.where(both & (skill.higher[:, 2] <= skill.lower[:, 2]), int(Rung.LAST_VALUE), down)


def _clearly_worse(skill: Skill, rules: SkillRules) -> NDArray[np.bool_]:
    """Whether the higher of a pair is clearly worse, shape (n, pairs).

    Diebold and Mariano, "Comparing predictive accuracy", JBES 13, 1995: the mean difference of
    losses over its standard error, times the factor for few outcomes of Harvey, Leybourne and
    Newbold ("Testing the equality of prediction mean squared errors", IJF 13, 1997).
    """
    weight, squares = (np.maximum(one, 1e-300) for one in (skill.weight, skill.squares))
    mean = (skill.higher - skill.lower) / weight
    moved = skill.apart_squares - 2.0 * mean * skill.apart + mean**2 * squares
    error = np.sqrt(np.maximum(moved, 0.0)) / weight
    blocks = skill.weight**2 / squares
    small = np.sqrt(np.maximum(blocks - 1.0, 0.0) / np.maximum(blocks, 1.0))
    clear = (mean > 0) & (mean * small > rules.margin * error) & (blocks >= rules.blocks_min)
    return np.asarray(clear & (_over(skill.higher, skill.lower) > rules.demote_above))


def _over(loss: FloatArray, other: FloatArray) -> FloatArray:
    """A loss over another's: 1 where both are zero, infinite where only the other is."""
    nothing = np.where(loss > 0, np.inf, 1.0)
    return np.asarray(np.where(other > 0, loss / np.where(other > 0, other, 1.0), nothing))
