"""All rows of a batch in blocks, so that what is held of each several times over stays bounded.

`models/quantile_mix.py`, `models/level_model.py` and `models/step_quantiles.py` call it at each
forecast. It must never leave a row out.
"""

from __future__ import annotations

ROWS_AT_ONCE = 2048


def row_blocks(rows: int) -> list[slice]:
    """Slices of at most `ROWS_AT_ONCE` rows; an empty one where there are none, so that its result
    has a shape."""
    begins = range(0, max(rows, 1), ROWS_AT_ONCE)
    return [slice(begin, begin + ROWS_AT_ONCE) for begin in begins]
