"""Keeps linear algebra and trees to one thread, so that the same input gives the same bytes.

Fits and rolling origins run in it. Split over threads, sums come out otherwise in their last bits,
and on a busy machine threads that wait for each other make a fit many times slower.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import ThreadpoolController


@contextmanager
def one_thread() -> Iterator[None]:
    """For the whole process, until it ends: fits run one at a time. Only libraries that are loaded
    by now are held; whoever loads one inside asks again."""
    with _found().limit(limits=1):
        yield


def _found() -> ThreadpoolController:
    """Its libraries are looked up through a callback from C, in which an interrupt would be lost:
    it waits until they are found."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return ThreadpoolController()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
