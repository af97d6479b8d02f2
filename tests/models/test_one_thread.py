"""Trees grow and answer on one thread, in a process that had not loaded scikit-learn before too."""

from __future__ import annotations

import os
import subprocess
import sys

ROWS = 500
"""More than are asked by tables of our own."""
THREADS = "\nimport os; print(len(os.listdir('/proc/self/task')))"
LOADED = "import sklearn.ensemble"
GROWN_AND_ASKED = f"""
import sys
import numpy as np
from models import boosted_quantiles
from models.one_thread import one_thread

assert "sklearn" not in sys.modules, "whoever grows no trees need not load it"
boosted_quantiles.ITERATIONS = 2
columns = np.random.default_rng(1).random(({ROWS}, 3))
with one_thread():
    grown = boosted_quantiles.fit_boosted_quantiles(columns, columns[:, 0], (0.1, 0.5, 0.9), 0)
grown.predict(columns)
"""


def threads_after(program: str) -> int:
    """The threads of a process that may use two; a pool that was used stays."""
    two_are_allowed = {**os.environ, "OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program + THREADS],
        capture_output=True, text=True, timeout=120, check=True, env=two_are_allowed,
    )  # fmt: skip
    return int(done.stdout)


def test_trees_use_one_thread_however_late_scikit_learn_is_loaded() -> None:
    assert threads_after(GROWN_AND_ASKED) == threads_after(LOADED)
