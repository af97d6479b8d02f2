"""One thing that a check found: how bad, where, what, and how to mend it.

Rules make them, `predictor/check_cli.py` and `report.py` show them. Values only.
"""

from __future__ import annotations

import enum
from typing import Any

import msgspec

from predictor.core.reasons import Code


class Severity(enum.StrEnum):
    """How much it matters; in this order findings are shown."""

    ERROR = "error"
    """The service cannot act on the object, or what it acts on does not work."""
    WARNING = "warning"
    """It can act, and the result will surprise or cost."""
    NOTE = "note"
    """Worth knowing; nothing has to be done."""


class Fault(enum.StrEnum):
    """What only a check finds; what the service itself would say keeps its own `Code`."""

    TARGET_KIND = "TargetKind"
    """The HPA scales something else than a Deployment."""
    NO_TARGET = "NoTarget"
    """Nothing here is configured or carries an annotation of ours."""
    NOT_COVERED = "NotCovered"
    """Configured modules have no HPA here, so they are only forecast."""
    SPEC_REFUSED = "SpecRefused"
    """The API server would refuse the HPA's spec."""
    ABOVE_MAX_REPLICAS = "BandAboveMaxReplicas"
    """The owner's floor or ceiling is above maxReplicas."""
    NOT_ABLE_TO_SCALE = "NotAbleToScale"
    """The HPA's own condition AbleToScale is False."""
    AT_MAX_REPLICAS = "AtMaxReplicas"
    """The HPA's metrics ask for more than maxReplicas."""
    METRIC_NOT_SERVED = "MetricNotServed"
    """No metrics API serves what the HPA scales on."""
    METRIC_NEEDS_ADAPTER = "MetricNeedsAdapter"
    """The HPA scales on a metric that only an installed adapter can serve."""
    OBJECT_VALUE = "ObjectValue"
    """An Object metric of type Value multiplies replicas for as long as it lasts."""
    WORK_OF_ANOTHER = "WorkOfAnother"
    """The metric counts the work of another module than the one that is scaled."""
    METRIC_UNIT = "MetricUnit"
    """A target in thousandths of a metric whose name says no unit."""
    MEMORY_METRIC = "MemoryMetric"
    """Memory seldom falls with load, so the HPA seldom scales down."""
    ANNOTATION_UNKNOWN = "AnnotationUnknown"
    """An annotation under our domain that nothing reads."""
    FLOOR_CONDITION = "FloorCondition"
    """The HPA's behavior breaks a condition under which a floor costs no pods."""
    SCALE_UP_DISABLED = "ScaleUpDisabled"
    """The HPA's metrics may never add pods; only a floor would."""
    SCALE_DOWN_DISABLED = "ScaleDownDisabled"
    """Pods that a floor brought never go again."""
    RELEASE_OUTPACED = "ReleaseOutpaced"
    """The HPA lets pods go more slowly than the floor falls."""
    NO_EFFECT = "NoEffect"
    """A setting that changes nothing where it stands."""
    API_VERSION_GONE = "ApiVersionGone"
    """The API version is not served any more."""
    VERTICAL_MODE = "VerticalMode"
    """The VerticalPodAutoscaler's mode evicts pods, and its name is deprecated."""
    WEIGHTS_SUM = "WeightsSum"
    """A route's weights do not sum to 100."""
    WEIGHTS_ABSENT = "WeightsAbsent"
    """A route spreads over destinations and gives some of them no weight."""
    PINNED_ROUTE = "PinnedRoute"
    """Requests that a header sends to one region are out of reach of weights."""
    NO_OUTLIER_DETECTION = "NoOutlierDetection"
    """A dead region keeps its share of the traffic."""
    HOST_UNKNOWN = "HostUnknown"
    """A route's host lies in a namespace that nothing here knows."""
    NOT_REPRODUCIBLE = "NotReproducible"
    """The same manifest can mean something else tomorrow."""
    FIELD_UNKNOWN = "FieldUnknown"
    """The resource's definition has no such field, or lacks one it needs."""
    RIGHT_MISSING = "RightMissing"
    """The service's account may not do what it has to."""
    NOT_RESTORED = "NotRestored"
    """Nobody takes back what is ours here once it runs out."""
    CLOCK_SKEW = "ClockSkew"
    """This machine's clock and the API server's disagree."""
    COULD_NOT_LOOK = "CouldNotLook"
    """Something could not be read, so nothing is said about it."""


class Finding(msgspec.Struct, frozen=True, omit_defaults=True):
    """`object` names it as "Kind namespace/name"; `place` is the file it was read from.

    `patch` is a partial object with identity and the fields to change, for a strategic merge, a
    merge patch or a server-side apply alike; None where a person has to decide.
    """

    severity: Severity
    code: Fault | Code
    object: str
    sentence: str
    mend: str = ""
    place: str = ""
    patch: dict[str, Any] | None = None


_ORDER = {one: place for place, one in enumerate(Severity)}


def worst_first(findings: list[Finding]) -> list[Finding]:
    """By severity, then by object and code; what is said twice is shown once."""
    kept = {(one.severity, one.object, one.code, one.sentence): one for one in findings}
    return sorted(kept.values(), key=lambda one: (_ORDER[one.severity], one.object, one.code))
