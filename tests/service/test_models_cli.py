"""`mplp-predictor models` as an operator meets it."""

from __future__ import annotations

import json
import stat
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from models.cascade import fit_cascade
from models.ensemble import Ensemble
from models.manifest import ARRAYS
from models.store import load_model, save_model
from predictor.cli import app
from predictor.model_store.model_store import ModelStore
from tests.models.series_builders import a_batch, a_daily_load, a_horizon
from tests.models.stored_builders import CREATED, KEY_TEXT, some_files

BATCH = a_batch(np.stack([a_daily_load(2)]))
FITTED = Ensemble(fit_cascade(BATCH, a_horizon(1)))


def models(*arguments: object) -> Result:
    return models_at("200", *arguments)


def models_at(columns: str, *arguments: object) -> Result:
    environment = {"NO_COLOR": "1", "COLUMNS": columns}
    return CliRunner().invoke(app, ["models", *map(str, arguments)], env=environment)


@pytest.fixture
def key(tmp_path: Path) -> tuple[Path, str]:
    """A private key's file, and its public key."""
    path = tmp_path / "signing.pem"
    return path, models("keygen", path).stdout.strip()


@pytest.fixture
def versions(tmp_path: Path, key: tuple[Path, str]) -> list[str]:
    """Two signed versions in `tmp_path / "store"`, the older one first, none promoted."""
    names = []
    for day in (0, 1):
        folder = tmp_path / f"model-{day}"
        save_model(folder, FITTED, CREATED + timedelta(days=day), trained_from_s=BATCH.start_s)
        names.append(models("publish", tmp_path / "store", folder, "--key", key[0]).stdout.strip())
    return names


def test_signed_version_is_published_verified_and_promoted(
    tmp_path: Path, key: tuple[Path, str], versions: list[str]
) -> None:
    store, trusted = tmp_path / "store", ("--trusted-key", key[1])

    verified = models("verify", store, versions[0], *trusted)
    promoted = [models("promote", store, name, *trusted) for name in versions]
    back = models("promote", store, "--back", *trusted)

    assert verified.exit_code == 0, verified.output
    assert "every check passed; signed with the trusted key" in verified.stdout
    assert promoted[1].stdout == f"in use {versions[1]}, before it {versions[0]}\n"
    assert back.stdout == f"in use {versions[0]}, before it {versions[1]}\n"


def test_list_says_which_version_is_in_use(tmp_path: Path, versions: list[str]) -> None:
    store = tmp_path / "store"
    models("promote", store, versions[0])

    listed = json.loads(models("list", store, "--json").stdout)
    table = models("list", store).stdout

    assert [one["version"] for one in listed] == versions[::-1]
    assert [one["state"] for one in listed] == ["", "current"]
    assert {one["series"] for one in listed} == {1}
    assert all(name in table for name in versions)


def test_no_name_of_a_version_is_cut_however_narrow(tmp_path: Path, versions: list[str]) -> None:
    table = models_at("80", "list", tmp_path / "store").stdout

    assert all(name in table for name in versions)
    assert "no trusted key is configured" not in table


def test_show_tells_the_facts_of_the_version_in_use(tmp_path: Path, versions: list[str]) -> None:
    store = tmp_path / "store"
    models("promote", store, versions[1])

    shown = models("show", store)
    as_json = json.loads(models("show", store, "--json").stdout)

    assert f"version    {versions[1]} current" in shown.stdout
    assert "libraries  Python 3." in shown.stdout
    assert as_json["facts"]["version"] == versions[1]
    assert as_json["manifest"]["step_s"] == 60


def test_spoilt_version_is_found_and_cannot_be_promoted(
    tmp_path: Path, versions: list[str]
) -> None:
    store = tmp_path / "store"
    models("promote", store, versions[0])
    arrays = store / versions[1] / ARRAYS
    arrays.write_bytes(arrays.read_bytes()[:-1] + b"\x01")

    verified = models("verify", store, versions[1], "--json")
    promoted = models("promote", store, versions[1])

    assert verified.exit_code == promoted.exit_code == 1
    assert "sha256" in json.loads(verified.stdout)["problem"]
    assert "arrays.npz has sha256" in promoted.stderr
    assert json.loads((store / "current").read_bytes())["current"] == versions[0]


def test_numbers_that_no_service_could_use_are_neither_published_nor_promoted(
    tmp_path: Path,
) -> None:
    store, other = tmp_path / "store", tmp_path / "other"
    version = ModelStore(str(store)).publish(some_files())

    published = models("publish", other, store / version)
    promoted = models("promote", store, version)

    assert published.exit_code == promoted.exit_code == 1
    assert "quantile levels" in published.stderr
    assert "quantile levels" in promoted.stderr
    assert not other.exists()
    assert not (store / "current").exists()


def test_version_of_another_signer_is_refused(tmp_path: Path, versions: list[str]) -> None:
    done = models("verify", tmp_path / "store", versions[0], "--trusted-key", KEY_TEXT)

    assert done.exit_code == 1
    assert "is signed with key" in done.stderr


def test_trusted_keys_of_the_configuration_count(tmp_path: Path, versions: list[str]) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(f"model: {{trusted_keys: ['{KEY_TEXT}']}}\n")

    done = models("promote", tmp_path / "store", versions[0], "--config", config)

    assert done.exit_code == 1
    assert not (tmp_path / "store" / "current").exists()


def test_version_trained_in_another_step_is_neither_verified_nor_promoted(
    tmp_path: Path, versions: list[str]
) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("history: {step_s: 300}\n")

    store = tmp_path / "store"
    for version in versions:
        models("promote", store, version)
    before = (store / "current").read_bytes()

    for words in (("verify", versions[0]), ("promote", versions[0]), ("promote", "--back")):
        done = models(words[0], store, *words[1:], "--config", config)

        assert done.exit_code == 1, words
        assert "trained in steps of 60 s, history.step_s is 300" in done.stderr
    assert (store / "current").read_bytes() == before


def test_version_folder_is_a_model_that_run_can_load(tmp_path: Path, versions: list[str]) -> None:
    assert load_model(tmp_path / "store" / versions[0]).ensemble.cascade.model is not None


def test_private_key_is_its_owners_alone_and_never_written_over(key: tuple[Path, str]) -> None:
    path, public = key
    body = path.read_bytes()

    again = models("keygen", path)

    assert len(public) == 44
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (again.exit_code, path.read_bytes()) == (2, body)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("list", "NOWHERE"), 3, "No such file"),
        (("show", "NOWHERE"), 3, "No such file"),
        (("verify", "NOWHERE", "20260102T030405Z-0123456789ab"), 3, "No such file"),
        (("list", "abc://bucket"), 2, "abc"),
        (("list", "memory://empty"), 0, ""),
        (("show", "memory://empty"), 1, "no version is in use"),
        (("verify", "memory://empty", "../x"), 1, "is no version"),
        (("promote", "memory://empty"), 2, "either a VERSION or --back"),
        (("promote", "memory://empty", "--back"), 1, "no former version"),
        (("list", "memory://empty", "--trusted-key", "abc"), 2, "is no public key"),
        (("publish", "memory://empty", "NOWHERE"), 1, "manifest.json is missing"),
        (("publish", "memory://empty", "NOWHERE", "--key", "NOWHERE"), 3, "No such file"),
    ],
)
def test_what_goes_wrong_is_one_line_and_its_exit_code(
    tmp_path: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    nowhere = str(tmp_path / "nowhere")

    done = models(*(word.replace("NOWHERE", nowhere) for word in arguments))

    assert done.exit_code == code, done.output
    assert said in done.stderr
    assert len(done.stderr.splitlines()) <= 1
