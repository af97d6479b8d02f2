"""Reads the configuration: defaults, then a YAML file, then the environment; or says what is wrong.

The command line calls it before anything is started. A fault is the operator's: `ConfigError`
names the file, line, key and what was expected, for every faulty section at once. Nothing here may
start, connect or log.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml

from predictor.settings import Settings

ENVIRONMENT_PREFIX = "MPLP_PREDICTOR__"
ENVIRONMENT_CONFIG = "MPLP_PREDICTOR_CONFIG"
ENVIRONMENT_REVISION = "MPLP_PREDICTOR_REVISION"
"""The program's git revision, which the image knows where there is no checkout."""
NO_SETTINGS = (ENVIRONMENT_CONFIG, ENVIRONMENT_REVISION)
_UNKNOWN_FIELD = re.compile(r"unknown field `(?P<key>[^`]+)`(?: - at `(?P<path>[^`]+)`)?")
_AT_PATH = re.compile(r" - at `(?P<path>[^`]+)`")


class ConfigError(Exception):
    """One or more faults in the configuration, each a line of its own."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


def load_settings(
    path: Path | None, environment: Mapping[str, str], flags: Mapping[str, str] | None = None
) -> Settings:
    """The settings from `path` (None: all defaults), `environment` and `flags`, later ones first.

    Raises `ConfigError`.
    """
    raw, marks, origin = ({}, {}, "defaults") if path is None else _read(path)
    settings = _convert(raw, marks, origin)
    for laid_over, place in ((_variables(environment), "environment"), (flags or {}, "flags")):
        if laid_over:
            raw = _laid_over_all(raw, laid_over, place)
            settings = _convert(raw, {}, place, strict=False)
            origin = place
    faults = _contradictions(settings, origin) + _policy_faults(settings, marks, origin)
    if faults:
        raise ConfigError(faults)
    return settings


Marks = dict[str, int]


def _read(path: Path) -> tuple[dict[str, Any], Marks, str]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: cannot be read: {error}"]) from error
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        raw = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError([f"{path}: not valid YAML: {error}"]) from error
    if raw is None:
        return {}, {}, str(path)
    if not isinstance(raw, dict):
        raise ConfigError([f"{path}:1: expected a mapping of settings, got {type(raw).__name__}"])
    marks: Marks = {}
    _mark(node, "", marks)
    return raw, marks, str(path)


def _mark(node: yaml.Node | None, path: str, marks: Marks) -> None:
    """Remember the line of every key, under the path that msgspec would call it."""
    if isinstance(node, yaml.MappingNode):
        for key_node, value_node in node.value:
            child = f"{path}.{key_node.value}" if path else str(key_node.value)
            marks[child] = key_node.start_mark.line + 1
            _mark(value_node, child, marks)
    elif isinstance(node, yaml.SequenceNode):
        for index, value_node in enumerate(node.value):
            child = f"{path}[{index}]"
            marks[child] = value_node.start_mark.line + 1
            _mark(value_node, child, marks)


def _variables(environment: Mapping[str, str]) -> dict[str, str]:
    """`MPLP_PREDICTOR__KAFKA__BOOTSTRAP_SERVERS=…` as `kafka.bootstrap_servers`."""
    found = {}
    for name in sorted(environment):
        if name.startswith(ENVIRONMENT_PREFIX):
            keys = name.removeprefix(ENVIRONMENT_PREFIX).lower().split("__")
            found[".".join(keys)] = environment[name]
        elif name.startswith("MPLP_PREDICTOR_") and name not in NO_SETTINGS:
            raise ConfigError(
                [f"environment: {name} is not a setting; expected {ENVIRONMENT_PREFIX}SECTION__KEY"]
            )
    return found


def _laid_over_all(raw: dict[str, Any], values: Mapping[str, str], place: str) -> dict[str, Any]:
    """Lay each `section.key` over what is there; a map that is not there begins as its default."""
    defaults = msgspec.to_builtins(Settings())
    for path, value in values.items():
        raw = _laid_over(raw, defaults, path.split("."), value, place)
    return raw


def _laid_over(
    raw: dict[str, Any], defaults: dict[str, Any], keys: list[str], value: str, place: str
) -> dict[str, Any]:
    head, *rest = keys
    if not rest:
        return raw | {head: value}
    below = defaults.get(head)
    inner = below if raw.get(head) is None else raw[head]
    if not isinstance(inner, dict):
        raise ConfigError([f"{place}: {head}: expected a section with keys of its own"])
    below = below if isinstance(below, dict) else {}
    return raw | {head: _laid_over(inner, below, rest, value, place)}


def _convert(raw: dict[str, Any], marks: Marks, origin: str, *, strict: bool = True) -> Settings:
    """All sections at once where that works, else one by one, to name every faulty one.

    What comes from the environment is text, so `strict=False` reads numbers and switches from it.
    """
    try:
        return msgspec.convert(raw, Settings, strict=strict)
    except msgspec.ValidationError as error:
        first = _fault(str(error), "", marks, origin)
    faults = []
    for key, value in raw.items():
        try:
            msgspec.convert({key: value}, Settings, strict=strict)
        except msgspec.ValidationError as error:
            faults.append(_fault(str(error), str(key), marks, origin))
    raise ConfigError(faults or [first])


def _fault(message: str, section: str, marks: Marks, origin: str) -> str:
    """`file:line: key: what was expected`, with the nearest known key for a misspelt one."""
    unknown = _UNKNOWN_FIELD.search(message)
    at = _AT_PATH.search(message)
    path = at["path"].removeprefix("$").removeprefix(".") if at else ""
    path = path.replace("[...]", "") if "[...]" in path else path
    if unknown:
        path = f"{path}.{unknown['key']}".strip(".")
    line = marks.get(path) or marks.get(_nearest_mark(path, unknown, marks)) or marks.get(section)
    place = f"{origin}:{line}" if line else origin
    text = _AT_PATH.sub("", message)
    hint = _did_you_mean(unknown["key"]) if unknown else ""
    return f"{place}: {path or section or 'file'}: {text[0].lower()}{text[1:]}{hint}"


def _nearest_mark(path: str, unknown: re.Match[str] | None, marks: Marks) -> str:
    """The marked key that fits where msgspec leaves a mapping's key out of its path."""
    last = unknown["key"] if unknown else path.rsplit(".", 1)[-1]
    head = path.split(".", 1)[0]
    fitting = [key for key in marks if key.startswith(head) and key.rsplit(".", 1)[-1] == last]
    return fitting[0] if fitting else ""


def _did_you_mean(key: str) -> str:
    close = difflib.get_close_matches(key, _known_keys(Settings), n=1, cutoff=0.6)
    return f"; did you mean `{close[0]}`?" if close else ""


def _known_keys(kind: Any) -> set[str]:
    """Every key that may stand anywhere in the file."""
    keys: set[str] = set()
    schema = msgspec.json.schema(kind)
    for definition in schema.get("$defs", {}).values():
        keys.update(definition.get("properties", {}))
    return keys


def _policy_faults(settings: Settings, marks: Marks, origin: str) -> list[str]:
    """What a module's own settings and the defaults give together may be out of bounds."""
    try:
        settings.policy()
    except ValueError as error:
        module, _, rest = str(error).partition(": ")
        path = f"modules.{module}.policy"
        line = marks.get(f"{path}.{rest.split(' ', 1)[0]}") or marks.get(path)
        return [f"{origin}{f':{line}' if line else ''}: {path}: {rest}"]
    return []


def _contradictions(settings: Settings, origin: str) -> list[str]:
    """Faults that no single key shows."""
    faults = []
    if not settings.regions:
        faults.append(f"{origin}: regions: expected at least one region")
    if not settings.modules:
        faults.append(f"{origin}: modules: expected at least one module")
    total = sum(region.weight for region in settings.regions.values())
    if settings.regions and total != 100:
        faults.append(f"{origin}: regions: weights must sum to 100, got {total}")
    if settings.history.step_s % settings.windows.bucket_s:
        faults.append(
            f"{origin}: history.step_s: expected a multiple of windows.bucket_s "
            f"({settings.windows.bucket_s}), got {settings.history.step_s}"
        )
    try:
        settings.history.layers()
    except ValueError as error:
        faults.append(f"{origin}: history: {error}")
    if settings.metrics.topic == settings.kafka.requests_topic:
        faults.append(
            f"{origin}: metrics.topic: is the request topic already; samples there count without it"
        )
    faults += [
        f"{origin}: modules.{module}.callers: {caller!r}: expected another key of modules"
        for module, callers in settings.callers().items()
        for caller in callers
        if caller not in settings.modules or caller == module
    ]
    for module, route in settings.routes.items():
        if module not in settings.modules:
            faults.append(f"{origin}: routes.{module}: expected a key of modules")
        faults += [
            f"{origin}: routes.{module}.hosts.{region}: expected a key of regions"
            for region in route.hosts
            if region not in settings.regions
        ]
    if settings.region not in settings.regions:
        faults.append(f"{origin}: region: expected one of {sorted(settings.regions)}")
    return faults
