"""Which module and region an OpenTelemetry resource stands for.

`streams/otlp_traces.py` and `streams/otlp_metrics.py` call it once for each resource of a record.
The attributes to look at are options, because only `service.name` is stable in the semantic
conventions (1.44: `cloud.region` and `k8s.*` are in development). Pure.
"""

from __future__ import annotations

from collections.abc import Mapping

from streams.catalog import Catalog

_UNNAMED = "unknown_service"
"""What an SDK writes where nobody set a name (OpenTelemetry resource SDK specification)."""


def place(
    attributes: Mapping[str, str], catalog: Catalog, region_around: str | None = None
) -> tuple[str, str]:
    """The configured module and region; OTHER for both where one of them is not ours.

    `region_around` is the region that the record's headers name; the resource's own goes before it.

    The first service attribute that names a configured module counts, so that a resource whose
    `service.name` is none of ours may still be known by its deployment. Raises `RefusalError` if
    there is no region and no default.
    """
    options = catalog.options
    names = [attributes[key] for key in options.service_attributes if attributes.get(key)]
    known = (name for name in names if catalog.module(name) is not None)
    module = next(known, names[0] if names else _UNNAMED)
    regions = (attributes[key] for key in options.region_attributes if attributes.get(key))
    return catalog.place(module, next(regions, region_around))
