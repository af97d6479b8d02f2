"""What an owner allows us, and what we keep on an HPA or a route: every annotation's meaning.

The owner writes `predictor.mplp.io/*`; we write `state.predictor.mplp.io/*` and nothing else
beside `spec.minReplicas` and a default route's weights. Readers of both, the deciding core,
`check`, the restorer and the manifests under `deploy/` take the names from here. Pure; an
annotation that cannot be read allows nothing.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

import msgspec

from models.forecast import QUANTILE_LEVELS

DOMAIN = "predictor.mplp.io"
STATE_DOMAIN = f"state.{DOMAIN}"

MODE = f"{DOMAIN}/mode"
FLOOR = f"{DOMAIN}/floor"
"""The minReplicas that the owner means, whatever the field holds now; we never go below it."""
CEILING = f"{DOMAIN}/ceiling"
"""The highest minReplicas that we may set; maxReplicas binds too."""
QUANTILE = f"{DOMAIN}/quantile"
HOLD = f"{DOMAIN}/hold"
"""Seconds, or a whole number with s, m or h."""
STEP = f"{DOMAIN}/step"
"""The most replicas that one raise may add."""
MODULE = f"{DOMAIN}/module"
REGION = f"{DOMAIN}/region"

SHIFT = f"{DOMAIN}/shift"
"""On a VirtualService: `enabled` lets its default route's weights move."""
SHIFT_ENABLED = "enabled"

UNTIL = f"{STATE_DOMAIN}/until"
"""RFC 3339. From then on anybody may take the floor back; renewed while it is wanted."""
EPOCH = f"{STATE_DOMAIN}/epoch"
"""Of the lease under which it was written; the server refuses a smaller one."""
REASON = f"{STATE_DOMAIN}/reason"
HOME = f"{STATE_DOMAIN}/home"
"""On a VirtualService: the default route's weights before we moved them, `HOST=WEIGHT,...`."""
WEIGHTS = f"{STATE_DOMAIN}/weights"
"""On a VirtualService: the weights that we wrote last, in the same form. Where the route says
something else, somebody has set it since."""
KEPT_ON_ROUTES = (UNTIL, REASON, HOME, WEIGHTS)
"""What stands on a VirtualService only while its weights are away from home."""

FIELD_MANAGER = "mplp-predictor"
"""The name under which the API server records our writes."""

REPLICAS_MAX = 1_000_000
_REASON_LENGTH_MAX = 256
_EPOCH_DIGITS_MAX = 18
_SHARES_LENGTH_MAX = 16_384
_SHARES_SUM = 100
_HOLD_S_MAX = 86_400.0
_UNITS_S = {"s": 1.0, "m": 60.0, "h": 3600.0}

_Value = TypeVar("_Value")


class Mode(enum.StrEnum):
    """What we may do with one HPA."""

    SHADOW = "shadow"
    """Decide and record; write nothing. Where the owner says nothing, this."""
    ACTIVE = "active"
    PAUSED = "paused"
    """Leave it alone; a floor of ours is released in steps."""


class OptIn(msgspec.Struct, frozen=True):
    """The owner's annotations, read; None where there is none.

    `faults` are sentences about those that cannot be read: with any of them nothing is allowed.
    """

    mode: Mode | None = None
    floor: int | None = None
    ceiling: int | None = None
    quantile: float | None = None
    hold_s: float | None = None
    step_up_replicas_max: int | None = None
    faults: tuple[str, ...] = ()

    @property
    def has_band(self) -> bool:
        """Whether the owner drew the band in which floors may move."""
        return self.floor is not None and self.ceiling is not None


class KeptState(msgspec.Struct, frozen=True):
    """What we wrote on the HPA beside the floor; None where there is none or it cannot be read."""

    until_s: float | None = None
    epoch: int | None = None


class KeptWeights(msgspec.Struct, frozen=True):
    """What we wrote on a VirtualService beside its weights.

    `home` and `written` are weights by host that sum to 100, empty where there are none. `faults`
    are sentences about those of our annotations that cannot be read.
    """

    until_s: float | None = None
    epoch: int | None = None
    home: dict[str, int] = {}
    written: dict[str, int] = {}
    faults: tuple[str, ...] = ()

    @property
    def stands(self) -> bool:
        """Whether anything says that the weights are away from home."""
        return self.until_s is not None or bool(self.home or self.written or self.faults)


def read_opt_in(annotations: Mapping[str, str]) -> OptIn:
    """The owner's word, with a fault for each annotation that is not what it should be."""
    faults: list[str] = []

    def read(name: str, parse: Callable[[str], _Value | None], wanted: str) -> _Value | None:
        written = annotations.get(name)
        if written is None:
            return None
        value = parse(written)
        if value is None:
            faults.append(f"{name} is {written[:40]!r}, not {wanted}")
        return value

    replicas = f"a whole number from 1 to {REPLICAS_MAX}"
    floor, ceiling = read(FLOOR, _replicas, replicas), read(CEILING, _replicas, replicas)
    if floor is not None and ceiling is not None and ceiling < floor:
        faults.append(f"{CEILING} is {ceiling}, below {FLOOR} {floor}")
    return OptIn(
        mode=read(MODE, _mode, "shadow, active or paused"),
        floor=floor,
        ceiling=ceiling,
        quantile=read(QUANTILE, _quantile, f"one of {', '.join(map(str, QUANTILE_LEVELS))}"),
        hold_s=read(HOLD, _seconds, "a time such as 120s or 5m, at most a day"),
        step_up_replicas_max=read(STEP, _replicas, replicas),
        faults=tuple(faults),
    )


def read_kept_state(annotations: Mapping[str, str]) -> KeptState:
    """Our own annotations; one that cannot be read counts as absent."""
    epoch = annotations.get(EPOCH, "")
    return KeptState(
        until_s=_instant(annotations.get(UNTIL, "")),
        epoch=_epoch(epoch),
    )


def read_kept_weights(annotations: Mapping[str, str]) -> KeptWeights:
    """Our own annotations on a VirtualService, with a fault for each one that we did not write."""
    faults: list[str] = []

    def read(name: str, parse: Callable[[str], _Value | None], wanted: str) -> _Value | None:
        written = annotations.get(name)
        value = None if written is None else parse(written)
        if written is not None and value is None:
            faults.append(f"{name} is {written[:40]!r}, not {wanted}")
        return value

    shares = f"HOST=WEIGHT,... that sum to {_SHARES_SUM}"
    home, written = read(HOME, _shares, shares), read(WEIGHTS, _shares, shares)
    if (home is None) != (written is None) and not faults:
        there, lacking = (HOME, WEIGHTS) if written is None else (WEIGHTS, HOME)
        faults.append(f"{there} is there without {lacking}")
    elif home and written and home.keys() != written.keys():
        faults.append(f"{HOME} and {WEIGHTS} name different hosts")
    return KeptWeights(
        until_s=read(UNTIL, _instant, "a time such as 2026-11-29T02:14:07Z"),
        epoch=read(EPOCH, _epoch, "a whole number"),
        home=home or {},
        written=written or {},
        faults=tuple(faults),
    )


def kept_annotations(until_s: float | None, epoch: int, reason: str) -> dict[str, str]:
    """What is written beside a floor; without `until_s` the floor is the owner's own again."""
    kept = {EPOCH: str(epoch)}
    if until_s is not None:
        at = dt.datetime.fromtimestamp(int(until_s), dt.UTC)
        kept[UNTIL] = at.strftime("%Y-%m-%dT%H:%M:%SZ")
        kept[REASON] = reason[:_REASON_LENGTH_MAX]
    return kept


def kept_weight_annotations(
    until_s: float | None,
    epoch: int,
    reason: str,
    *,
    home: Mapping[str, int],
    weights: Mapping[str, int],
) -> dict[str, str]:
    """What is written beside weights by host; without `until_s` they are the owner's own again."""
    kept = kept_annotations(until_s, epoch, reason)
    if until_s is None:
        return kept
    return {**kept, HOME: _written_shares(home), WEIGHTS: _written_shares(weights)}


def forget_command(kubectl_name: str, names: Iterable[str]) -> str:
    """The command by which an owner removes annotations of ours from an object."""
    return f"kubectl annotate {kubectl_name} {' '.join(f'{name}-' for name in names)}"


def _epoch(written: str) -> int | None:
    is_number = written.isascii() and written.isdecimal() and len(written) <= _EPOCH_DIGITS_MAX
    return int(written) if is_number else None


def _shares(written: str) -> dict[str, int] | None:
    """Weights by host; None where they are no shares of 100."""
    if len(written) > _SHARES_LENGTH_MAX:
        return None
    pairs = [one.rpartition("=")[::2] for one in written.split(",")]
    if not all(host and _is_share(share) for host, share in pairs):
        return None
    shares = {host: int(share) for host, share in pairs}
    is_whole = len(shares) == len(pairs) and sum(shares.values()) == _SHARES_SUM
    return shares if is_whole else None


def _is_share(written: str) -> bool:
    return written.isascii() and written.isdecimal() and len(written) <= 3


def _written_shares(shares: Mapping[str, int]) -> str:
    return ",".join(f"{host}={share}" for host, share in shares.items())


def _mode(written: str) -> Mode | None:
    return Mode(written) if written in set(Mode) else None


def _replicas(written: str) -> int | None:
    if not (written.isascii() and written.isdecimal() and len(written) <= 7):
        return None
    return int(written) if 1 <= int(written) <= REPLICAS_MAX else None


def _quantile(written: str) -> float | None:
    try:
        value = float(written)
    except ValueError:
        return None
    return value if value in QUANTILE_LEVELS else None


def _seconds(written: str) -> float | None:
    number, unit = (written[:-1], written[-1]) if written[-1:] in _UNITS_S else (written, "s")
    if not (number.isascii() and number.isdecimal() and len(number) <= 6):
        return None
    value = int(number) * _UNITS_S[unit]
    return value if 0 < value <= _HOLD_S_MAX else None


def _instant(written: str) -> float | None:
    try:
        at = dt.datetime.fromisoformat(written)
    except ValueError:
        return None
    # Years that every time zone can tell: others cannot be written as a time of day again.
    return at.timestamp() if at.tzinfo is not None and 1 < at.year < 9999 else None
