"""Holds the lengths of files and functions to the house ratchet; `make lint` calls it.

It must never be loosened: a number here may only go down. Files have at most 400 lines, functions
6 / 25 / 55 lines at the median, the 95th percentile and the most.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

FILE_LINES_MAX = 400
FUNCTION_LINES = {0.5: 6, 0.95: 25, 1.0: 55}
FOLDERS = ("predictor", "models", "streams", "rigs", "scripts", "tests")
BANNED_NAMES = {"utils", "helpers", "common", "manager", "misc"}


def main() -> int:
    """Print what is too long and return 1 if anything is."""
    files = [path for folder in FOLDERS for path in sorted(Path(folder).rglob("*.py"))]
    faults = [
        f"{path}: {lines} lines, at most {FILE_LINES_MAX}"
        for path in files
        if (lines := len(path.read_text().splitlines())) > FILE_LINES_MAX
    ]
    faults += [
        f"{path}: choose a noun of the design" for path in files if path.stem in BANNED_NAMES
    ]
    faults += _function_faults([path for path in files if path.parts[0] != "tests"])
    print("\n".join(faults) or f"lengths: {len(files)} files within the ratchet")
    return 1 if faults else 0


def _function_faults(files: list[Path]) -> list[str]:
    functions = sorted(found for path in files for found in _functions(path))
    if not functions:
        return []
    faults = []
    for share, lines_max in FUNCTION_LINES.items():
        lines, where = functions[min(int(share * len(functions)), len(functions) - 1)]
        if lines > lines_max:
            faults.append(f"functions: {lines} lines at {share:.0%} ({where}), at most {lines_max}")
    return faults


def _functions(path: Path) -> Iterator[tuple[int, str]]:
    """Body lines of each function, its docstring not counted: explaining is never too long."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) and len(node.body) > 1 else node.body
            lines = (body[-1].end_lineno or 0) - body[0].lineno + 1
            yield lines, f"{path}:{node.lineno} {node.name}"


if __name__ == "__main__":
    sys.exit(main())
