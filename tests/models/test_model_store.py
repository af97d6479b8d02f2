from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.cascade import Cascade, fit_cascade
from models.store import ARRAYS, MANIFEST, ModelRefused, load_model, save_model
from tests.models.series_builders import a_batch, a_daily_load, a_horizon

BATCH = a_batch(np.stack([a_daily_load(3), a_daily_load(3, rate=5.0), np.full(4320, np.nan)]))
FITTED = fit_cascade(BATCH, a_horizon(3))
CREATED = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_model(tmp_path / "model", FITTED, CREATED, trained_from_s=BATCH.start_s)
    return tmp_path / "model"


def rewrite(folder: Path, **changed: Any) -> None:
    """Change the manifest; None takes a field away."""
    manifest = json.loads((folder / MANIFEST).read_text()) | changed
    kept = {name: value for name, value in manifest.items() if value is not None}
    (folder / MANIFEST).write_text(json.dumps(kept))


def replace_arrays(folder: Path, body: bytes) -> None:
    """Put other arrays in place, with their right hash: a writer who is wrong, not a thief."""
    (folder / ARRAYS).write_bytes(body)
    rewrite(folder, sha256={ARRAYS: hashlib.sha256(body).hexdigest()})


def packed(folder: Path, **changed: Any) -> bytes:
    """The folder's arrays with some replaced; None takes an array away."""
    with np.load(io.BytesIO((folder / ARRAYS).read_bytes())) as arrays:
        both = {name: arrays[name] for name in arrays.files} | changed
    body = io.BytesIO()
    np.savez(body, **{name: array for name, array in both.items() if array is not None})
    return body.getvalue()


def test_loaded_model_forecasts_the_same_bytes(folder: Path) -> None:
    stored = load_model(folder)

    before, after = (cascade.forecast(BATCH, a_horizon(3)) for cascade in (FITTED, stored.cascade))

    assert before.peak.tobytes() == after.peak.tobytes()
    assert before.reasons == after.reasons
    assert stored.manifest.created == CREATED
    assert stored.manifest.trained_to_s == BATCH.end_s


def test_same_model_is_written_as_the_same_bytes(folder: Path) -> None:
    other = folder.with_name("other")
    save_model(other, FITTED, CREATED, trained_from_s=BATCH.start_s)

    for name in (ARRAYS, MANIFEST):
        assert (other / name).read_bytes() == (folder / name).read_bytes()


def test_any_flipped_byte_of_the_arrays_is_refused(folder: Path) -> None:
    body = (folder / ARRAYS).read_bytes()
    for at in range(0, len(body), max(len(body) // 40, 1)):
        (folder / ARRAYS).write_bytes(body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :])
        with pytest.raises(ModelRefused, match="sha256"):
            load_model(folder)


def test_any_truncated_file_is_refused(folder: Path) -> None:
    for name in (ARRAYS, MANIFEST):
        body = (folder / name).read_bytes()
        (folder / name).write_bytes(body[: len(body) // 2])
        with pytest.raises(ModelRefused):
            load_model(folder)
        (folder / name).write_bytes(body)


@pytest.mark.parametrize("name", [ARRAYS, MANIFEST])
def test_missing_file_is_refused_by_its_name(folder: Path, name: str) -> None:
    (folder / name).unlink()

    with pytest.raises(ModelRefused, match=name):
        load_model(folder)


@pytest.mark.parametrize(
    ("changed", "fact"),
    [
        ({"format_version": 99}, "format version 99"),
        ({"step_s": 0}, "step of 0 s"),
        ({"levels": [0.5]}, "quantile levels"),
        ({"sha256": {"../evil": "0"}}, "hashes of"),
        ({"rows": []}, "shape"),
        ({"created": "2026-01-02T00:00:00"}, "zone"),
        ({"surprise": 1}, "surprise"),
        ({"step_s": None}, "step_s"),
    ],
)
def test_wrong_manifest_is_refused_with_the_fact(
    folder: Path, changed: dict[str, Any], fact: str
) -> None:
    rewrite(folder, **changed)

    with pytest.raises(ModelRefused, match=fact):
        load_model(folder)


def test_same_series_twice_is_refused(folder: Path) -> None:
    rows = json.loads((folder / MANIFEST).read_text())["rows"]
    rewrite(folder, rows=[rows[0], rows[0], rows[2]])

    with pytest.raises(ModelRefused, match="twice"):
        load_model(folder)


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
        ("floor", np.array([None, 1, 2]), "cannot be read"),
    ],
)
def test_arrays_with_a_right_hash_and_wrong_numbers_are_refused(
    folder: Path, name: str, array: Any, fact: str
) -> None:
    replace_arrays(folder, packed(folder, **{name: array}))

    with pytest.raises(ModelRefused, match=fact):
        load_model(folder)


def test_crossing_quantiles_are_refused(folder: Path) -> None:
    assert FITTED.model is not None
    crossing = FITTED.model.peak_spread[:, :, ::-1].copy()
    replace_arrays(folder, packed(folder, peak_spread=crossing))

    with pytest.raises(ModelRefused, match="cross"):
        load_model(folder)


def test_something_else_with_a_right_hash_is_refused(folder: Path) -> None:
    replace_arrays(folder, b"\x80\x04K\x01.")

    with pytest.raises(ModelRefused, match="cannot be read"):
        load_model(folder)


def test_newer_model_replaces_the_older_whole(folder: Path) -> None:
    later = CREATED.replace(year=2027)

    save_model(folder, FITTED, later, trained_from_s=BATCH.start_s, report={"scores": {"a": 1}})

    assert load_model(folder).manifest.created == later
    assert sorted(path.name for path in folder.parent.iterdir()) == ["model"]


def test_nothing_to_store_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nothing to store"):
        save_model(tmp_path / "model", Cascade(), CREATED, trained_from_s=0)
    with pytest.raises(ValueError, match="time zone"):
        save_model(tmp_path / "model", FITTED, CREATED.replace(tzinfo=None), trained_from_s=0)


def test_forecast_path_loads_no_training_library() -> None:
    code = (
        "import sys, models.store, models.registry; "
        "print([name for name in ('sklearn', 'statsmodels', 'scipy', 'pandas') "
        "if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
