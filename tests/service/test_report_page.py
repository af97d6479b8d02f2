"""The report page in a real browser: it opens from a file, alone, and shows what it was given."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from predictor.web.report import ArmRow, Chart, Explained, Line, Report, render_report


def a_report(title: str = "a title") -> Report:
    times = list(range(1_000_000_000, 1_000_000_000 + 600, 60))
    demand = Line("demand", "#333333", [float(i) for i in range(10)])
    gap = Line("floor", "#aa0000", [5.0, None, *[6.0] * 8], dash=(6, 4))
    return Report(
        title=title,
        subtitle="a subtitle",
        verdict="fewer violations",
        arms=[ArmRow("HPA alone", 12.5, 100, 3_000, 7), ArmRow("HPA with our floor", 1, 90, 0, 9)],
        charts=[Chart("core in us-east-1", times, [demand, gap], [(times[2], times[4], "#f99")])],
        decisions=[Explained(datetime(2026, 1, 1, tzinfo=UTC), "3 to 5", ["wanted 5, had 3"])],
        notes=["a note"],
        made_at=datetime(2026, 1, 2, tzinfo=UTC),
    )  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    driver = shutil.which("chromedriver")
    binary = shutil.which("chromium") or shutil.which("chromium-browser")
    if driver is None or binary is None:
        pytest.fail("run scripts/browser.sh: Chromium and its driver are not there")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    with tempfile.TemporaryDirectory() as profile:
        for argument in (
            "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync",
            "--disable-background-networking", "--disable-component-update", "--disable-quic",
            "--disable-dev-shm-usage", "--window-size=1240,1600", f"--user-data-dir={profile}",
        ):  # fmt: skip
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        page = webdriver.Chrome(options=options, service=Service(driver))
        try:
            yield page
        finally:
            page.quit()


def show(browser: webdriver.Chrome, folder: Path, report: Report) -> None:
    path = folder / "report.html"
    path.write_text(render_report(report), encoding="utf-8")
    browser.get(path.as_uri())


def test_the_page_draws_its_chart_and_table_without_any_script_error(
    browser: webdriver.Chrome, tmp_path: Path
) -> None:
    show(browser, tmp_path, a_report())

    rows = browser.find_elements(By.CSS_SELECTOR, "#arms tbody tr")
    assert [row.text.split()[:2] for row in rows] == [["HPA", "alone"], ["HPA", "with"]]
    canvas = browser.find_element(By.CSS_SELECTOR, ".chart canvas")
    inked = browser.execute_script(
        "const c = arguments[0], d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
        "let n = 0; for (let i = 3; i < d.length; i += 4) n += d[i] > 0; return n;",
        canvas,
    )
    assert inked > 1_000
    log = browser.get_log("browser")  # type: ignore[no-untyped-call]
    assert [entry for entry in log if entry["level"] == "SEVERE"] == []


def test_the_page_asks_for_nothing_outside_itself(
    browser: webdriver.Chrome, tmp_path: Path
) -> None:
    show(browser, tmp_path, a_report())

    fetched = browser.execute_script(
        "return performance.getEntriesByType('resource').map(entry => entry.name)"
    )
    assert fetched == []


def test_a_name_from_outside_cannot_run_as_script(
    browser: webdriver.Chrome, tmp_path: Path
) -> None:
    evil = "</script><script>window.broken = true</script><img src=x onerror='window.broken=true'>"
    report = a_report(title=evil)
    report.charts[0].lines.append(Line(evil, "#000000", [1.0] * 10))

    show(browser, tmp_path, report)

    assert browser.execute_script("return window.broken") is None
    assert browser.find_element(By.TAG_NAME, "h1").text == evil
