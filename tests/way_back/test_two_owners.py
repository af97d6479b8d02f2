"""Two live owners of one partition: the one that was stopped meanwhile changes nothing."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rigs.credentials import PREDICTOR
from rigs.kubernetes import ControlPlane
from tests.way_back.guarded_worlds import GuardedWorld, until

pytestmark = pytest.mark.real

ROOT = Path(__file__).parents[2]
TIMES = "3,2,0.3"
"""Lease, renew deadline and retry in seconds, where they are 15, 10 and 2 in service."""


class Owner:
    """A process of `fenced_worker.py`."""

    def __init__(self, world: GuardedWorld, path: str, kubeconfig: Path, times: str) -> None:
        told = {"HPA": path, "LEASES": world.namespace, "KUBECONFIG": str(kubeconfig)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.way_back.fenced_worker"],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, **told, "TIMES": times},
        )  # fmt: skip

    def say(self, line: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(line, file=self._process.stdin, flush=True)
        return self._process.stdout.readline().strip()

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def end(self) -> None:
        self._process.send_signal(signal.SIGCONT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.communicate(timeout=10)
        self._process.kill()
        self._process.wait()


@pytest.fixture
def world(control_plane: ControlPlane) -> GuardedWorld:
    return GuardedWorld(control_plane)


@pytest.fixture
def owners(
    world: GuardedWorld, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[tuple[Owner, Owner, str]]:
    times = getattr(request, "param", TIMES)
    path = world.hpa()
    world.await_guard(path)
    kubeconfig = world.kubeconfig(tmp_path, PREDICTOR)
    made = [Owner(world, path, kubeconfig, times)]
    until(lambda: made[0].say("write 4") == "wrote 4 under 1", "the first one's lease")
    made.append(Owner(world, path, kubeconfig, times))
    yield made[0], made[1], path
    for one in made:
        one.end()


def test_the_one_that_slept_through_a_takeover_finds_itself_out_and_is_refused(
    world: GuardedWorld, owners: tuple[Owner, Owner, str]
) -> None:
    first, second, path = owners
    assert second.say("write 6").startswith("NotFenced: Lease mplp-predictor-us-east-1-0")

    first.signal(signal.SIGSTOP)
    until(lambda: second.say("write 6") == "wrote 6 under 2", "the takeover")
    first.signal(signal.SIGCONT)

    assert first.say("write 8").startswith("NotFenced: Lease mplp-predictor-us-east-1-0")
    assert "another worker has taken over since" in first.say("force 8")
    assert world.floor(path) == 6
    assert second.say("write 7") == "wrote 7 under 2"


@pytest.mark.parametrize("owners", ["90,60,0.3"], indirect=True)
def test_one_that_ends_lets_the_next_one_in_without_waiting(
    owners: tuple[Owner, Owner, str],
) -> None:
    first, second, _ = owners
    assert second.say("write 5").startswith("NotFenced")

    first.end()

    until(lambda: second.say("write 5") == "wrote 5 under 2", "the takeover of a long lease")
