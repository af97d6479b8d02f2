"""Serves the probes from a thread of its own, so that they answer while the worker's loop hangs.

`predictor/worker.py` starts and stops it. It must never touch the worker's state, only read it.
"""

from __future__ import annotations

import threading

import uvicorn
from prometheus_client import CollectorRegistry

from predictor.settings import HttpSettings
from predictor.web.probes import Checks, LatestRecord, probe_app

STOP_TIMEOUT_S = 5.0


class ProbeServer:
    """One uvicorn server in a daemon thread; off the main thread it leaves signals alone."""

    def __init__(
        self,
        settings: HttpSettings,
        checks: Checks,
        registry: CollectorRegistry,
        latest: LatestRecord | None = None,
    ) -> None:
        config = uvicorn.Config(
            probe_app(checks, registry, latest),
            host=settings.host,
            port=settings.port,
            log_level="warning",
            access_log=False,
            lifespan="off",
            limit_concurrency=32,
            timeout_keep_alive=5,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, name="probes", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self) -> None:
        """Close the port; waits a few seconds at most."""
        self._server.should_exit = True
        self._thread.join(STOP_TIMEOUT_S)
