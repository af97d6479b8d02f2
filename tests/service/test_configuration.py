"""A wrong configuration is named by file, line, key and what was expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from predictor.config import ConfigError, load_settings


def faults_of(tmp_path: Path, text: str, **environment: str) -> list[str]:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_settings(path, environment)
    return caught.value.faults


def test_without_a_file_the_guides_profile_is_complete() -> None:
    settings = load_settings(None, {})

    assert len(settings.modules) == 10
    assert {name: region.weight for name, region in settings.regions.items()} == {
        "us-east-1": 50, "eu-west-1": 30, "ap-southeast-1": 20,
    }  # fmt: skip
    assert settings.mode == "shadow"


def test_a_misspelt_key_is_named_with_its_line_and_the_likely_key(tmp_path: Path) -> None:
    (fault,) = faults_of(tmp_path, "mode: shadow\nkafka:\n  bootstrap_server: a:1\n")

    assert fault.startswith(f"{tmp_path / 'config.yaml'}:3: kafka.bootstrap_server: ")
    assert "did you mean `bootstrap_servers`?" in fault


def test_a_wrong_type_is_named_with_what_was_expected(tmp_path: Path) -> None:
    (fault,) = faults_of(tmp_path, "http:\n  host: 127.0.0.1\n  port: eighty\n")

    assert fault.startswith(f"{tmp_path / 'config.yaml'}:3: http.port: ")
    assert "expected `int`, got `str`" in fault


def test_a_value_out_of_bounds_inside_a_named_module_is_found_by_its_line(tmp_path: Path) -> None:
    text = "modules:\n  core:\n    hpa: mplp-core-hpa\n    policy:\n      release_step_ratio: -3\n"

    (fault,) = faults_of(tmp_path, text)

    assert fault.startswith(f"{tmp_path / 'config.yaml'}:5: modules.core.policy: ")
    assert "release_step_ratio must lie in (0, 1]" in fault


def test_every_faulty_section_is_named_at_once(tmp_path: Path) -> None:
    text = "mode: wild\nhttp: {port: x}\nkafka: {demand_topic: 7}\n"

    faults = faults_of(tmp_path, text)

    assert len(faults) == 3
    assert [fault.split(": ")[1] for fault in faults] == ["mode", "http.port", "kafka.demand_topic"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("a: [", "not valid YAML", id="broken YAML"),
        pytest.param(
            "history: {length_days: 0.5, coarse_length_days: 29}",
            "history: a length of 43200 s is less than a day",
            id="weeks behind half a day",
        ),
        pytest.param("- a\n- b\n", "expected a mapping", id="a list at the top"),
        pytest.param(
            "regions:\n  us-east-1: {namespace: a, weight: 40}\nroutes: {}\n",
            "weights must sum to 100, got 40",
            id="weights that do not sum to 100",
        ),
        pytest.param("region: mars\n", "expected one of", id="a region that is not configured"),
        pytest.param(
            "modules:\n  plan: {hpa: a, callers: [nobody]}\nroutes: {}\n",
            "modules.plan.callers: 'nobody': expected another key of modules",
            id="a caller that is no module",
        ),
        pytest.param(
            "kafka: {requests_topic: a}\nmetrics: {topic: a}\n",
            "metrics.topic: is the request topic already",
            id="samples in the topic of events",
        ),
        pytest.param(
            "routes:\n  nobody: {namespace: a, virtual_service: b, hosts: {}}\n",
            "routes.nobody: expected a key of modules",
            id="a route of an unknown module",
        ),
    ],
)
def test_contradictions_are_refused(tmp_path: Path, text: str, expected: str) -> None:
    assert any(expected in fault for fault in faults_of(tmp_path, text))


def test_a_missing_file_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.yaml: cannot be read"):
        load_settings(tmp_path / "absent.yaml", {})


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("kafka: {bootstrap_servers: 'file:1'}\n")

    settings = load_settings(path, {"MPLP_PREDICTOR__KAFKA__BOOTSTRAP_SERVERS": "environment:2"})

    assert settings.kafka.bootstrap_servers == "environment:2"


def test_one_value_deep_in_the_default_profile_can_be_set_by_the_environment() -> None:
    variable = "MPLP_PREDICTOR__MODULES__CORE__POLICY__HOLD_S"

    settings = load_settings(None, {variable: "1200"})

    assert settings.policy().of("core").hold_s == 1200
    assert len(settings.modules) == 10


def test_a_flag_wins_over_the_environment_and_is_text() -> None:
    environment = {"MPLP_PREDICTOR__MODEL_FOLDER": "from-environment"}

    settings = load_settings(None, environment, {"model_folder": "123"})

    assert settings.model_folder == "123"


@pytest.mark.parametrize(
    ("environment", "flags", "fault"),
    [
        pytest.param(
            {"MPLP_PREDICTOR__HTTP__PORT": "eighty"}, {}, "environment: http.port: ", id="variable"
        ),
        pytest.param({}, {"mode": "wild"}, "flags: mode: ", id="flag"),
        pytest.param(
            {"MPLP_PREDICTOR__MODE__X": "1"}, {}, "environment: mode: expected a section", id="deep"
        ),
    ],
)
def test_a_fault_is_blamed_on_where_it_came_from(
    environment: dict[str, str], flags: dict[str, str], fault: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(None, environment, flags)

    assert caught.value.faults[0].startswith(fault)


def test_an_unknown_variable_of_ours_is_an_error(tmp_path: Path) -> None:
    faults = faults_of(tmp_path, "mode: shadow\n", MPLP_PREDICTOR_MODUS="x")

    assert "MPLP_PREDICTOR_MODUS is not a setting" in faults[0]


def test_a_module_says_only_what_deviates_from_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(
        "defaults: {quantile: 0.9, hold_s: 900}\n"
        "modules:\n"
        "  core: {hpa: mplp-core-hpa, policy: {hold_s: 1200}}\n"
        "  plan: {hpa: mplp-plan-hpa}\n"
    )

    policy = load_settings(path, {}).policy()

    assert (policy.of("core").quantile, policy.of("core").hold_s) == (0.9, 1200)
    assert (policy.of("plan").quantile, policy.of("plan").hold_s) == (0.9, 900)
