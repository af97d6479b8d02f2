"""A metrics topic with its own lateness is neither a lag nor a partition that was lost."""

from __future__ import annotations

import pytest

from predictor.settings import MetricSettings, Settings
from streams.demand import Progress, input_number

NOW_S = 1_764_000_000


def settings_with(lateness_s: float) -> Settings:
    return Settings(metrics=MetricSettings(topic="mplp.metrics", lateness_s=lateness_s))


@pytest.mark.parametrize("lateness_s", [45, 90, 120, 300])
def test_samples_that_come_as_late_as_they_may_hold_nothing(lateness_s: float) -> None:
    settings = settings_with(lateness_s)
    history = settings.new_history()
    # The newest sample is as old as the next one may be in coming, and buckets are 10 s wide.
    ages_s = {0: settings.windows.lateness_s + 10, 1: lateness_s + (lateness_s - 30) + 10}

    for topic, age_s in ages_s.items():
        history.advance(Progress(input_number(topic, 0), int(NOW_S - age_s), False, 1))
    observed = history.observed(NOW_S)

    assert observed.incomplete == ""
    assert observed.lag_s is not None
    assert observed.lag_s <= settings.policy().lag_max_s


def test_metrics_topic_that_stands_still_is_lost_all_the_same() -> None:
    history = settings_with(120).new_history()

    history.advance(Progress(input_number(0, 0), NOW_S, False, 1))
    history.advance(Progress(input_number(1, 0), NOW_S - 600, False, 1))

    assert "partition 0 of 1 of mplp.metrics is 600 s behind" in history.observed(NOW_S).incomplete


def test_lag_is_what_is_configured_where_no_metrics_are_read() -> None:
    settings = Settings(metrics=MetricSettings(lateness_s=600), lag_max_s=50)

    assert settings.policy().lag_max_s == 50


def test_lag_of_samples_stays_below_the_time_after_which_floors_are_handed_back() -> None:
    policy = settings_with(3600).policy()

    assert policy.lag_max_s == policy.telemetry_handback_after_s
