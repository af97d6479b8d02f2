"""Every alert asks for series that a worker shows, and has its section for the night."""

from __future__ import annotations

import re

import pytest

from predictor.actuators.server_clock import CLOCK_SKEW_MAX_S
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
BY_SERIES = {
    Code.SWITCHED_OFF: "switched_off",
    Code.NOT_GUARDED: "guard_proven",
    Code.CLOCK_SKEW: "clock_ahead_seconds",
    Code.STALE_READ: "floor_until_timestamp_seconds",
}
"""Reasons of a whole worker or namespace, told once and not for each target."""
COMMAND = re.compile(r"mplp-predictor (?:events |models )?[a-z]+|(?<= )--[a-z-]+")
MATCHER = re.compile(r'(\w+)=~?"([^"]*)"')


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_asks_for_series_and_labels_that_are_shown(alert: str) -> None:
    for series, matchers in SELECTED.findall(ALERTS[alert]["expr"]):
        assert series in SERIES
        assert {label for label, _ in MATCHER.findall(matchers)} <= SERIES[series]


def test_no_label_is_one_that_prometheus_gives_to_what_it_scrapes() -> None:
    of_target = {"namespace", "pod", "container", "endpoint", "instance", "job", "service", "node"}

    assert not {label for labels in SERIES.values() for label in labels} & of_target


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
    chosen = {Code.PAUSED, Code.NOT_OPTED_IN}
    assert {Code(name) for name in asked} == HELD_BACK - chosen - set(BY_SERIES)
    asked_for = {name for one in ALERTS.values() for name, _ in SELECTED.findall(one["expr"])}
    assert {f"mplp_predictor_{series}" for series in BY_SERIES.values()} <= asked_for


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_names_a_command_that_there_is(alert: str) -> None:
    said = ALERTS[alert]["annotations"]["description"]

    assert re.match(r"Run: (kubectl|mplp-predictor) ", said)
    if said.startswith("Run: mplp-predictor"):
        page = text_of(REFERENCE / "cli.md")
        assert [one for one in COMMAND.findall(said) if one not in page] == []


def test_clocks_are_told_apart_where_nothing_is_written_by_them() -> None:
    assert ALERTS["MplpPredictorClockSkew"]["expr"].endswith(f"> {CLOCK_SKEW_MAX_S:g}")


def test_every_alert_has_its_section() -> None:
    sections = re.findall(r"^## (\w+)$", GUIDE, re.MULTILINE)

    assert sections == list(ALERTS)
    for name, rule in ALERTS.items():
        assert rule["annotations"]["runbook"] == f"docs/guide/alerts.md#{name.lower()}"
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
