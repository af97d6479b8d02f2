"""The page of metrics is what a scrape gives."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric

from predictor.actuators.gate_state import GateState, GuardState, LeaseState
from predictor.core.cluster import TargetKey
from predictor.core.decision import Decision, FloorDecision, WeightDecision
from predictor.core.reasons import Code
from predictor.telemetry import PredictorCollector, Snapshot
from streams.event_types import RejectReason
from streams.windows import Verdict
from tests.docs.pages import REFERENCE, code, rows, text_of

TEXT = text_of(REFERENCE / "metrics.md")
SUFFIX = {"counter": "_total", "info": "_info", "gauge": ""}
FLOOR = FloorDecision(
    key=TargetKey("core", "eu-west-1"),
    floor_now=3,
    floor_wanted=5,
    floor=4,
    floor_shadow=4,
    demand_per_s=410.0,
    forecast_peak_per_s=480.0,
    quantile=0.9,
    lead_time_s=90.0,
    lead_time_source="measured",
    hold_s=600.0,
    rate_per_pod_per_s=100.0,
    rate_source="configured",
    ready_replicas=3,
    baseline_replicas=2,
    max_replicas=20,
    reasons=(),
)
WEIGHT = WeightDecision("core", ("eu-west-1",), (100,), (100,), (100,), (100,), ())


def scraped() -> list[Metric]:
    """All families of a worker that has decided, read, written and heard the time."""
    snapshot = Snapshot(decision=Decision(1, 0.0, (FLOOR,), (WEIGHT,)), watermark_s=1.0)
    snapshot.events.update(("counted", "parts"))
    snapshot.decisions["Applied", "applied"] += 1
    snapshot.writes["renewal", "applied"] += 1
    snapshot.held_back = frozenset({(FLOOR.key, Code.CONFLICT)})
    snapshot.floors_until_s = {FLOOR.key: 900.0}
    snapshot.cluster_silent_s = 1.0
    snapshot.gate = GateState(
        clock_ahead_s=0.5,
        guards=(GuardState("eu", "HPA", is_proven=True),),
        leases=(LeaseState(0, 7),),
    )
    registry = CollectorRegistry()
    registry.register(PredictorCollector(lambda: snapshot))
    return list(registry.collect())


def test_every_series_has_a_row_with_its_type_and_labels() -> None:
    shown = {
        code(cells[0])[0]: (cells[1], frozenset(code(cells[2]))) for cells in rows(TEXT, "series")
    }

    given = {
        family.name + SUFFIX[family.type]: (
            family.type.replace("info", "gauge"),
            frozenset(name for sample in family.samples for name in sample.labels),
        )
        for family in scraped()
    }
    assert shown == given


@pytest.mark.parametrize("kind", ["wanted", "decided", "now", "baseline"])
def test_kinds_of_floor_are_those_of_the_page(kind: str) -> None:
    (family,) = [one for one in scraped() if one.name.endswith("floor_replicas")]
    (row,) = [cells for cells in rows(TEXT, "series") if "floor_replicas" in cells[0]]

    assert kind in {sample.labels["kind"] for sample in family.samples}
    assert kind in code(row[3])


def test_every_verdict_is_an_outcome_of_the_page() -> None:
    shown = {name for cells in rows(TEXT, "outcome") for name in code(cells[0])}

    assert set(Verdict) <= shown
    assert not shown & set(RejectReason), "reject reasons stand on the page of events"
