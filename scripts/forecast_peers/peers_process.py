"""The process in which peers forecast: a request's file in, a group's forecasts out.

`measured.py` starts it in the peers' own environment, from the root of the repository. It imports
nothing of ours but this package, and writes its file only when all is done.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from scripts.forecast_peers.kept import write_forecasts
from scripts.forecast_peers.past import Forecasts, Past, past_of
from scripts.forecast_peers.request import read_request


def main(arguments: list[str]) -> int:
    """Forecast one group: REQUEST.npz GROUP STATS RESULT.npz."""
    request_file, group, stats, result = arguments
    request = read_request(Path(request_file))
    write_forecasts(Path(result), request, _forecasts(past_of(request), group, int(stats)))
    return 0


def _forecasts(past: Past, group: str, stats: int) -> Forecasts:
    # Each group imports packages that take seconds and that the others do not need.
    module = importlib.import_module(f"scripts.forecast_peers.{group}")
    asked = [stats] if group == "statistical" else []
    found: Forecasts = module.forecasts(past, *asked)
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
