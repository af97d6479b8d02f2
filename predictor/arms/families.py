"""All peers by name, in the order of the tables; `simulate --arms` takes these names."""

from __future__ import annotations

from predictor.arms.ahpa import AHPA
from predictor.arms.arm import ArmFamily
from predictor.arms.crane_dsp import CRANE_DSP, CRANE_DSP_WHOLE
from predictor.arms.foresight import FORESIGHT
from predictor.arms.kapacity import KAPACITY
from predictor.arms.keda_cron import KEDA_CRON
from predictor.arms.last_week import LAST_WEEK
from predictor.arms.phpa import PHPA
from predictor.arms.phpa_meant import PHPA_MEANT

FAMILIES: dict[str, ArmFamily] = {
    family.name: family
    for family in (
        KEDA_CRON,
        LAST_WEEK,
        PHPA,
        PHPA_MEANT,
        CRANE_DSP,
        CRANE_DSP_WHOLE,
        KAPACITY,
        AHPA,
        FORESIGHT,
    )
}
