"""Blocks of demand as the demand table keeps them, for the tests of the history."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streams.demand_blocks import BlockKey, DemandBlock
from tests.core.core_values import US

BLOCK_BUCKETS = 60


def blocks_at(start_s: int, requests: NDArray[np.float64], partition: int = 0) -> list[DemandBlock]:
    """One block after the other of core in US, 60 buckets of 10 s each; whole blocks only."""
    return [
        DemandBlock(
            BlockKey("core", start_s + 600 * place, partition),
            10,
            ((US, False),),
            some[None, :],
            np.ones((1, BLOCK_BUCKETS), np.int64),
            np.zeros((1, BLOCK_BUCKETS)),
            np.zeros(BLOCK_BUCKETS, np.int64),
        )
        for place, some in enumerate(requests.reshape(-1, BLOCK_BUCKETS))
    ]
