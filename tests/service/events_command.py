"""Calls `mplp-predictor events …` as a person would, and small plans of a load."""

from __future__ import annotations

from typing import Any

from typer.testing import CliRunner, Result

from predictor.cli import app
from predictor.events.load_plan import LoadPlan, RegionPlan
from predictor.settings import GUIDE_REPLICAS_MIN

START_S = 1_764_028_800
"""A Tuesday, 2025-11-25, midnight in UTC."""
REGIONS = (
    RegionPlan(name="us-east-1", weight=50, utc_offset_h=-5),
    RegionPlan(name="eu-west-1", weight=30, utc_offset_h=0),
    RegionPlan(name="ap-southeast-1", weight=20, utc_offset_h=8),
)
BROKER = "MPLP_PREDICTOR__KAFKA__BOOTSTRAP_SERVERS"


def events(*arguments: object, broker: str | None = None) -> Result:
    environment = {"NO_COLOR": "1", "COLUMNS": "120"}
    if broker is not None:
        environment[BROKER] = broker
    return CliRunner().invoke(app, ["events", *map(str, arguments)], env=environment)


def a_plan(**changes: Any) -> LoadPlan:
    """Ten minutes of a quiet load, nothing happening to it."""
    quiet = {"bursts_per_day": 0.0, "outages_per_day": 0.0, "deploys_per_day": 0.0}
    usual = {
        "seed": 7, "start_s": START_S, "duration_s": 600, "rate_per_s": 50.0,
        "modules": tuple(GUIDE_REPLICAS_MIN), "regions": REGIONS,
    }  # fmt: skip
    return LoadPlan(**{**usual, **quiet, **changes})
