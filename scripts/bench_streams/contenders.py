"""Who takes part, and how each one's process is started.

`race.py` starts them. An environment or the JVM's classes are made on first use and kept in the
cache of the rigs, one folder for each set of pins.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Literal, NamedTuple
from xml.etree import ElementTree as ET

from rigs import artifacts, cache, toolchain

_PEERS = Path(__file__).parent / "peers"
_JAVA = _PEERS / "java"
_MAIN_CLASS = "WindowedCount"
_MODULES = "scripts.bench_streams.peers"
_HEAP = "-Xmx1g"

Checked = Literal["buckets", "minutes", "closed minutes", "number"]
"""What of a contender's result is held against the truth."""

Command = list[str | Path]


class MissingError(RuntimeError):
    """A contender cannot run here; the message says what is missing."""


class Contender(NamedTuple):
    """One row's program: what it checks, and whether it is so slow that it gets a short topic."""

    name: str
    title: str
    command: Callable[[], Command]
    checked: Checked
    more: str = "{}"
    is_slow: bool = False


def base_command() -> Command:
    """aiokafka in our own environment."""
    return [sys.executable, "-m", f"{_MODULES}.aiokafka_counter"]


def our_command() -> Command:
    """Our worker."""
    return [sys.executable, "-m", f"{_MODULES}.our_ingest"]


def _faust_command() -> Command:
    return [sys.executable, "-m", f"{_MODULES}.faust_agent"]


def _confluent_command() -> Command:
    return [_environment("confluent"), "-m", f"{_MODULES}.confluent_counter"]


def _quix_command() -> Command:
    return [_environment("quix"), "-m", f"{_MODULES}.quix_window"]


def _kafka_streams_command() -> Command:
    pins = [_JAVA / "pom.xml", _JAVA / f"{_MAIN_CLASS}.java"]
    what = "fetch and compile Kafka Streams (80 MB, about 20 s)"
    folder = cache.folder("bench-kafka-streams", pins, what, _compile)
    return [toolchain.java().program, _HEAP, "-cp", f"{folder}/*:{folder}", _MAIN_CLASS]


OURS = Contender("ours", "our ingest, the whole job", our_command, "buckets")
BASE = Contender("aiokafka", "aiokafka + msgspec (base)", base_command, "minutes")
CONTENDERS = (
    OURS,
    BASE,
    Contender("confluent", "confluent-kafka + msgspec", _confluent_command, "minutes"),
    Contender(
        "fetch",
        "confluent-kafka, nothing decoded",
        _confluent_command,
        "number",
        json.dumps({"decode": False}),
    ),
    Contender(
        "kafka-streams", "Kafka Streams, window in memory", _kafka_streams_command, "minutes"
    ),
    Contender("faust", "Faust agent", _faust_command, "minutes", is_slow=True),
    Contender(
        "quix", "Quix Streams, tumbling window", _quix_command, "closed minutes", is_slow=True
    ),
)


def versions(contenders: Sequence[Contender]) -> dict[str, str]:
    """What is measured, from the pins and from our own environment."""
    found = {name: version(name) for name in ("mplp-predictor", "aiokafka", "msgspec", "cramjam")}
    names = {contender.name for contender in contenders}
    if "faust" in names:
        found["faust-streaming"] = version("faust-streaming")
    if names & {"confluent", "fetch"}:
        found["confluent-kafka"] = _locked_version("confluent", "confluent-kafka")
    if "quix" in names:
        found["quixstreams"] = _locked_version("quix", "quixstreams")
    if "kafka-streams" in names:
        for dependency in ET.parse(_JAVA / "pom.xml").getroot().iter("dependency"):
            found[dependency.findtext("artifactId", "")] = dependency.findtext("version", "")
    return found


def _locked_version(environment: str, package: str) -> str:
    found = re.search(rf"(?m)^{package}==(\S+)", (_PEERS / f"{environment}.lock").read_text())
    return found[1] if found else "unknown"


def _environment(name: str) -> Path:
    """The Python of a peer's own environment."""
    lock = _PEERS / f"{name}.lock"

    def install(folder: Path) -> None:
        python = folder / "bin" / "python"
        _run([sys.executable, "-m", "venv", folder])
        pip: Command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _run([*pip, "--require-hashes", "--requirement", lock])

    what = f"install the {name} peer (about 20 s)"
    # A virtual environment holds its own path in its scripts, so it is made in place.
    folder = cache.folder(f"bench-{name}", [lock], what, install, in_place=True)
    return folder / "bin" / "python"


def _compile(folder: Path) -> None:
    compiler, maven = shutil.which("javac"), toolchain.maven_on_path()
    if compiler is None or maven is None:
        raise MissingError("Kafka Streams needs a JDK and Maven on PATH")
    goal = ["dependency:copy-dependencies", f"-DoutputDirectory={folder}"]
    _run([maven.program, "-q", "-B", "-f", _JAVA / "pom.xml", *goal])
    _run([compiler, "-cp", f"{folder}/*", "-d", folder, _JAVA / f"{_MAIN_CLASS}.java"])


def _run(command: Command) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = ((done.stderr or done.stdout).strip().splitlines() or ["no reason given"])[-1]
        shown = " ".join(str(part) for part in command[:4])
        raise artifacts.BuildError(f"`{shown} ...` failed: {last}")
