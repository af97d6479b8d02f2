"""Files that could not be looked at: nothing is said of what they hold, so that has to be said.

`manifest_source.py` finds them; what a cluster hides is `cluster_rules.py`'s.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath

from predictor.check.finding import Fault, Finding, Severity
from predictor.check.scene import Scene, Unread, UnreadFile

_MENDS = {
    Unread.BROKEN: "mend the file: whoever applies it fails, too",
    Unread.TEMPLATE: "render it first: helm template CHART | mplp-predictor check -",
    Unread.TOO_LARGE: "split it",
    Unread.REFUSED: "give this account the right to read it",
    Unread.NO_OBJECT: "leave it out, or give it apiVersion and kind, if it is to be applied",
}
_SEVERITIES = {
    Unread.BROKEN: Severity.ERROR,
    Unread.REFUSED: Severity.ERROR,
    Unread.TEMPLATE: Severity.WARNING,
    Unread.TOO_LARGE: Severity.WARNING,
    Unread.NO_OBJECT: Severity.NOTE,
}
_NAMES_MAX = 3


def unread_files(scene: Scene) -> Iterator[Finding]:
    """Broken files and templates one by one, files without an object together."""
    for one in scene.unread_files:
        if one.why is not Unread.NO_OBJECT:
            yield _finding(one.why, one.place, one.sentence)
    yield from _without_object([one for one in scene.unread_files if one.why is Unread.NO_OBJECT])


def nothing_read(scene: Scene) -> Iterator[Finding]:
    """Not one object: a wrong path must not look like a sound platform."""
    if not scene.objects and scene.live is None:
        yield Finding(
            Severity.ERROR,
            Fault.NO_TARGET,
            "everything read",
            "no Kubernetes object was read",
            "name .yaml, .yml or .json files or their folders, or pipe in what kubectl kustomize "
            "or helm template renders",
        )


def _without_object(files: list[UnreadFile]) -> Iterator[Finding]:
    if files:
        names = ", ".join(PurePath(one.place).name for one in files[:_NAMES_MAX])
        more = f" and {len(files) - _NAMES_MAX} more" if len(files) > _NAMES_MAX else ""
        where = files[0].place if len(files) == 1 else f"{len(files)} files"
        yield _finding(Unread.NO_OBJECT, where, f"no Kubernetes object in {names}{more}")


def _finding(why: Unread, place: str, sentence: str) -> Finding:
    return Finding(_SEVERITIES[why], Fault.COULD_NOT_LOOK, place, sentence, _MENDS[why])
