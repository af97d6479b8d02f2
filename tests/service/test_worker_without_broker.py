"""A worker whose broker is away waits: alive, not ready, and ended by SIGTERM in order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import yaml

from rigs.ports import free_ports

START_TIMEOUT_S = 120.0
"""Only a hanging worker needs it: beside two lanes of fits a start took longer than 30 s."""


def test_a_worker_that_waits_for_its_broker_is_live_and_not_ready(tmp_path: Path) -> None:
    broker_port, port = free_ports(2)
    config = tmp_path / "config.yaml"
    config.write_text(
        yaml.safe_dump(
            {"kafka": {"bootstrap_servers": f"127.0.0.1:{broker_port}"}, "http": {"port": port}}
        )
    )
    command = [sys.executable, "-m", "predictor.cli", "run", "--config", str(config)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ)
    try:
        live = asked_until_it_answers(f"http://127.0.0.1:{port}/livez")
        ready = httpx.get(f"http://127.0.0.1:{port}/readyz")
    finally:
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=20)

    assert live.status_code == 200
    assert (ready.status_code, ready.text) == (503, "[-]start the broker has not answered yet\n")
    assert process.returncode == 0, said
    assert "broker_unreachable" in said


def asked_until_it_answers(url: str) -> httpx.Response:
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            return httpx.get(url, timeout=2)
        except httpx.TransportError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(0.1)
