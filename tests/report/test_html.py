import base64
import itertools
import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.data.dataset import Damaged
from edgekit.errors import MissingExtra
from edgekit.gallery import thumbnail
from edgekit.report.accuracy import CLASS_COLUMNS, class_rows
from edgekit.report.html import html_report
from edgekit.report.tables import COLUMNS
from tests.report.example import VARIANTS, make_results

LOADING = {"src", "href", "srcset", "action", "data", "poster", "background", "ping", "formaction", "xlink:href"}
ANSWERS, FRONTS = ("reliability", "confusion"), ("front-size", "front-latency")
TWO = {name: VARIANTS[name] for name in ("float32", "int8")}


class Page(HTMLParser):
    """Every tag with its attributes, and the text of each element by its tag."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and data.strip():
            self.texts.setdefault(self.tags[-1][0], []).append(data.strip())


def specs(page: Page) -> list[dict[str, Any]]:
    return json.loads(next(text for text in page.texts["script"] if text.startswith("[{")))


def test_every_figure_of_the_table_is_that_of_results(results: dict[str, Any]) -> None:
    cells = [json.loads(a["data-value"] or "") for _, a in Page(html_report(results)).tags if "data-value" in a]
    tables = ((results["variants"], COLUMNS), (class_rows(results), CLASS_COLUMNS))
    assert cells == [json.loads(json.dumps(c.value(row))) for rows, columns in tables for row in rows for c in columns]


def test_the_charts_show_the_figures_of_results(results: dict[str, Any]) -> None:
    drawn = {one["name"]: one["spec"] for one in specs(Page(html_report(results)))}
    assert list(drawn) == [
        "reliability",
        "confusion",
        "front-size",
        "front-latency",
        "accuracy",
        "size",
        "latency",
        "accuracy-curve",
        "loss-curve",
    ]
    rows = {
        name: next(iter(spec["datasets"].values()))
        for name, spec in drawn.items()
        if name in ("accuracy", "size", "latency")
    }
    for place, row in enumerate(results["variants"]):
        shown = {name: rows[name][place] for name in rows}
        assert shown["accuracy"]["value"] == 100 * row["top1"]["value"]
        assert [shown["accuracy"]["low"], shown["accuracy"]["high"]] == [100 * end for end in row["top1"]["ci95"]]
        assert shown["size"]["value"] == row["size_bytes"] / 1e6
        assert shown["latency"]["value"] == row["latency_ms"]["median"]
        assert [shown["latency"]["low"], shown["latency"]["high"]] == row["latency_ms"]["ci95"]
        assert shown["size"]["variant"] == row["variant"] + (" ✓" if row["chosen"] else "")
    curve = [one for data in drawn["loss-curve"]["datasets"].values() for one in data if len(data) == 24]
    assert [one["value"] for one in curve if one["of"] == "validation"] == [
        row["val_loss"] for row in results["training"]["history"]]  # fmt: skip


def test_the_fronts_are_those_of_the_figures(results: dict[str, Any]) -> None:
    drawn = {one["name"]: one["spec"] for one in specs(Page(html_report(results)))}
    costs = {"front-size": lambda r: r["size_bytes"] / 1e6, "front-latency": lambda r: r["latency_ms"]["median"]}
    for name, cost in costs.items():
        points = max(drawn[name]["datasets"].values(), key=len)
        rows = results["variants"]
        assert [one["cost"] for one in points] == [cost(row) for row in rows]
        beaten = [any(cost(b) <= cost(a) and b["top1"]["value"] >= a["top1"]["value"] and b is not a for b in rows)
                  for a in rows]  # fmt: skip
        assert [one["on"] for one in points] == [not one for one in beaten]


def test_the_page_asks_the_network_for_nothing(results: dict[str, Any]) -> None:
    html = html_report(results)
    page = Page(html)
    assert [attrs for _, attrs in page.tags if LOADING & attrs.keys()] == []
    assert {tag for tag, _ in page.tags} & {"link", "iframe", "object", "embed", "base", "img"} == set()
    style = "".join(page.texts["style"])
    assert "url(" not in style and "@import" not in style
    policy = next(a["content"] for _, a in page.tags if a.get("http-equiv") == "Content-Security-Policy") or ""
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-")
    assert "http" not in policy and "unsafe-eval" not in policy
    assert len(html.encode()) < 3_000_000


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    evil = "</script><script>alert(1)</script>"
    names = (evil, '"><img src=x onerror=alert(1)>', *map(str, range(8)))
    results = make_results(tmp_path, class_names=names, damaged=(Damaged(f"{evil}.png", f"{evil} again"),))
    results["training"]["advice"].append(evil)
    results["data"] = results["dataset"]["name"] = evil
    results["model"] = evil
    html = html_report(results)
    page = Page(html)
    assert evil not in html
    assert sum(tag == "script" for tag, _ in page.tags) == 3  # the data, the charting library, the page's own
    assert not any(tag == "img" or "onerror" in attrs for tag, attrs in page.tags)
    assert any(evil in text for text in page.texts["dd"])
    assert [a["title"] for tag, a in page.tags if tag == "th" and "title" in a] == list(names)


def test_hostile_names_beside_pictures_stay_text(results: dict[str, Any]) -> None:
    evil = '"><img src=x onerror=alert(1)>'
    look = {"class": evil, "says": f"{evil} again", "map": [[1.0, 0.0]]}
    png = base64.b64encode(thumbnail(np.full((9, 9, 3), 90, np.uint8))).decode()
    one = {"kind": "lost", "name": evil, "label": evil, "prediction": evil, "confidence": 0.9, "reference": evil + "2",
           "reference_confidence": 0.8, "png": png, "looks": {"float32": look, evil: look}}  # fmt: skip
    gallery = {"variant": evil, "against": "float32", "crop": "none", "n": 9, "images": [one],
               "counts": {"lost": 1, "gained": 0, "error": 0}, "grad_cam": {"why": evil}}  # fmt: skip
    html = html_report(results, gallery)
    shown = [attrs for tag, attrs in Page(html).tags if tag == "img"]
    assert evil not in html
    assert [attrs["src"][:16] for attrs in shown] == ["data:image/png;b", "data:image/webp;", "data:image/webp;"]  # type: ignore[index]
    assert all(evil in str(attrs["alt"]) and "onerror" not in attrs for attrs in shown)


def test_accessible_by_its_structure(results: dict[str, Any]) -> None:
    page = Page(html_report(results))
    charts = [a for _, a in page.tags if a.get("class") == "chart"]
    assert len(charts) == 9 and all(a["role"] == "img" and a["aria-label"] for a in charts)
    assert all(a.get("scope") in ("col", "row") for tag, a in page.tags if tag == "th")
    assert next(a for tag, a in page.tags if tag == "html") == {"lang": "en"}
    headings = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert headings[0] == 1 and all(b - a <= 1 for a, b in itertools.pairwise(headings))
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert len(ids) == len(set(ids))
    assert all(a["aria-labelledby"] in ids for _, a in page.tags if "aria-labelledby" in a)


def test_the_verdict_comes_first_and_failures_with_it(tmp_path: Path) -> None:
    page = Page(html_report(make_results(tmp_path, TWO, epochs=0, budget={"max_size_mb": 0.1})))
    assert page.texts["p"][:2] == ["A check failed", "No variant meets the budget: there is nothing to ship yet."]
    assert (
        "No variant meets the budget: float32 has 1.81 MB, budget 0.1; int8 has 0.59 MB, budget 0.1."
        in page.texts["li"]
    )
    assert [one["name"] for one in specs(page)] == [
        "reliability",
        "confusion",
        "front-size",
        "front-latency",
        "accuracy",
        "size",
        "latency",
    ]


def test_the_same_results_give_the_same_page(results: dict[str, Any]) -> None:
    assert html_report(results) == html_report(json.loads(json.dumps(results)))


def test_without_the_extra(results: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "altair", None)
    monkeypatch.delitem(sys.modules, "edgekit.report.charts", raising=False)
    with pytest.raises(MissingExtra, match=r"The HTML report needs edgekit's \[report\] extra"):
        html_report(results)
