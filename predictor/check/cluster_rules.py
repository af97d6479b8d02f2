"""What a running cluster grants and guards: rights, admission policy, clock, and what it hides."""

from __future__ import annotations

from collections.abc import Iterator

from predictor.check.finding import Fault, Finding, Severity
from predictor.check.scene import Scene
from predictor.core.floor_object import SCALED_OBJECT_KIND
from predictor.core.reasons import Code

CLOCK_SKEW_S_MAX = 2.0
"""Beyond this, instants that this machine writes (`until`) and the server's own differ too much;
the Date header itself is exact to a second."""


def rights(scene: Scene) -> Iterator[Finding]:
    """Verbs that the service's account lacks, one finding for each namespace, verb and resource."""
    if scene.live is None:
        return
    missing: dict[tuple[str, str, str], list[str]] = {}
    for one in scene.live.rights:
        if not one.is_allowed:
            key = (one.namespace, one.verb, f"{one.resource}.{one.group}".rstrip("."))
            missing.setdefault(key, []).append(one.name)
    for (namespace, verb, resource), names in missing.items():
        which = ", ".join(filter(None, names))
        folder = "keda" if resource.endswith(SCALED_OBJECT_KIND.group) else "base"
        sentence = f"{scene.live.whose_rights} may not {verb} {resource} {which}".strip()
        yield Finding(
            Severity.ERROR,
            Fault.RIGHT_MISSING,
            f"Namespace {namespace}",
            sentence,
            f"kubectl apply -k deploy/{folder}, with this namespace in its Roles",
        )


def guard(scene: Scene) -> Iterator[Finding]:
    """Whether the server itself refuses a floor outside the owner's band."""
    if scene.live is not None and scene.live.has_guard is False:
        is_required = scene.settings.guard.required
        yield Finding(
            Severity.ERROR if is_required else Severity.WARNING,
            Code.NOT_GUARDED,
            "cluster",
            "no ValidatingAdmissionPolicy with a denying binding holds floors inside the band",
            "kubectl apply -k deploy/guard"
            + ("; until then the service stays in shadow" if is_required else ""),
        )
    if scene.live is not None and scene.live.has_keda_guard is False:
        made = [hpa for hpa in scene.checked if hpa.made_from is not None]
        if made:
            yield Finding(
                Severity.ERROR if scene.settings.guard.required else Severity.WARNING,
                Code.NOT_GUARDED,
                "cluster",
                "no ValidatingAdmissionPolicy holds floors on ScaledObjects inside the band",
                "kubectl apply -k deploy/guard-keda",
            )


def switch(scene: Scene) -> Iterator[Finding]:
    """Whether somebody switched the whole service off."""
    off = None if scene.live is None else scene.live.switched_off
    if off is not None:
        sentence = f"the service is switched off: {off[:200]}"
        mend = "mplp-predictor on, once the reason is gone"
        yield Finding(Severity.WARNING, Code.SWITCHED_OFF, "cluster", sentence, mend)


def clock(scene: Scene) -> Iterator[Finding]:
    """How far this machine's clock is from the API server's."""
    ahead_s = None if scene.live is None else scene.live.clock_ahead_s
    if ahead_s is not None and abs(ahead_s) > CLOCK_SKEW_S_MAX:
        side = "ahead of" if ahead_s > 0 else "behind"
        yield Finding(
            Severity.ERROR,
            Fault.CLOCK_SKEW,
            "cluster",
            f"this machine's clock is {abs(ahead_s):.1f} s {side} the API server's",
            "synchronise both by NTP: floors would run out too early or too late",
        )


def unread(scene: Scene) -> Iterator[Finding]:
    """What could not be looked at; nothing is said about it."""
    for what, why in scene.unread:
        mend = "give this account the right to list it, if it matters here"
        yield Finding(Severity.NOTE, Fault.COULD_NOT_LOOK, what, why, mend)
