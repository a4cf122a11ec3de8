"""Reports as one HTML page that asks the network for nothing: charts, their JavaScript and the styles are in it.

The page's own policy forbids every request and every script but its two, which are named by their hashes; names from
the data are escaped besides. Needs the [report] extra.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import resources
from typing import Any

import yaml

from edgekit import __version__
from edgekit.errors import MissingExtra
from edgekit.report import evaluated, facts, steps, trials
from edgekit.report.accuracy import CLASS_COLUMNS, accuracy_facts, class_rows
from edgekit.report.across import ACROSS_COLUMNS, Across, footnote_across
from edgekit.report.gallery import gallery_facts, looks_fact, pictures
from edgekit.report.inside import INSIDE_TITLES, inside_facts, inside_rows
from edgekit.report.tables import THREAD_COLUMNS, damaged_files, footnote, ruled_out, shown_columns, thread_rows
from edgekit.report.verdict import verdict

Results = Mapping[str, Any]


def html_report(results: Results, gallery: Results | None = None) -> str:
    """The page of one run; `gallery` is its results/gallery.json. Raises MissingExtra where Altair, vl-convert or Jinja
    are not installed."""
    _require()
    from edgekit.report.charts import charts

    drawn = charts(results)
    return _page(
        "report.html.j2", results["edgekit"], drawn,
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
        accuracy=accuracy_facts(results), class_columns=CLASS_COLUMNS, class_rows=class_rows(results),
        inside=inside_facts(results), inside_titles=INSIDE_TITLES, inside_rows=inside_rows(results),
        pictures=pictures(gallery), gallery=gallery_facts(gallery), looks=looks_fact(gallery),
        trials=trials.trial_facts(results), trial_tables=trials.tables(results), trial_charts=_by_kind(drawn),
        damaged=damaged_files(results),
        recipe=yaml.safe_dump(results["recipe"], sort_keys=False, allow_unicode=True),
        fronts=[one for one in drawn if one.kind == "front"],
        variant_charts=[one for one in drawn if one.kind == "variants"],
        answers=[one for one in drawn if one.kind == "answers"],
        curves=[one for one in drawn if one.kind == "curve"],
    )  # fmt: skip


def html_across(found: Across, made: Sequence[tuple[str, facts.Facts]] = ()) -> str:
    """The page of several runs, or of one that is not finished. Raises MissingExtra as `html_report` does."""
    _require()
    from edgekit.report.fronts import fronts_across

    drawn = fronts_across(found)
    return _page("across.html.j2", __version__, drawn, found=found, charts=drawn, columns=ACROSS_COLUMNS,
                 footnote=footnote_across(found), made=made)  # fmt: skip


def html_evaluated(document: Results, names: Sequence[str], galleries: Sequence[Results]) -> str:
    """The page of files that were evaluated on the same images: `document` is evaluation.json's, `names` what the files
    are called, `galleries` those of each but the first. Raises MissingExtra as `html_report` does."""
    _require()
    from edgekit.report.trial_charts import trial_charts

    found = evaluated.named(document, names)
    titles = ["Under corruptions", *(f"Where {name} parts from {names[0]}" for name in names[1:])]
    drawn = [trial_charts(one, str(number)) for number, one in enumerate(found)]
    return _page(
        "evaluated.html.j2", __version__, [chart for part in drawn for chart in part],
        names=names, data=document["data"],
        file_titles=evaluated.FILE_TITLES, file_rows=evaluated.file_rows(document, names),
        against=evaluated.against_first(document, names, galleries), flip_titles=evaluated.FLIP_TITLES,
        parts=[(title, _by_kind(part), trials.tables(one))
               for title, part, one in zip(titles, drawn, found, strict=False)],  # no layers unless asked for
    )  # fmt: skip


def _by_kind(drawn: Sequence[Any]) -> dict[str, list[Any]]:
    return {kind: [one for one in drawn if one.kind == kind] for kind in ("corrupted", "layers", "seeds")}


def _require() -> None:
    try:
        import altair  # noqa: F401
        import jinja2  # noqa: F401
        import vl_convert  # noqa: F401
    except ImportError:
        raise MissingExtra("The HTML report", "report") from None


def _page(template: str, version: str, drawn: Sequence[Any], **values: Any) -> str:
    import jinja2
    import vl_convert

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_text), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    scripts = (_charting(vl_convert), _text("report.js"))
    return environment.get_template(template).render(
        **values, version=version, specs=[asdict(chart) for chart in drawn], style=_text("report.css"),
        scripts=scripts, policy=_policy(scripts),
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
