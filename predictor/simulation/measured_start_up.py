"""Lead times as a service measured them, read from its audit records.

`predictor/simulation_options.py` asks for them where `--start-up` names a file. It must never make
a time up: a file without any is refused.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

from predictor.core.audit import RecordRefused, decode_record

GZIP_MAGIC = b"\x1f\x8b"


def measured_lead_times_s(path: Path) -> tuple[float, ...]:
    """The lead times that the newest readable record remembers, of all targets together.

    Those of our own raises, and where there is none, those of the HPA's scale-ups.
    Raises `ValueError` where there are none, and `OSError`.
    """
    with path.open("rb") as start:
        packed = start.read(2) == GZIP_MAGIC
    newest = None
    with gzip.open(path, "rb") if packed else path.open("rb") as lines:
        for line in lines:
            newest = line
    if newest is None:
        raise ValueError(f"{path} holds no audit record")
    try:
        targets = decode_record(newest).state.targets
    except RecordRefused as error:
        raise ValueError(f"{path}: {error}") from error
    rings = (targets.lead_samples_s, targets.scale_up_samples_s)
    known = next((kept for ring in rings if (kept := ring[np.isfinite(ring)]).size), None)
    if known is None:
        raise ValueError(f"{path}: no lead time had been measured by its newest record")
    return tuple(float(one) for one in known)
