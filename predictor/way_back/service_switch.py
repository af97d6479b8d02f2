"""Switches the whole service off and on: one ConfigMap in the service's namespace.

`mplp-predictor off` and `on` write it; workers, the restorer and an admission policy read it. It
must never touch anything else in that ConfigMap.
"""

from __future__ import annotations

import datetime as dt
import getpass
import socket
from typing import Any

from predictor.actuators.connection import APPLY, Connection
from predictor.actuators.refusal import refusal
from predictor.actuators.switch import IN_STEPS, OFF_KEY, PACE_KEY, SWITCH, switch_path
from predictor.core.opt_in import FIELD_MANAGER
from predictor.core.reasons import Code, Reason

_MERGE_PATCH = "application/merge-patch+json"
_NOT_FOUND = 404
_TEXT_MAX = 500
_APPLY_QUERY = [("fieldManager", FIELD_MANAGER), ("force", "true")]


async def switch_off(
    connection: Connection, namespace: str, sentence: str, *, in_steps: bool
) -> Reason | None:
    """Off from now on; None when done. Raises `ClusterUnreachable`."""
    body: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": SWITCH,
            "namespace": namespace,
            "labels": {"app.kubernetes.io/name": "mplp-predictor"},
        },
        "data": {OFF_KEY: sentence[:_TEXT_MAX], **({PACE_KEY: IN_STEPS} if in_steps else {})},
    }
    answer = await connection.patch(switch_path(namespace), body, APPLY, _APPLY_QUERY)
    if answer.ok:
        return None
    if answer.status == _NOT_FOUND:
        return Reason(Code.TARGET_MISSING, f"namespace {namespace} does not exist")
    return refusal(answer, f"ConfigMap {namespace}/{SWITCH}")


async def switch_on(connection: Connection, namespace: str) -> Reason | None:
    """On again, whoever switched it off; None when done. Raises `ClusterUnreachable`."""
    body = {"data": {OFF_KEY: None, PACE_KEY: None}}
    answer = await connection.patch(switch_path(namespace), body, _MERGE_PATCH)
    if answer.ok or answer.status == _NOT_FOUND:
        return None
    return refusal(answer, f"ConfigMap {namespace}/{SWITCH}")


def off_sentence(now: dt.datetime, reason: str) -> str:
    """When, who and why, for whoever finds the service off in the morning."""
    at = f"{now.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S} UTC"
    return f"{at} by {_who()}: {reason}" if reason else f"{at} by {_who()}"


def _who() -> str:
    try:
        return f"{getpass.getuser()}@{socket.gethostname()}"
    except (OSError, KeyError):
        # A user id that no account file knows, as in a container.
        return socket.gethostname()
