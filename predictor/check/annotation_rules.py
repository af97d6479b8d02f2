"""Annotations of ours that cannot work as they are written: unreadable, unquoted, misspelled.

`rules.py` lists them. What a readable annotation allows is `opt_in_rules.py`'s.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from predictor.check.fields import mapping
from predictor.check.finding import Fault, Finding, Severity
from predictor.check.patches import Patch, patch_of
from predictor.check.scene import Scene, SceneObject
from predictor.core import opt_in
from predictor.core.opt_in import DOMAIN, STATE_DOMAIN, read_opt_in
from predictor.core.reasons import Code

_DOMAINS = (f"{DOMAIN}/", f"{STATE_DOMAIN}/")
KNOWN = frozenset(
    one for one in vars(opt_in).values() if isinstance(one, str) and one.startswith(_DOMAINS)
)
"""Every annotation that the service reads or writes."""
_SHOWN_MAX = 60


def unreadable(scene: Scene) -> Iterator[Finding]:
    """Annotations whose value cannot be read: nothing is allowed by a guess."""
    for hpa in scene.checked:
        for fault in read_opt_in(hpa.floor.annotations).faults:
            yield _finding(hpa.floor, fault, "correct or remove it")


def unquoted(scene: Scene) -> Iterator[Finding]:
    """Values that YAML takes for numbers: the API server refuses the whole object."""
    for one in _bearers(scene):
        for name, written in mapping(one.body, "metadata", "annotations").items():
            if isinstance(written, str) or not str(name).startswith(_DOMAINS):
                continue
            shown = str(written)[:_SHOWN_MAX]
            sentence = (
                f"{name} is {shown} without quotes; annotations are texts, so the API server "
                "refuses the whole object"
            )
            is_number = isinstance(written, int | float) and not isinstance(written, bool)
            patch = patch_of(one, annotations={name: shown}) if is_number else None
            yield _finding(one, sentence, f'write "{shown}" in quotes', patch)


def unknown(scene: Scene) -> Iterator[Finding]:
    """Names under our domain that nothing reads."""
    for one in _bearers(scene):
        for name in mapping(one.body, "metadata", "annotations"):
            if not str(name).startswith(_DOMAINS) or name in KNOWN:
                continue
            near = difflib.get_close_matches(str(name)[:_SHOWN_MAX], KNOWN, 1)
            yield Finding(
                Severity.WARNING,
                Fault.ANNOTATION_UNKNOWN,
                one.title,
                f"nothing reads the annotation {str(name)[:_SHOWN_MAX]}",
                f"write it as {near[0]}" if near else "take it out",
                one.place,
            )


def _bearers(scene: Scene) -> Iterator[SceneObject]:
    """The objects that carry the owner's word."""
    yield from (hpa.floor for hpa in scene.checked)
    yield from scene.of_kind("VirtualService")


def _finding(one: SceneObject, sentence: str, mend: str, patch: Patch | None = None) -> Finding:
    code = Code.ANNOTATION_UNREADABLE
    return Finding(Severity.ERROR, code, one.title, sentence, mend, one.place, patch)
