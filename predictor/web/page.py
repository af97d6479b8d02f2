"""Puts a template, its data and the plotting library together into one page that needs no network.

`predictor/web/report.py` and `predictor/backtest_report.py` call it. It must never let a text from
outside become markup or end a script.
"""

from __future__ import annotations

from importlib import resources
from typing import Any

import jinja2
import msgspec


def render_page(template: str, charts: object, **values: object) -> str:
    """The page of a template of `predictor/web/templates`.

    Texts are escaped; `charts`, anything that msgspec encodes, is embedded as JSON that cannot end
    its script element. Raises `jinja2.UndefinedError` where the template asks for a value that is
    not among `values`.
    """
    environment = jinja2.Environment(
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        loader=jinja2.PackageLoader("predictor.web", "templates"),
    )
    vendor = resources.files("predictor.web") / "vendor"
    embedded: dict[str, Any] = {
        "charts_json": msgspec.json.encode(charts).decode().replace("<", "\\u003c"),
        "plot_script": (vendor / "uPlot.iife.min.js").read_text(encoding="utf-8"),
        "plot_style": (vendor / "uPlot.min.css").read_text(encoding="utf-8"),
    }
    return environment.get_template(template).render(**embedded, **values)
