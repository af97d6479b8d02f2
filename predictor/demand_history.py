"""History of the service's own: a file of request events, or the demand topic.

`predictor/history_options.py` calls it. Either goes through the same decoding, windows and series
as live. It must never write to a topic.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import numpy as np

from models.series import in_double
from predictor.core.history import History
from predictor.file_demand import file_demand
from predictor.history_sources.history import HistoryRefused, SourceHistory
from predictor.history_topic import AFTER_EVERYTHING_S, read_history
from predictor.settings import Settings
from predictor.wiring import event_catalog


def demand_history(settings: Settings, events: Path | None) -> SourceHistory:
    """The file's events, or the topic's demand; raises `HistoryRefused`, `OSError`, `EOFError`."""
    source = settings.kafka.demand_topic if events is None else events.name
    try:
        history, counts = (
            asyncio.run(read_history(settings)) if events is None else _from_file(settings, events)
        )
    except (FileNotFoundError, IsADirectoryError):
        raise
    except (OSError, EOFError) as error:
        raise _named(error, events) from error
    batch = in_double(history.series(AFTER_EVERYTHING_S))
    if not np.isfinite(batch.values).any():
        raise HistoryRefused(f"no series holds a whole step; records: {dict(counts) or 'none'}")
    told = ", ".join(f"{count:,} {what}" for what, count in sorted(counts.items()))
    return SourceHistory(source, batch, (f"{source}: {told}",))


def _from_file(settings: Settings, path: Path) -> tuple[History, Counter[str]]:
    windows = settings.windows
    history, counts = settings.new_history(), Counter[str]()
    catalog = event_catalog(settings)
    for found in file_demand(
        path, catalog, bucket_s=windows.bucket_s, lateness_s=windows.lateness_s, counts=counts
    ):
        for part in found.parts:
            history.add(part)
        history.advance(found.progress)
        history.series(AFTER_EVERYTHING_S)
    return history, counts


def _named(error: OSError | EOFError, events: Path | None) -> OSError:
    return OSError(str(error) if events is None else f"{events}: {error}")
