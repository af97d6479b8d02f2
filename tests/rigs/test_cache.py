import subprocess
import sys
from pathlib import Path

import pytest

from rigs import cache

BUILD_SLOWLY = """
import sys, time
from pathlib import Path
from rigs import cache

def build(folder):
    time.sleep(0.5)
    (folder / "built").touch()
    print("built")

assert (cache.folder("thing", [Path(sys.argv[1])], "build a thing", build) / "built").exists()
"""


@pytest.fixture
def pin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MPLP_RIGS_CACHE", str(tmp_path / "cache"))
    pin = tmp_path / "pins"
    pin.write_text("thing 1.0")
    return pin


def test_thing_is_built_once_and_again_when_its_pins_change(pin: Path) -> None:
    built: list[Path] = []

    first = cache.folder("thing", [pin], "build a thing", built.append)
    again = cache.folder("thing", [pin], "build a thing", built.append)
    pin.write_text("thing 1.1")
    changed = cache.folder("thing", [pin], "build a thing", built.append)

    assert first == again != changed
    assert len(built) == 2


def test_build_that_fails_leaves_nothing_to_be_found(pin: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise RuntimeError("no network")

    with pytest.raises(RuntimeError, match="no network"):
        cache.folder("thing", [pin], "build a thing", fail)

    assert [one.name for one in cache.root().iterdir()] == ["thing.lock"]


def test_two_builds_at_once_build_once(pin: Path) -> None:
    command = [sys.executable, "-c", BUILD_SLOWLY, str(pin)]

    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]

    assert sorted(one.communicate(timeout=60)[0] for one in both) == ["", "built\n"]
