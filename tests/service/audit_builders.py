"""Audit records as a service writes them: a chain of decisions on a cluster that obeys, or not."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from predictor.cli import app
from predictor.core.audit import encode_record
from predictor.core.cluster import Applied, NotApplied, Outcome, TargetKey
from predictor.core.decide import decide
from predictor.core.policy import ModulePolicy, Policy
from predictor.core.reasons import Code, Reason
from predictor.core.state import State, new_state
from tests.core.core_values import CORE, NOW_S, an_hpa, some_inputs

TICK_S = 15.0
POD_START_TICKS = 4
QUICK = ModulePolicy(
    release_interval_s=15.0,
    hold_after_raise_s=30.0,
    step_up_interval_s=15.0,
    pod_load_ratio=1.0,
    hold_s=600.0,
)
SHADOW = NotApplied(Reason(Code.SHADOW, "in shadow mode nothing is written"))
"""As the service says it."""


class Recorder:
    """One service and its targets; every tick gives a record. Pods are Ready a minute later."""

    def __init__(
        self,
        policy: Policy | None = None,
        *,
        targets: Sequence[TargetKey] = (CORE,),
        active: bool = True,
        now_s: float = NOW_S,
        inputs: Mapping[str, Any] | None = None,
    ) -> None:
        self.policy = policy or Policy(defaults=QUICK, warm_up_s=0.0)
        self.state: State = new_state()
        self.records: list[bytes] = []
        self.now_s = now_s
        self.floors: dict[TargetKey, int] = dict.fromkeys(targets, 3)
        self._active = active
        self._inputs = dict(inputs or {})
        self._history: list[dict[TargetKey, int]] = []

    def tick(
        self,
        demand: Mapping[Any, float] | float,
        peak: Mapping[Any, float] | float | None = None,
        ticks: int = 1,
    ) -> None:
        """Decide so many times under this demand and this forecast of its peak."""
        for _ in range(ticks):
            self._tick(demand, demand if peak is None else peak)

    def restart(self) -> None:
        """The memory is gone; the cluster's is not."""
        self.state = new_state()

    def _tick(self, demand: Mapping[Any, float] | float, peak: Mapping[Any, float] | float) -> None:
        self._history.append(dict(self.floors))
        ready = self._history[max(len(self._history) - 1 - POD_START_TICKS, 0)]
        hpas = [
            an_hpa(key, min_replicas=floor, ready_replicas=max(min(ready[key], floor), 1))
            for key, floor in self.floors.items()
        ]
        inputs = some_inputs(hpas, demand=demand, peak=peak, **self._inputs)
        before = self.state
        decision, self.state = decide(inputs, self.policy, before, self.now_s)
        intents = decision.floor_intents
        if self._active:
            self.floors |= {one.key: one.floor for one in intents}
        came: Outcome = Applied("2") if self._active else SHADOW
        outcomes = [(one.key, came) for one in intents]
        outcomes += [(TargetKey(one.route.module, "*"), came) for one in decision.weight_intents]
        self.records.append(encode_record(inputs, self.policy, before, decision, outcomes))
        self.now_s += TICK_S


def a_morning(**settings: Any) -> list[bytes]:
    """Quiet, then a rise that the forecast saw coming, then quiet again."""
    recorder = Recorder(**settings)
    recorder.tick(200.0, ticks=4)
    recorder.tick(250.0, peak=900.0, ticks=10)
    recorder.tick(880.0, ticks=20)
    recorder.tick(150.0, ticks=30)
    return recorder.records


def written(records: Iterable[bytes], path: Path) -> Path:
    """One record a line, packed where the name says so."""
    body = b"".join(record + b"\n" for record in records)
    path.write_bytes(gzip.compress(body, 1) if path.suffix == ".gz" else body)
    return path


def called(*arguments: object, **options: Any) -> Result:
    """The command as a person would call it."""
    environment = {"NO_COLOR": "1", "COLUMNS": "120", **options.pop("env", {})}
    return CliRunner().invoke(app, list(map(str, arguments)), env=environment, **options)
