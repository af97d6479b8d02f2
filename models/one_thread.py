"""Keeps linear algebra and trees to one thread, so that the same input gives the same bytes.

Fits and rolling origins run in it. Split over threads, sums come out otherwise in their last bits,
and on a busy machine threads that wait for each other make a fit many times slower.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import threadpool_limits


@contextmanager
def one_thread() -> Iterator[None]:
    """For the whole process, until it ends: fits run one at a time."""
    with threadpool_limits(limits=1):
        yield
