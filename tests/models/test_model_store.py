"""A cascade in one folder, as `train` writes it and `run` reads it."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.cascade import fit_cascade
from models.ensemble import Ensemble
from models.manifest import ARRAYS, MANIFEST, ModelRefused
from models.store import load_model, save_model
from models.stored_cascade import cascade_of, parameters_of
from models.stored_parameters import StoredParameters
from tests.models.series_builders import a_batch, a_daily_load, a_horizon
from tests.models.stored_builders import TRUSTED

BATCH = a_batch(np.stack([a_daily_load(3), a_daily_load(3, rate=5.0), np.full(4320, np.nan)]))
FITTED = fit_cascade(BATCH, a_horizon(3))
STORED = parameters_of(FITTED, BATCH.start_s)
CREATED = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_model(tmp_path / "model", Ensemble(FITTED), CREATED, trained_from_s=BATCH.start_s)
    return tmp_path / "model"


def spoilt(**arrays: Any) -> StoredParameters:
    """Some arrays replaced; None takes one away."""
    both = {**STORED.arrays, **arrays}
    kept = {name: array for name, array in both.items() if array is not None}
    return dataclasses.replace(STORED, arrays=kept)


def test_loaded_model_forecasts_the_same_bytes(folder: Path) -> None:
    stored = load_model(folder)

    before, after = (
        cascade.forecast(BATCH, a_horizon(3)) for cascade in (FITTED, stored.ensemble.cascade)
    )

    assert before.peak.tobytes() == after.peak.tobytes()
    assert before.reasons == after.reasons
    assert stored.manifest.created == CREATED
    assert stored.manifest.trained_to_s == BATCH.end_s


def test_training_twice_on_the_same_history_writes_the_same_bytes(folder: Path) -> None:
    other, again = folder.with_name("other"), fit_cascade(BATCH, a_horizon(3))

    save_model(other, Ensemble(again), CREATED, trained_from_s=BATCH.start_s)

    for name in (ARRAYS, MANIFEST):
        assert (other / name).read_bytes() == (folder / name).read_bytes()


def test_digest_names_the_numbers_and_not_when_they_were_stored(folder: Path) -> None:
    before = load_model(folder)
    save_model(folder, Ensemble(FITTED), CREATED.replace(year=2027), trained_from_s=BATCH.start_s)

    after = load_model(folder)

    assert after.digest == before.digest
    assert after.manifest.created != before.manifest.created


@pytest.mark.parametrize("name", [ARRAYS, MANIFEST])
def test_missing_file_is_refused_by_its_name(folder: Path, name: str) -> None:
    (folder / name).unlink()

    with pytest.raises(ModelRefused, match=f"{name} is missing"):
        load_model(folder)


def test_unsigned_folder_is_refused_where_keys_are_trusted(folder: Path) -> None:
    with pytest.raises(ModelRefused, match="is unsigned"):
        load_model(folder, TRUSTED)


@pytest.mark.parametrize(
    ("name", "array", "fact"),
    [
        ("floor", np.array([1.0, np.nan, 1.0]), "not finite"),
        ("floor", np.array([1.0, 0.0, 1.0]), "above zero"),
        ("floor", np.ones(2), "shape"),
        ("hold", np.ones(3), "float64"),
        ("leads", None, "expected"),
        ("profile_relative", np.ones((3, 2, 288)), "shape"),
        ("usual", np.full(3, np.inf), "not finite in a row"),
        ("peak_spread", STORED.arrays["peak_spread"][:, :, ::-1], "cross"),
    ],
)
def test_numbers_that_are_no_cascade_are_refused(name: str, array: Any, fact: str) -> None:
    with pytest.raises(ModelRefused, match=fact):
        cascade_of(spoilt(**{name: array}))


@pytest.mark.parametrize(
    ("changed", "fact"),
    [
        ({"levels": (0.5,)}, "quantile levels"),
        ({"rows": ()}, "shape"),
        ({"trees": ("a tree",)}, "1 trees"),
        ({"rows": tuple(row.__class__("m", "r", "Magic") for row in STORED.rows)}, "Magic"),
    ],
)
def test_payload_of_another_model_is_refused(changed: dict[str, Any], fact: str) -> None:
    with pytest.raises(ModelRefused, match=fact):
        cascade_of(dataclasses.replace(STORED, **changed))


def test_newer_model_replaces_the_older_whole(folder: Path) -> None:
    later = CREATED.replace(year=2027)

    save_model(
        folder, Ensemble(FITTED), later, trained_from_s=BATCH.start_s, report={"scores": {"a": 1}}
    )

    assert load_model(folder).manifest.created == later
    assert sorted(path.name for path in folder.parent.iterdir()) == ["model"]


@pytest.mark.parametrize("name", ["model", ".model.new", ".model.old"])
def test_a_folder_that_holds_anything_else_is_left_as_it_is(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "precious.txt").write_text("hi")

    with pytest.raises(FileExistsError, match=r"precious\.txt, which is no model's"):
        save_model(tmp_path / "model", Ensemble(FITTED), CREATED, trained_from_s=BATCH.start_s)

    assert [path.name for path in tmp_path.rglob("*")] == [name, "precious.txt"]


def test_nothing_to_store_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nothing to store"):
        save_model(tmp_path / "model", Ensemble(), CREATED, trained_from_s=0)
    with pytest.raises(ValueError, match="time zone"):
        save_model(
            tmp_path / "model", Ensemble(FITTED), CREATED.replace(tzinfo=None), trained_from_s=0
        )


def test_forecast_path_loads_no_training_library() -> None:
    code = (
        "import sys, models.store, models.registry; "
        "print([name for name in ('sklearn', 'skops', 'statsmodels', 'scipy', 'pandas') "
        "if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
