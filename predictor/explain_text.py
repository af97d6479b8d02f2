"""An explanation as a page of plain sentences, for somebody who knows neither Kafka nor the code.

`predictor/explain_cli.py` prints it. Every number is the explanation's own; it must never leave out
that a thing is not known.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence

from models.series import ALL_REGIONS
from predictor.core.reasons import Reason
from predictor.explain import Explanation, RouteExplained, TargetExplained, Write
from predictor.explain_aftermath import Aftermath
from predictor.time_words import clock, lasting, utc

WIDTH = 100
LABEL_WIDTH = 13


def page(explanation: Explanation) -> str:
    """One target whole, the one whose floor moves furthest, then a line for each other.

    So all regions of a module stay on one screen.
    """
    lines: list[str] = []
    told = max(explanation.targets, key=_moved, default=None)
    if told is not None:
        lines += _target_lines(explanation, told)
    if explanation.route is not None:
        lines += _labelled("Route", _route(explanation.route))
    return "\n".join(lines + [_short(one) for one in explanation.targets if one is not told])


def _moved(target: TargetExplained) -> int:
    if target.floor is None or target.floor_now is None:
        return 0
    return abs(target.floor - target.floor_now)


def _target_lines(explanation: Explanation, target: TargetExplained) -> Iterator[str]:
    yield (
        f"{target.module} in {target.region}, decision {explanation.number} "
        f"of {utc(explanation.made_at_s)}"
    )
    for label, sentences in (
        ("Demand", _demand(explanation, target)),
        ("Forecast", _forecast(explanation, target)),
        ("Window", _window(target)),
        ("One pod", _rate(target)),
        ("Wanted", _wanted(target)),
        ("Guardrails", _guardrails(target)),
        ("Decided", _decided(target)),
        ("Afterwards", _afterwards(explanation, target)),
    ):
        yield from _labelled(label, sentences)


def _labelled(label: str, sentences: Iterable[str]) -> list[str]:
    """A paragraph with its name in front of it."""
    return textwrap.wrap(
        " ".join(sentences),
        WIDTH,
        initial_indent=f"  {label:<{LABEL_WIDTH - 2}}",
        subsequent_indent=" " * LABEL_WIDTH,
        break_on_hyphens=False,
    )


def _short(target: TargetExplained) -> str:
    moved = f"floor {_or_unknown(target.floor_now)} → {_or_unknown(target.floor)}"
    return f"{target.module} in {target.region}: {moved}; --region {target.region} tells why"


def _demand(explanation: Explanation, target: TargetExplained) -> Iterator[str]:
    if target.demand_per_s is None:
        yield "What is asked for now is not known."
    else:
        yield f"{target.demand_per_s:,.1f} requests/s are asked for now."
    if target.ready_replicas is not None:
        yield f"{_pods(target.ready_replicas)} {_are(target.ready_replicas)} Ready."
    if explanation.incomplete:
        yield f"Not all was seen: {explanation.incomplete}."
    if explanation.lag_s is not None:
        yield f"The newest whole count is {lasting(explanation.lag_s)} old."


def _forecast(explanation: Explanation, target: TargetExplained) -> Iterator[str]:
    if target.forecast_peak_per_s is None:
        yield "None."
    else:
        yield (
            f"A peak of at most {target.forecast_peak_per_s:,.1f}/s, at the {target.quantile:g} "
            f"quantile: in {target.quantile * 100:g} of 100 such cases the peak stays below it."
        )
    digest = f" ({explanation.model_digest[:12]})" if explanation.model_digest else ""
    yield f"Model {explanation.model_name or 'without a name'}{digest}."
    for series in target.forecasts:
        of_all = len(target.forecasts) > 1 and series.series == ALL_REGIONS
        what = "Demand of all regions: " if of_all else ""
        what = "Demand bound to this region: " if len(target.forecasts) > 1 and not what else what
        yield f"{what}{series.sentence} ({series.code})."


def _window(target: TargetExplained) -> Iterator[str]:
    until_s = target.lead_time_s + target.hold_s
    yield f"From {lasting(target.lead_time_s)} to {lasting(until_s)} after the decision."
    seen_in = {
        "measured": f"measured in the last {target.lead_time_raises} raises",
        "scale-ups of the HPA": (
            f"as seen in the last {target.lead_time_scale_ups} scale-ups that the HPA made itself"
        ),
        "measured before a deploy": "measured before the pod template last changed",
    }.get(target.lead_time_source)
    if seen_in is not None:
        yield f"New pods need {lasting(target.lead_time_s)} to be Ready, {seen_in};"
    else:
        yield (
            f"The lead time of {lasting(target.lead_time_s)} is the configured one, "
            f"{_times(target.lead_time_raises)} measured so far;"
        )
    yield f"the hold of {lasting(target.hold_s)} is configured."


def _rate(target: TargetExplained) -> Iterator[str]:
    if target.rate_per_pod_per_s is None:
        yield "Nobody says what one pod carries."
        return
    yield f"Carries {target.rate_per_pod_per_s:,.1f} requests/s:"
    sources = {
        "configured": "set in the configuration (rate_per_pod_per_s).",
        "hpa metric": f"the HPA's own target for {target.rate_metric or 'its request metric'}.",
        "learned": f"learned from CPU at the HPA's target, {target.rate_readings} readings.",
        "ratio": f"in proportion to CPU at the HPA's target, {target.rate_readings} readings.",
        "level": "what fills a pod up to the HPA's target for a level (connections, a queue).",
        "response time": "the load at which response times reach their objective.",
    }
    yield sources.get(target.rate_source, f"{target.rate_source}.")
    if target.pod_load_ratio != 1:
        planned_per_s = target.rate_per_pod_per_s * target.pod_load_ratio
        yield f"Floors are planned for {planned_per_s:,.1f}/s each (pod_load_ratio)."


def _wanted(target: TargetExplained) -> Iterator[str]:
    bounds = (
        f"owner's minimum {_or_unknown(target.baseline_replicas)}, "
        f"maxReplicas {_or_unknown(target.max_replicas)}"
    )
    wanted = target.floor_wanted
    yield f"{'An unknown number of' if wanted is None else wanted} replicas ({bounds})."
    yield from (_sentence(reason) for reason in target.causes)


def _guardrails(target: TargetExplained) -> Iterator[str]:
    if target.left_alone is not None:
        yield f"The target is left alone: {_sentence(target.left_alone)}"
    elif not target.guardrails:
        yield "None of them had anything to change."
    for number, reason in enumerate(target.guardrails, 1):
        yield f"{number}. {_sentence(reason)}"


def _decided(target: TargetExplained) -> Iterator[str]:
    now, floor = target.floor_now, target.floor
    if now is None or floor is None:
        yield "Nothing: the HPA could not be read."
        return
    if floor == now:
        yield f"The floor stays at {now}."
    else:
        yield f"The floor is to be {'raised' if floor > now else 'lowered'} from {now} to {floor}."
        yield _written(target.write)
    if target.floor_shadow not in (None, floor):
        yield f"Had every decision been carried out it would stand at {target.floor_shadow}."


def _written(write: Write | None) -> str:
    if write is None:
        return "The record does not say what came of it."
    if write.applied:
        by = f", by the owner of epoch {write.epoch}" if write.epoch else ""
        return f"minReplicas of {write.name} was patched{by}."
    reason = write.reason
    why = "" if reason is None else f": {reason.sentence} ({reason.code})"
    return f"minReplicas of {write.name} was not patched{why}."


def _afterwards(explanation: Explanation, target: TargetExplained) -> Iterator[str]:
    found = target.afterwards
    if found is None:
        yield "No later record of this target is in the source, so this is not known yet."
        return
    yield from _pods_after(explanation, target, found)
    yield from _demand_after(target, found)
    if not found.is_over:
        yield f"The records end at {clock(found.last_s)}, before the window does."


def _pods_after(
    explanation: Explanation, target: TargetExplained, found: Aftermath
) -> Iterator[str]:
    if found.floor_low is not None:
        both = found.floor_low, found.floor_high
        yield f"The floor stood at {_between(*both)} until {clock(found.window_until_s)}."
    if target.floor is None:
        return
    if found.ready_at_s is None:
        yield f"In that time there were never {_pods(target.floor)} Ready."
    elif found.ready_at_s <= explanation.made_at_s:
        yield f"{_pods(target.floor)} {_were(target.floor)} Ready already."
    else:
        took_s = found.ready_at_s - explanation.made_at_s
        in_time = found.ready_at_s <= found.window_from_s
        yield (
            f"There were {_pods(target.floor)} Ready {lasting(took_s)} after the decision, "
            f"{'before' if in_time else 'only after'} the window began."
        )


def _demand_after(target: TargetExplained, found: Aftermath) -> Iterator[str]:
    if found.peak_per_s is None or found.peak_at_s is None:
        yield "Of the window itself nothing is known yet."
        return
    forecast = target.forecast_peak_per_s
    against = "" if forecast is None else f", {forecast:,.1f}/s had been forecast"
    yield f"Demand came to {found.peak_per_s:,.1f}/s at {clock(found.peak_at_s)}{against}."
    if found.peak_replicas is None:
        return
    yield f"That asks for {_pods(found.peak_replicas)}; Ready were {found.peak_ready}."
    yield _needed(target, found.peak_replicas)
    if found.short:
        yield f"Too few were Ready in {found.short} of {found.inside} records of the window."


def _needed(target: TargetExplained, asked: int) -> str:
    """Whether the decided floor was needed, from what was asked for in its window."""
    floor, now = target.floor, target.floor_now
    if floor is None or now is None:
        return ""
    is_real = floor == now or (target.write is not None and target.write.applied)
    was = "was" if is_real else "would have been"
    if asked >= floor:
        return f"The floor {was} needed{', and more' if asked > floor else ''}."
    if floor > now:
        needed = max(asked - now, 0)
        were = was if needed <= 1 or not is_real else "were"
        return f"Of the {floor - now} to be added {needed or 'none'} {were} needed."
    return f"Of the floor's {floor} the demand asked for {asked}."


def _route(route: RouteExplained) -> Iterator[str]:
    if not route.regions:
        yield from (_sentence(reason) for reason in route.reasons)
        return
    if route.weights == route.weights_now:
        yield f"The weights stay at {_weights(route, route.weights_now)}."
    else:
        yield (
            f"The weights are to go from {_weights(route, route.weights_now)} to "
            f"{_weights(route, route.weights)}."
        )
        yield _written(route.write).replace("minReplicas of", "The route")
    if route.weights_now != route.weights_home:
        yield f"Their home is {_weights(route, route.weights_home)}."
    yield from (_sentence(reason) for reason in route.reasons)


def _weights(route: RouteExplained, weights: Sequence[int]) -> str:
    pairs = zip(route.regions, weights, strict=True)
    return ", ".join(f"{region} {weight}" for region, weight in pairs)


def _sentence(reason: Reason) -> str:
    text = reason.sentence
    return f"{text[:1].upper()}{text[1:]} ({reason.code})."


def _pods(count: int) -> str:
    return "1 pod" if count == 1 else f"{count} pods"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _were(count: int) -> str:
    return "was" if count == 1 else "were"


def _between(low: int | None, high: int | None) -> str:
    return f"{low}" if low == high else f"{low} to {high}"


def _or_unknown(value: int | None) -> str:
    return "unknown" if value is None else str(value)


def _times(count: int) -> str:
    return "1 raise" if count == 1 else f"{count} raises"
