"""What the image's recipe promises, read from it: where there is no engine, none can be built."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from predictor.config import ENVIRONMENT_REVISION, load_settings

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
FINAL_STAGE = DOCKERFILE[DOCKERFILE.rindex("\nFROM ") :]
IGNORED = (ROOT / ".dockerignore").read_text().split()


def test_it_runs_as_a_numeric_user_that_is_not_root() -> None:
    # Kubernetes can prove runAsNonRoot of a number only.
    users = re.findall(r"^USER (\S+)$", FINAL_STAGE, re.MULTILINE)

    assert [re.fullmatch(r"[1-9]\d*:[1-9]\d*", user) is not None for user in users] == [True]


def test_the_pod_runs_as_the_images_user() -> None:
    deployment = yaml.safe_load((ROOT / "deploy/base/deployment.yaml").read_text())
    pod = deployment["spec"]["template"]["spec"]["securityContext"]

    assert f"USER {pod['runAsUser']}:{pod['runAsGroup']}\n" in FINAL_STAGE


def test_only_packages_with_a_locked_hash_are_installed() -> None:
    installs = re.findall(r"pip install [^&]*", DOCKERFILE)

    assert len(installs) == 1
    assert "--require-hashes" in installs[0]
    assert "-r requirements.lock" in installs[0]


def test_nothing_is_installed_in_the_final_stage() -> None:
    assert "RUN" not in FINAL_STAGE
    assert "ADD" not in DOCKERFILE


@pytest.mark.parametrize("copied", re.findall(r"^COPY (?!--)(\S+) ", DOCKERFILE, re.MULTILINE))
def test_what_is_copied_exists_and_is_sent_to_the_builder(copied: str) -> None:
    assert (ROOT / copied).exists()
    assert f"!{copied}" in IGNORED


def test_no_host_is_named() -> None:
    assert re.findall(r"https?://|--(?:extra-)?index-url", DOCKERFILE) == []


def test_the_image_knows_its_revision_and_still_starts() -> None:
    assert "\nARG REVISION=\n" in FINAL_STAGE
    assert f"\nENV {ENVIRONMENT_REVISION}=$REVISION\n" in FINAL_STAGE

    assert load_settings(None, {ENVIRONMENT_REVISION: "0123abc"}) == load_settings(None, {})


def test_the_shipped_configuration_is_valid_and_only_watches() -> None:
    settings = load_settings(ROOT / "deploy/base/config.yaml", {})

    assert settings.mode == "shadow"
    assert (settings.http.host, settings.http.port) == ("0.0.0.0", 8080)
