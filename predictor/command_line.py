"""What was called, for the files that a command writes.

`predictor/backtest_cli.py` and `predictor/simulate_cli.py` put it into their pages. It must never
hold a secret.
"""

from __future__ import annotations

import shlex
import sys


def command_line() -> str:
    """The command as it was typed; a password in an address is left out."""
    shown = []
    for word in sys.argv[1:]:
        scheme, mark, rest = word.partition("://")
        host, slash, path = rest.partition("/")
        shown.append(f"{scheme}{mark}{host.rpartition('@')[2]}{slash}{path}" if mark else word)
    return shlex.join(["mplp-predictor", *shown])
