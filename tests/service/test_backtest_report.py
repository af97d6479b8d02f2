"""The page of a backtest in a real browser: it opens from a file, alone, and can be zoomed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By

from models.series import SeriesKey
from predictor.backtest import Judged
from predictor.backtest_drawings import BAD, GOOD, coverage_plot, hour_heat_map
from predictor.backtest_report import render
from predictor.backtest_verdict import verdict
from tests.service.backtest_builders import DAY_STEPS, T0, a_series, daily_load, judged
from tests.service.test_report_page import browser

__all__ = ["browser"]

MADE_AT = datetime(2026, 1, 2, tzinfo=UTC)
INKED = (
    "const c = arguments[0], d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
    "let n = 0; for (let i = 3; i < d.length; i += 4) n += d[i] > 0; return n;"
)


def a_backtest(name: str = "core") -> list[Judged]:
    load = daily_load(21)
    load[19 * DAY_STEPS + 144 : 19 * DAY_STEPS + 150] *= 5
    return [judged(a_series(load, name)), judged(a_series(load, name))]


def page(found: list[Judged], command: str = "mplp-predictor backtest --csv load.csv") -> str:
    return render(found, command, ["load.csv: 3 rows set aside"], MADE_AT)


@pytest.fixture
def shown(browser: webdriver.Chrome, tmp_path: Path) -> webdriver.Chrome:
    path = tmp_path / "backtest.html"
    path.write_text(page(a_backtest()), encoding="utf-8")
    browser.get(path.as_uri())
    return browser


def test_the_verdict_comes_first_and_the_table_holds_every_case(shown: webdriver.Chrome) -> None:
    assert shown.find_element(By.CSS_SELECTOR, "h1 ~ .verdict").text == verdict(a_backtest())
    assert len(shown.find_elements(By.CSS_SELECTOR, "#scores tbody tr")) == 2


def test_charts_are_drawn_without_any_script_error_or_request(shown: webdriver.Chrome) -> None:
    canvas = shown.find_element(By.CSS_SELECTOR, ".case:not([hidden]) canvas")

    assert shown.execute_script(INKED, canvas) > 5_000
    log = shown.get_log("browser")  # type: ignore[no-untyped-call]
    assert [entry for entry in log if entry["level"] == "SEVERE"] == []
    fetched = "return performance.getEntriesByType('resource').map(entry => entry.name)"
    assert shown.execute_script(fetched) == []


def test_a_worst_day_is_told_in_words_and_zoomed_to(shown: webdriver.Chrome) -> None:
    day = shown.find_element(By.CSS_SELECTOR, ".case:not([hidden]) .days li")
    chart = "return plots.get(1).scales.x.max - plots.get(1).scales.x.min"
    shown.find_element(By.CSS_SELECTOR, ".case:not([hidden]) .all").click()
    whole_s = shown.execute_script(chart)

    day.find_element(By.TAG_NAME, "button").click()

    assert "demand rose" in day.text
    assert shown.execute_script(chart) == 86_400 < whole_s


def test_another_target_is_one_click_away(shown: webdriver.Chrome) -> None:
    shown.find_element(By.CSS_SELECTOR, ".targets button").click()

    assert shown.find_element(By.ID, "case-0").is_displayed()
    assert not shown.find_element(By.ID, "case-1").is_displayed()
    assert shown.find_elements(By.CSS_SELECTOR, "#case-0 canvas")


def test_a_name_from_outside_cannot_run_as_script(
    browser: webdriver.Chrome, tmp_path: Path
) -> None:
    evil = "</script><script>window.broken = true</script><img src=x onerror='window.broken=true'>"
    path = tmp_path / "evil.html"
    path.write_text(page(a_backtest(evil), command=evil), encoding="utf-8")

    browser.get(path.as_uri())

    assert browser.execute_script("return window.broken") is None
    assert evil in browser.find_element(By.TAG_NAME, "h2").text


def test_the_same_backtest_gives_the_same_page() -> None:
    assert page(a_backtest()) == page(a_backtest())


def test_no_line_of_the_page_crosses_a_long_gap() -> None:
    found = a_backtest()[0]
    kept = np.r_[0:200, 900:1500]
    result = found.result
    cut = replace(
        result,
        **{
            name: getattr(result, name)[kept]
            for name in ("origin_s", "outcome", "quantiles", "seasonal_naive", "last_value")
        },
    )

    assert "null" in page([replace(found, result=cut)])
    assert "null" not in page([found]).split('id="chart-data">')[1].split("</script>")[0]


def test_days_are_told_of_even_where_none_lost_far_more_than_its_share() -> None:
    text = page([judged(a_series(daily_load(21)))])

    assert "No day lost far more than its share." in text
    assert text.count("<li data-codes=") == 3
    assert "No day lost far more than its share." not in page(a_backtest())


def test_a_series_that_cannot_be_judged_is_in_the_table_all_the_same() -> None:
    empty = judged(a_series(daily_load(4)), lambda one: replace(one, outcome=one.outcome * np.nan))

    text = page([replace(empty, series=replace(empty.series, keys=(SeriesKey("idle", "*"),)))])

    assert "Nothing could be scored: there was no moment to forecast from" in text
    assert "Nothing could be drawn" in text


def test_a_level_outside_the_band_is_drawn_as_one() -> None:
    assert f'fill="{GOOD}"' in coverage_plot([(0.9, 0.92)], 2000)
    assert f'fill="{BAD}"' in coverage_plot([(0.9, 0.86)], 2000)
    assert f'fill="{GOOD}"' in coverage_plot([(0.9, 0.86)], 8), "chance alone is more than that"


def test_the_heat_map_puts_a_loss_into_its_hour() -> None:
    monday_10 = T0 + 10 * 3600
    drawing = hour_heat_map(np.array([T0, monday_10]), np.array([1.0, 3.0]))

    assert "<title>Mon 10:00: 1.5 times the mean loss</title>" in drawing
    assert "<title>Tue 00:00: no origin</title>" in drawing
