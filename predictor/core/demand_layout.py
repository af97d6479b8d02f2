"""Where a cell of demand lies in the arrays of the history, and which series it adds to.

`predictor/core/history.py` makes one from the configured modules and regions. Nothing else ever
becomes a row, so the arrays stay as large as the configuration is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.series import ALL_REGIONS, FloatArray, SeriesKey


@dataclass(frozen=True, slots=True)
class DemandLayout:
    """Demand has shape (modules, regions, 2), unpinned first, then pinned."""

    keys: tuple[SeriesKey, ...]
    module_rows: dict[str, int]
    region_rows: dict[str, int]
    routed: NDArray[np.intp]
    local: NDArray[np.intp]
    series_rows: dict[tuple[str, str, bool], int]
    """The series that a cell (module, region, pinned) adds to."""

    @classmethod
    def of(cls, modules: Sequence[str], regions: Sequence[str], routed: set[str]) -> DemandLayout:
        """Raises `ValueError` where a name is there twice or a routed one is no module."""
        if len(set(modules)) != len(modules) or len(set(regions)) != len(regions):
            raise ValueError("a module or region is named twice")
        if not routed <= set(modules):
            raise ValueError(f"routed but not a module: {', '.join(sorted(routed - set(modules)))}")
        local = [m for m in modules if m not in routed]
        spread = [m for m in modules if m in routed]
        keys = [SeriesKey(module, region) for module in local + spread for region in regions]
        keys += [SeriesKey(module, ALL_REGIONS) for module in spread]
        rows = {module: row for row, module in enumerate(modules)}
        place = {key: row for row, key in enumerate(keys)}
        return cls(
            keys=tuple(keys),
            module_rows=rows,
            region_rows={region: row for row, region in enumerate(regions)},
            routed=np.array([rows[m] for m in spread], dtype=np.intp),
            local=np.array([rows[m] for m in local], dtype=np.intp),
            series_rows={
                (module, region, pinned): place[
                    SeriesKey(module, ALL_REGIONS if module in routed and not pinned else region)
                ]
                for module in modules
                for region in regions
                for pinned in (False, True)
            },
        )

    def empty(self) -> FloatArray:
        """No demand anywhere."""
        return np.zeros((len(self.module_rows), len(self.region_rows), 2))

    def empty_regions(self) -> FloatArray:
        """No demand of one module."""
        return np.zeros((len(self.region_rows), 2))

    def rows(self, demand: FloatArray) -> FloatArray:
        """Demand of shape (…, modules, regions, 2) → (…, series keys)."""
        lead = demand.shape[:-3]
        return np.concatenate(
            (
                demand[..., self.local, :, :].sum(axis=-1).reshape(*lead, -1),
                demand[..., self.routed, :, :][..., 1].reshape(*lead, -1),
                demand[..., self.routed, :, :][..., 0].sum(axis=-1),
            ),
            axis=-1,
        )
