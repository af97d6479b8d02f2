"""Writes `docs/reference/cli.md` from the real `--help` of every command.

Run `python -m scripts.cli_reference` after a change of the command line; a test in `tests/docs`
fails while the page differs. It must never describe a command in words of its own.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import typer.main

from predictor.cli import app

PAGE = Path("docs") / "reference" / "cli.md"
PROGRAM = "mplp-predictor"
WIDTH_CHARACTERS = 100
HEAD = """\
# Command line

Made from the program's own `--help` by `python -m scripts.cli_reference`; do not edit it by hand.

| exit code | when |
|---|---|
| 0 | done; for `run` also after SIGTERM or Ctrl-C |
| 1 | a negative answer: nothing to learn, convert or send; a topic the service cannot work with |
| 2 | usage or configuration; the message names file, line, key and what was expected |
| 3 | a broker, topic or file that cannot be reached, or that refuses us |
| 130 | ended with Ctrl-C |

Results go to standard output, everything else to standard error. `run` waits for a broker that is
away; it ends with 3 only for what no waiting mends: a missing demand topic, or no right to the
request topic, the group or the transactional id.
"""
# As the console script starts it, once for all commands: the program's own start takes longest.
_START = f"""
import contextlib, io, json, sys
sys.argv[0] = "{PROGRAM}"
from predictor.cli import main
found = {{}}
for command in json.load(sys.stdin):
    sys.argv[1:] = [*command.split(), "--help"]
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown), contextlib.suppress(SystemExit):
        main()
    found[command] = shown.getvalue()
json.dump(found, sys.stdout)
"""
_EXAMPLE = re.compile(rf"Example: ({PROGRAM} .*)")


def main() -> int:
    """Write the page."""
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
    return 0


def page() -> str:
    """The page as it should be."""
    sections = [_section(command) for command in ("", *commands())]
    return "\n".join([HEAD, *sections])


def commands() -> tuple[str, ...]:
    """Every command that a person can call, groups left out: `config show`, not `config`."""
    return tuple(_leaves(typer.main.get_command(app), ""))


def help_text(command: str) -> str:
    """What `mplp-predictor COMMAND --help` prints on a page of fixed width, without colours."""
    lines = [line.rstrip() for line in _help_texts()[command].splitlines()]
    return "\n".join(lines).strip("\n")


@cache
def _help_texts() -> dict[str, str]:
    plain = {"NO_COLOR": "1", "TERM": "dumb", "COLUMNS": str(WIDTH_CHARACTERS), "PYTHONUTF8": "1"}
    done = subprocess.run(
        [sys.executable, "-c", _START],
        input=json.dumps(["", *commands()]),
        capture_output=True,
        encoding="utf-8",
        check=True,
        timeout=60,
        env={"PATH": os.environ.get("PATH", ""), **plain},
    )
    found: dict[str, str] = json.loads(done.stdout)
    return found


def example(text: str) -> str | None:
    """The line of a help text that can be pasted."""
    found = _EXAMPLE.search(text)
    return found[1] if found else None


def _section(command: str) -> str:
    text = help_text(command)
    title = f"## {PROGRAM} {command}".rstrip()
    paste = example(text)
    shown = f"\n```sh\n{paste}\n```\n" if paste else ""
    return f"{title}\n{shown}\n```text\n{text}\n```\n"


def _leaves(command: object, name: str) -> Iterator[str]:
    """Typer's groups hold their commands by name; what holds none is a command."""
    inner: dict[str, object] = getattr(command, "commands", {})
    for word, one in inner.items():
        yield from _leaves(one, f"{name} {word}".strip())
    if not inner:
        yield name


if __name__ == "__main__":
    sys.exit(main())
