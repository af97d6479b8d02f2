"""Every alert asks for series that a worker shows, and has its section for the night."""

from __future__ import annotations

import re

import pytest

from predictor.core.reasons import Code
from predictor.held_back import HELD_BACK
from tests.deploy.kustomized import DEPLOY, kustomized
from tests.docs.pages import REFERENCE, code, rows, text_of

(RULES,) = [one for one in kustomized(DEPLOY / "monitoring") if one["kind"] == "PrometheusRule"]
ALERTS = {one["alert"]: one for group in RULES["spec"]["groups"] for one in group["rules"]}
GUIDE = text_of(DEPLOY.parent / "docs" / "guide" / "alerts.md")
SERIES = {
    code(cells[0])[0]: set(code(cells[2]))
    for cells in rows(text_of(REFERENCE / "metrics.md"), "series")
}
SELECTED = re.compile(r"(mplp_predictor_\w+)(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)=~?"([^"]*)"')


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_asks_for_series_and_labels_that_are_shown(alert: str) -> None:
    for series, matchers in SELECTED.findall(ALERTS[alert]["expr"]):
        assert series in SERIES
        assert {label for label, _ in MATCHER.findall(matchers)} <= SERIES[series]


def test_every_reason_that_somebody_must_mend_has_an_alert() -> None:
    asked = {
        name
        for one in ALERTS.values()
        for _, matchers in SELECTED.findall(one["expr"])
        for label, value in MATCHER.findall(matchers)
        if label == "reason"
        for name in value.split("|")
    }

    # What the owner chose is no trouble.
    chosen = {Code.PAUSED, Code.NOT_OPTED_IN, Code.SWITCHED_OFF}
    # A read that is behind for long is told by the expiry.
    assert {Code(name) for name in asked} == HELD_BACK - chosen - {Code.STALE_READ}


def test_every_alert_has_its_section() -> None:
    sections = re.findall(r"^## (\w+)$", GUIDE, re.MULTILINE)

    assert sections == list(ALERTS)
    for name, rule in ALERTS.items():
        assert rule["annotations"]["runbook"] == f"docs/guide/alerts.md#{name.lower()}"
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
