"""Which module and region a sample belongs to, from its name, its labels and its resource.

`streams/otlp_metrics.py` and `streams/prometheus_json.py` call it for each sample. Metrics name
their module in whatever way their exporter has: a label, the Deployment, the pod, the route, or the
metric's own name. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from streams.catalog import Catalog
from streams.event_types import OTHER, SampleType
from streams.format_options import FormatOptions

_MORE_SERVICE_LABELS = ("app.kubernetes.io/name", "service", "deployment", "job", "pod")
_ROUTE_LABELS = ("http.route", "handler", "endpoint", "path")
_ROUTE = re.compile(r"/api(?:/v\d{1,3})?/([A-Za-z_-]{1,64})")
_NO_LABEL = re.compile(r"[^A-Za-z0-9_]")


def metric_place(
    name: str,
    sample_type: SampleType,
    attributes: Mapping[str, str],
    catalog: Catalog,
    region_around: str | None = None,
) -> tuple[str, str]:
    """The configured module and region; OTHER for both where one of them is not ours.

    The label `module` counts first, then the metric's name where it says the module: a process that
    hosts several modules has one `app` for all of them. Then come the service attributes of the
    options and what Kubernetes calls the workload, and the route of the request; the first of them
    that is a configured module counts. Raises `RefusalError` where a sample is demand and there is
    no region and no default; samples that are no demand are never refused for their place.
    """
    source = catalog.metric_names.find(name, sample_type)
    named = "" if source is None else source.meaning.module
    candidates = list(_module_names(attributes, named, catalog.options))
    known = (one for one in candidates if catalog.module(one) is not None)
    module = next(known, candidates[0] if candidates else "unnamed")
    region = next(_region_names(attributes, catalog), region_around)
    if source is not None and source.meaning.means != "not_demand":
        return catalog.place(module, region)
    found_module, found_region = catalog.module(module), catalog.region(region)
    if found_module is None or found_region is None:
        return OTHER, OTHER
    return found_module, found_region


def _module_names(
    attributes: Mapping[str, str], named: str, options: FormatOptions
) -> Iterator[str]:
    if attributes.get("module"):
        yield attributes["module"]
    if named:
        yield named
    for key in (*options.service_attributes, *_MORE_SERVICE_LABELS):
        if found := _attribute(attributes, key):
            yield found
    for key in _ROUTE_LABELS:
        if route := _ROUTE.match(_attribute(attributes, key)):
            yield route[1]


def _region_names(attributes: Mapping[str, str], catalog: Catalog) -> Iterator[str]:
    for key in catalog.options.region_attributes:
        if found := _attribute(attributes, key):
            yield found
    cluster = _attribute(attributes, "cluster")
    if cluster and catalog.region(cluster) is not None:
        yield cluster


def _attribute(attributes: Mapping[str, str], key: str) -> str:
    """An attribute under its own name, or as Prometheus writes it: only letters and underscores."""
    found = attributes.get(key)
    if found is None:
        found = attributes.get(_label(key), "")
    return found


_labels: dict[str, str] = {}


def _label(key: str) -> str:
    """`service.name` as a label name; the keys are those of the options and ours, so few."""
    label = _labels.get(key)
    if label is None:
        label = _labels[key] = _NO_LABEL.sub("_", key)
    return label
