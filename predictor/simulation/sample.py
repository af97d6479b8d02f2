"""The embedded load as a simulation: Core in three regions with the scaling guide's HPAs.

`predictor/simulation_options.py` takes it where no history is given, so that every command can be
tried at once. It must never stand in for a history that was asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from models.series import ALL_REGIONS, SeriesBatch, SeriesKey
from predictor.cluster_model.workload_spec import requests_hpa
from predictor.core.cluster import TargetKey
from predictor.sample_load import (
    BOUNDS,
    MINUTE_S,
    MODULE,
    PINNED_SHARE,
    REQUESTS_PER_RECORDED,
    SAMPLE_NAME,
    TARGET_PER_POD_PER_S,
    load_sample,
)
from predictor.settings import GUIDE_REGIONS
from predictor.simulation.load import DAY_S, Load, load_of
from predictor.simulation.manifests import Manifest

LEARN_S = 7 * DAY_S


def sample_simulation_load(learn_s: int | None = None) -> tuple[Load, str]:
    """The fourteen days as demand of Core, a fifth of it pinned, and what it is called."""
    sample = load_sample()
    counts = [np.nan if count is None else float(count) for count in sample.counts]
    rate = np.array(counts) * REQUESTS_PER_RECORDED / MINUTE_S
    weights = {name: region.weight for name, region in GUIDE_REGIONS.items()}
    keys = [SeriesKey(MODULE, ALL_REGIONS), *(SeriesKey(MODULE, name) for name in weights)]
    shares = [1 - PINNED_SHARE, *(PINNED_SHARE * weight / 100 for weight in weights.values())]
    values = np.array([rate * share for share in shares])
    batch = SeriesBatch(tuple(keys), sample.start_s, MINUTE_S, values)
    load = load_of(
        batch,
        region="us-east-1",
        routes={MODULE: weights},
        learn_s=learn_s or LEARN_S,
        source=SAMPLE_NAME,
    )
    return load, SAMPLE_NAME


def sample_manifests(load: Load) -> Mapping[TargetKey, Manifest | None]:
    """The guide's HPAs of Core, with the one metric that counts requests."""
    return {key: _manifest(*BOUNDS[key.region]) for key in load.targets}


def _manifest(replicas_min: int, replicas_max: int) -> Manifest:
    hpa = requests_hpa(replicas_min, replicas_max, TARGET_PER_POD_PER_S)
    return Manifest(
        path=Path("the MPLP scaling guide"),
        name=f"mplp-{MODULE}-hpa",
        namespace="",
        replicas_min=replicas_min,
        replicas_max=replicas_max,
        spec=hpa.spec,
        requests={},
    )
