"""The page of settings knows every key with its default, and none that is not there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from predictor.config import ENVIRONMENT_PREFIX, load_settings
from predictor.core.policy import ModuleOverride, ModulePolicy
from predictor.settings import Settings
from tests.docs.pages import REFERENCE, blocks, code, rows, text_of

TEXT = text_of(REFERENCE / "configuration.md")
ROWS = {code(cells[0])[0]: cells for cells in rows(TEXT, "key")}
SCHEMA: dict[str, Any] = msgspec.json.schema(Settings)
EXAMPLE = next(block.text for block in blocks(TEXT) if block.kind == "yaml")
OVERRIDES = "modules.*.policy"
"""One row for all its keys, which are those of `defaults`."""


def keys(schema: dict[str, Any], path: str = "") -> Iterator[str]:
    """Every key of the JSON Schema that holds a value, `*` where a name is the operator's."""
    if "$ref" in schema:
        schema = SCHEMA["$defs"][schema["$ref"].rsplit("/", 1)[1]]
    if path == OVERRIDES or "properties" not in schema:
        inner = schema.get("additionalProperties")
        if path != OVERRIDES and isinstance(inner, dict):
            yield from keys(inner, f"{path}.*")
        else:
            yield path
        return
    for name, one in schema["properties"].items():
        yield from keys(one, f"{path}.{name}".strip("."))


def default_of(key: str) -> object:
    found: Any = msgspec.to_builtins(Settings())
    for name in key.split("."):
        found = found[name]
    return found


def test_every_setting_has_a_row_and_no_row_is_of_another_release() -> None:
    assert sorted(ROWS) == sorted(keys(SCHEMA))


def test_a_module_may_override_exactly_what_has_defaults() -> None:
    assert ModuleOverride.__struct_fields__ == ModulePolicy.__struct_fields__


@pytest.mark.parametrize("key", [key for key in ROWS if "*" not in key])
def test_default_is_what_the_page_says(key: str) -> None:
    (shown,) = code(ROWS[key][2])

    default = default_of(key)
    assert yaml.safe_load(shown) == (list(default) if isinstance(default, tuple) else default)


@pytest.mark.parametrize("key", [key for key in ROWS if "sasl_" in key or key == "mode"])
def test_choices_are_those_of_the_schema(key: str) -> None:
    section, _, name = key.rpartition(".")
    owner = {"kafka": "KafkaSettings", "": "Settings"}[section]
    choices = SCHEMA["$defs"][owner]["properties"][name].get("enum")

    assert choices is None or sorted(code(ROWS[key][1])) == sorted(choices)


def test_example_is_a_configuration(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(EXAMPLE)

    settings = load_settings(path, {})

    assert settings.region == "eu-west-1"
    assert settings.policy().of("core").quantile == 0.95
    assert settings.policy().of("trace").quantile == 0.75


def test_environment_wins_as_the_page_says(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(EXAMPLE)
    variables = [text for text in code(TEXT) if text.startswith(ENVIRONMENT_PREFIX)]
    name, _, value = variables[0].partition("=")

    settings = load_settings(path, {name: value})

    assert settings.kafka.bootstrap_servers == value == "kafka:9092"


def test_a_file_that_names_one_module_has_one_module(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("modules: {core: {hpa: mplp-core-hpa}}\n")

    assert list(load_settings(path, {}).modules) == ["core"]
