"""The rigs as pytest fixtures: started when the first test asks, once for each session.

Loaded by the root conftest as a plugin. A rig that cannot be built fails the test with
the reason. Must never skip a test, or lose the logs of a session in which one failed.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import pytest

from rigs.artifacts import BuildError, kafka_jars, kubernetes_servers
from rigs.kafka import KafkaBroker
from rigs.kubernetes import ControlPlane
from rigs.process import ServerError
from rigs.secured_kafka import SecuredKafkaBroker
from rigs.toolchain import ToolMissingError

_KEPT_LOGS = Path("build") / "rig-logs"
_WAS_KEPT = pytest.StashKey[list[Path]]()
_CANNOT_RUN = (BuildError, ServerError, ToolMissingError)
_BUILDS = {
    "kafka_broker": kafka_jars,
    "own_kafka_broker": kafka_jars,
    "secured_kafka_broker": kafka_jars,
    "control_plane": kubernetes_servers,
    "own_control_plane": kubernetes_servers,
}

_Rig = TypeVar("_Rig", KafkaBroker, SecuredKafkaBroker, ControlPlane)


@pytest.fixture(scope="session")
def kafka_broker(request: pytest.FixtureRequest) -> Iterator[KafkaBroker]:
    """A broker for the whole session: name topics and groups after the test."""
    broker = KafkaBroker()
    yield from _running(broker, request.session)


@pytest.fixture(scope="session")
def control_plane(request: pytest.FixtureRequest) -> Iterator[ControlPlane]:
    """A cluster for the whole session: make a namespace for each test."""
    plane = ControlPlane()
    yield from _running(plane, request.session)


@pytest.fixture(scope="session")
def secured_kafka_broker(request: pytest.FixtureRequest) -> Iterator[SecuredKafkaBroker]:
    """A broker with passwords and certificates for the session: make a user for each test."""
    yield from _running(SecuredKafkaBroker(), request.session)


@pytest.fixture
def own_kafka_broker(request: pytest.FixtureRequest) -> Iterator[KafkaBroker]:
    """A broker for one test, which nobody else's work slows down."""
    yield from _running(KafkaBroker(), request.session, "own")


@pytest.fixture
def own_control_plane(request: pytest.FixtureRequest) -> Iterator[ControlPlane]:
    """A cluster for one test: other tests leave HPAs that are synced, too."""
    yield from _running(ControlPlane(), request.session, "own")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build before the first test starts: a build takes longer than a test may."""
    wanted = {name for item in session.items for name in getattr(item, "fixturenames", ())}
    if session.config.option.collectonly:
        return
    for fixture, build in _BUILDS.items():
        if fixture in wanted:
            # What fails here fails again in the fixture, where a test can report it.
            with suppress(*_CANNOT_RUN):
                build()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say where the servers' logs are, if they were kept."""
    for folder in terminalreporter.config.stash.get(_WAS_KEPT, []):
        terminalreporter.write_line(f"logs of the rig: {folder}")


def _running(rig: _Rig, session: pytest.Session, label: str = "") -> Iterator[_Rig]:
    try:
        failure = _failure_to_start(rig)
        if failure:
            pytest.fail(failure, pytrace=False)
        yield rig
    finally:
        if session.testsfailed or not rig.is_running:
            _keep_logs(rig, session.config, label)
        rig.stop()


def _failure_to_start(rig: KafkaBroker | ControlPlane) -> str | None:
    try:
        rig.start()
    except _CANNOT_RUN as error:
        return f"the rig could not be started: {error}"
    return None


def _keep_logs(rig: KafkaBroker | ControlPlane, config: pytest.Config, label: str) -> None:
    name = f"{label}{type(rig).__name__}"
    logs = rig.logs()
    if not logs:
        return
    kept = config.rootpath / _KEPT_LOGS / name
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    for log in logs:
        shutil.copyfile(log, kept / log.name)
    config.stash.setdefault(_WAS_KEPT, []).append(kept)
