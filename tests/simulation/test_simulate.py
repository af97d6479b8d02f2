"""A simulation from a load to its figures: what is counted, compared and shown."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import msgspec
import numpy as np
import pytest

from predictor.arms.families import FAMILIES
from predictor.core.audit import decode_record, replay
from predictor.core.encoding import encode_json
from predictor.core.policy import Policy
from predictor.core.state import LEAD_SAMPLES_MAX
from predictor.simulation.figures import SimulationResult, response_time_s
from predictor.simulation.measured_start_up import measured_lead_times_s
from predictor.simulation.page import render_simulation
from predictor.simulation.settings_of_ours import our_setting, with_defaults
from predictor.simulation.simulate import Wanted, simulate, usual_peers
from predictor.simulation.verdict import foresight_share, row_of, verdict
from tests.models.ensemble_builders import few_trees
from tests.simulation.loads import a_load, a_setup, two_peaks

POLICY = Policy(tick_s=60.0)
CHEAP = with_defaults(POLICY, quantile=0.5, pod_load_ratio=1.4)


def played(*peers: str, judged_days: float = 0.5) -> tuple[SimulationResult, list[bytes]]:
    """Days of two peaks, the morning of the second one judged."""
    setup = a_setup(a_load(days=1.0 + judged_days, learn_days=1.0), POLICY)
    ours = (our_setting(POLICY, is_usual=True), our_setting(CHEAP))
    records: list[bytes] = []
    wanted = Wanted(ours, usual_peers(peers))
    with few_trees():
        result = simulate(setup, wanted, source="two peaks", record=records.append)
    return result, records


@cache
def once() -> tuple[SimulationResult, list[bytes]]:
    """Half a day with every peer."""
    return played(*FAMILIES)


def test_a_floor_that_knows_the_peak_spares_what_the_hpa_alone_cannot() -> None:
    result, _ = once()

    assert result.arm("hpa").violation_minutes > 2.0
    assert result.arm("ours").violation_minutes < result.arm("hpa").violation_minutes / 2


def test_nobody_has_less_violation_than_perfect_foresight() -> None:
    result, _ = once()
    bound = result.arm("foresight").violation_minutes

    assert all(one.violation_minutes >= bound for one in result.arms)
    assert foresight_share(result) == pytest.approx(
        (result.arm("hpa").violation_minutes - result.arm("ours").violation_minutes)
        / (result.arm("hpa").violation_minutes - bound)
    )


def test_every_way_of_scaling_meets_the_same_requests_for_the_same_time() -> None:
    result, _ = once()

    assert len({round(one.requests) for one in result.arms}) == 1
    assert {round(sum(day.judged_minutes for day in one.days)) for one in result.arms} == {720}


def test_the_same_simulation_gives_the_same_bytes() -> None:
    first, second = (played("last-week", judged_days=0.15) for _ in range(2))

    assert msgspec.json.encode(first[0]) == msgspec.json.encode(second[0])
    assert first[1] == second[1]


def test_every_decision_of_ours_can_be_replayed_to_the_byte() -> None:
    _, records = once()

    assert len(records) > 700
    assert all(replay(record) == record for record in records[::97])


def test_peers_in_a_process_of_their_own_come_to_the_same() -> None:
    setup = a_setup(a_load(days=1.2, learn_days=1), POLICY)
    ours = (our_setting(POLICY, is_usual=True),)
    peers = usual_peers(["last-week", "foresight"])

    with few_trees():
        one, two = (simulate(setup, Wanted(ours, peers, jobs=jobs), source="-") for jobs in (1, 2))

    assert msgspec.json.encode(one) == msgspec.json.encode(two)


def test_what_is_shown_can_be_computed_from_the_file_beside_it() -> None:
    result, _ = once()
    read = msgspec.json.decode(msgspec.json.encode(result), type=SimulationResult)
    days = [day for arm in read.arms if arm.arm == "ours" and arm.is_usual for day in arm.days]

    shown = row_of(read.arm("ours"), read)

    assert shown[1] == f"{sum(day.violation_minutes for day in days):,.1f}"
    assert shown[4] == f"{sum(day.pod_hours for day in days):,.1f}"
    slow = response_time_s(days, read.response_bounds_s, 0.95)
    assert slow is not None
    assert shown[3] == f"{slow * 1000:,.0f} ms"
    assert verdict(read) == verdict(result)


def test_the_page_begins_with_the_day_that_went_worst_for_us() -> None:
    result, _ = once()
    day = datetime.fromtimestamp(result.trails[0].start_s, UTC).date().isoformat()

    page = render_simulation(
        result, json_name="simulation.json", command="simulate <x>", made_at=datetime.now(UTC)
    )

    assert page.index(f"The day that went worst for us: {day}") < page.index('<table id="arms">')
    assert "simulate &lt;x&gt;" in page
    assert all(one.label in page for one in result.arms)
    worst = max(result.arm("ours").by_day().values())
    assert result.arm("ours").by_day()[day] == worst


def test_time_that_nobody_measured_is_not_judged() -> None:
    values = two_peaks(1.9)
    values[470:520] = np.nan
    setup = a_setup(a_load(values=values, learn_days=1.4), POLICY)

    with few_trees():
        result = simulate(
            setup, Wanted((our_setting(POLICY, is_usual=True),), with_trails=False), source="-"
        )

    judged = sum(day.judged_minutes for day in result.arm("hpa").days)
    assert 720 - 51 * 5 - 60 < judged < 720 - 50 * 5


def test_start_up_times_are_those_that_a_service_measured(tmp_path: Path) -> None:
    record = decode_record(once()[1][-1])
    samples = np.full((1, LEAD_SAMPLES_MAX), np.nan)
    samples[0, :3] = (70.0, 65.0, 140.0)
    targets = msgspec.structs.replace(record.state.targets, lead_samples_s=samples)
    state = msgspec.structs.replace(record.state, targets=targets)
    path = tmp_path / "audit.jsonl"
    path.write_bytes(encode_json(msgspec.structs.replace(record, state=state)))

    assert measured_lead_times_s(path) == (70.0, 65.0, 140.0)


@pytest.mark.parametrize(
    ("body", "sentence"), [(b"", "no audit record"), (b"{}\n", "no decision record")]
)
def test_a_file_without_measured_times_is_refused(
    tmp_path: Path, body: bytes, sentence: str
) -> None:
    path = tmp_path / "audit.jsonl"
    path.write_bytes(body)

    with pytest.raises(ValueError, match=sentence):
        measured_lead_times_s(path)
