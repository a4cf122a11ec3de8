"""The report as one HTML page that asks the network for nothing: charts, their JavaScript and the styles are in it.

The page's own policy forbids every request and every script but its two, which are named by their hashes; names from
the data are escaped besides. Needs the [report] extra.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from importlib import resources
from typing import Any

import yaml

from edgekit.errors import MissingExtra
from edgekit.report import facts, steps
from edgekit.report.tables import THREAD_COLUMNS, damaged_files, footnote, ruled_out, shown_columns, thread_rows
from edgekit.report.verdict import verdict

Results = Mapping[str, Any]


def html_report(results: Results) -> str:
    """The whole page. Raises MissingExtra where Altair, vl-convert or Jinja are not installed."""
    try:
        import jinja2
        import vl_convert

        from edgekit.report.charts import charts
    except ImportError:
        raise MissingExtra("The HTML report", "report") from None
    drawn = charts(results)
    scripts = (_charting(vl_convert), _text("report.js"))
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    return environment.from_string(_text("report.html.j2")).render(
        results=results,
        verdict=verdict(results),
        columns=shown_columns(results), ruled_out=ruled_out(results),
        footnote=footnote(results),
        thread_columns=THREAD_COLUMNS, thread_rows=thread_rows(results),
        steps=steps.steps(results), mixed=steps.mixed(results), diagnosis=steps.diagnosis(results),
        ledger_titles=steps.LEDGER_TITLES, ledger_rows=steps.ledger(results),
        cost_titles=steps.COST_TITLES, cost_rows=steps.costs(results),
        parity_titles=facts.PARITY_TITLES, parity_rows=facts.parity(results),
        facts={name: getattr(facts, name)(results) for name in ("usage", "conditions", "data", "made", "training")},
        damaged=damaged_files(results),
        recipe=yaml.safe_dump(results["recipe"], sort_keys=False, allow_unicode=True),
        variant_charts=[one for one in drawn if not one.curve], curves=[one for one in drawn if one.curve],
        specs=[asdict(chart) for chart in drawn],
        style=_text("report.css"), scripts=scripts, policy=_policy(scripts),
    )  # fmt: skip


def _policy(scripts: tuple[str, ...]) -> str:
    """Content-Security-Policy: no request at all, no script but these."""
    hashes = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'" for s in scripts)
    return f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src {hashes}"


@functools.cache
def _charting(vl_convert: Any) -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, which must not end the element it stands in."""
    return str(vl_convert.javascript_bundle()).replace("</script", "<\\/script")


def _text(name: str) -> str:
    return resources.files("edgekit.report").joinpath(name).read_text("utf-8")
