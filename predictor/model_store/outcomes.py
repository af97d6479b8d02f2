"""What became of a look at the model store; a label of the metrics.

`predictor/model_store/watcher.py` counts them, `predictor/telemetry.py` shows them. Nothing but
words may stand here, because the metrics must not load a store's drivers.
"""

from __future__ import annotations

from enum import StrEnum


class LoadOutcome(StrEnum):
    """What became of a look at the store that found something new, or failed."""

    LOADED = "loaded"
    """A version was opened and is in use."""
    REFUSED = "refused"
    """The promoted version did not pass a check."""
    UNREACHABLE = "unreachable"
    """The store did not answer, or not in time."""
