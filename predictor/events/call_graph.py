"""Which modules one workflow calls, and how long after Core each of them is asked.

`predictor/events/synthetic_load.py` draws by it. The six workflow templates and their stages are
MPLP's (v1.0.0-alpha, `workflow-template.manager.ts`); how often each is used is stated nowhere, so
they are taken as equally frequent. It must never be used as knowledge about a live system.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Template(NamedTuple):
    """A workflow: the modules it asks, one after the other or all at once."""

    name: str
    stages: tuple[str, ...]
    is_sequential: bool


class Call(NamedTuple):
    """A module is asked `per_workflow` times, `lag_s` seconds after the workflow came to Core."""

    module: str
    lag_s: float
    per_workflow: float


CORE = "core"
TEMPLATES = (
    Template(
        "full",
        ("context", "plan", "role", "confirm", "trace", "extension", "dialog", "collab", "network"),
        is_sequential=True,
    ),
    Template("quick collaboration", ("context", "role", "collab", "trace"), is_sequential=False),
    Template("secure approval", ("context", "role", "confirm", "trace"), is_sequential=True),
    Template("performance monitoring", ("context", "trace", "extension"), is_sequential=False),
    Template("intelligent dialog", ("context", "plan", "dialog", "trace"), is_sequential=True),
    Template("distributed network", ("context", "network", "collab", "trace"), is_sequential=False),
)


def calls_of(modules: Sequence[str], stage_s: float) -> list[Call]:
    """The calls of an average workflow among `modules`; a stage takes `stage_s` seconds.

    Core is asked at once. A module that no template knows is asked once, a stage after Core.
    """
    asked: dict[tuple[str, float], float] = {}
    for template in TEMPLATES:
        for number, module in enumerate(template.stages, 1):
            lag_s = stage_s * (number if template.is_sequential else 1)
            key = (module, lag_s)
            asked[key] = asked.get(key, 0.0) + 1 / len(TEMPLATES)
    known = {CORE} | {module for module, _ in asked}
    asked |= {(module, stage_s): 1.0 for module in modules if module not in known}
    asked[CORE, 0.0] = 1.0
    return [
        Call(module, lag_s, times) for (module, lag_s), times in asked.items() if module in modules
    ]
