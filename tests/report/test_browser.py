"""The page in a real browser, from disk: its policy lets the charts be drawn, and sorting works."""

import base64
import functools
import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.evaluation.examine import Examined
from edgekit.gallery import thumbnail
from edgekit.report.across import across
from edgekit.report.html import html_across, html_evaluated, html_report
from edgekit.report.read_run import read_run
from tests.evaluation.answers import evaluation, world
from tests.report.example import VARIANTS, write_run
from tests.report.test_trials import layers, repeats, robustness

FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update", "--virtual-time-budget=8000",
         "--enable-logging=stderr")  # fmt: skip
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = [pytest.mark.browser, pytest.mark.skipif(BROWSER is None, reason="no Chromium here")]


def loaded(page: str, folder: Path, *flags: str) -> tuple[str, str]:
    """The document after its scripts ran, and what was written to the console."""
    file = folder / "report.html"
    file.write_text(page, encoding="utf-8")
    command = [str(BROWSER), *FLAGS, *flags, f"--user-data-dir={folder / 'profile'}", "--dump-dom", file.as_uri()]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return ended.stdout, "\n".join(line for line in ended.stderr.splitlines() if "CONSOLE" in line)


@pytest.mark.parametrize("width", [1200, 500])
def test_charts_are_drawn_with_their_labels(results: dict[str, Any], tmp_path: Path, width: int) -> None:
    page, console = loaded(html_report(results), tmp_path, f"--window-size={width},2000")
    assert console == ""
    assert 'data-charts="drawn"' in page
    assert len(re.findall(r"<svg[^>]*marks", page)) == 9
    drawn = " ".join(re.findall(r"<text[^>]*>([^<]*)</text>", page))
    for label in ("98.61 %", "591 kB, gzip 491 kB", "0.0999 ms, p90 0.108", "int8 ✓", "validation"):
        assert label in drawn


def test_a_header_cell_sorts_both_ways(results: dict[str, Any], tmp_path: Path) -> None:
    """The page may run no other script, so the clicks come from its own, changed along with its hash."""
    import edgekit.report.html as module

    plain = module._text
    clicks = "\ndocument.querySelectorAll('table.sortable')[0].tHead.rows[0].cells[PLACE].firstChild.click();"
    place = str([column.title for column in module.shown_columns(results)].index("Size MB"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            module, "_text", lambda name: plain(name) + clicks.replace("PLACE", place) * (name == "report.js")
        )
        up, _ = loaded(html_report(results), tmp_path)
        patch.setattr(
            module, "_text", lambda name: plain(name) + clicks.replace("PLACE", place) * 2 * (name == "report.js")
        )
        down, console = loaded(html_report(results), tmp_path)
    order = ["int8", "dynamic", "int16x8", "float16", "float32"]
    assert console == ""
    assert (variants(up), variants(down)) == (order, order[::-1])
    assert 'aria-sort="descending"' in down


AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
LOOK = """
axe.run(document, { resultTypes: ["violations"] }).then((found) => document.documentElement.setAttribute("data-axe",
  JSON.stringify(found.violations.map((one) => [one.impact, one.id, one.nodes[0].html.slice(0, 120)]))));
"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """How to make the page of a run with 20 pictures, and that of two runs."""
    large = write_run(tmp_path_factory.mktemp("runs") / "large")
    small = write_run(large.parent / "small", {name: VARIANTS[name] for name in ("float32", "int8")})
    runs = [read_run(large), read_run(small)]
    assert runs[0].results is not None
    measured = {"robustness": robustness(), "layers": layers(), "repeats": repeats()}
    return {
        "one": functools.partial(html_report, {**runs[0].results, **measured}, many_pictures()),
        "several": functools.partial(html_across, across(runs)),
        "evaluated": functools.partial(html_evaluated, *evaluated()),
    }


def evaluated() -> tuple[dict[str, Any], list[str], list[dict[str, Any]]]:
    """What `edgekit evaluate` of two files gives, with curves and layers."""
    logits, labels = world(60)
    done = Examined("photos", (evaluation(logits, labels, "float32"), evaluation(logits[::-1], labels, "int8")))
    part = {name: value for name, value in layers().items() if name != "why"}
    return {**done.to_json(), "robustness": robustness(), "layers": [part]}, ["float32", "int8"], [many_pictures()]


def many_pictures() -> dict[str, Any]:
    """A gallery as large as they get: 20 pictures of noise, which no PNG packs, each with where two models look."""
    generator = np.random.default_rng(0)
    noise = generator.integers(0, 256, (20, 96, 96, 3), dtype=np.uint8)
    looks = {name: {"class": said, "says": said, "map": generator.random((14, 14)).tolist()}
             for name, said in (("float32", "cat"), ("int8", "dog"))}  # fmt: skip
    images = [
        {"kind": "lost", "name": f"{place}.png", "label": "cat", "prediction": "dog", "confidence": 0.9,
         "reference": "cat", "reference_confidence": 0.8, "looks": looks,
         "png": base64.b64encode(thumbnail(pixels)).decode()}
        for place, pixels in enumerate(noise)]  # fmt: skip
    return {"variant": "int8", "against": "float32", "crop": "none", "n": 360, "images": images,
            "counts": {"lost": 20, "gained": 0, "error": 0}, "grad_cam": {"why": None}}  # fmt: skip


@pytest.mark.parametrize("kind", ["one", "several", "evaluated"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_serious(pages: dict[str, Any], tmp_path: Path, kind: str, dark: bool) -> None:
    """axe-core runs as part of the page's own script: its policy allows no other."""
    if not AXE.is_file():
        pytest.skip("no axe-core here: npm install axe-core")
    import edgekit.report.html as module

    plain, axe = module._text, AXE.read_text("utf-8").replace("</script", "<\\/script")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_text", lambda name: plain(name) + (axe + LOOK) * (name == "report.js"))
        page, console = loaded(pages[kind](), tmp_path, *(["--blink-settings=preferredColorScheme=0"] if dark else []))
    found = re.search(r'data-axe="([^"]*)"', page)
    assert console == "" and found, "axe did not end"
    assert [one for one in json.loads(unescape(found[1])) if one[0] in ("serious", "critical")] == []


@pytest.mark.parametrize("kind", ["one", "several", "evaluated"])
def test_a_phone_is_not_scrolled_sideways(pages: dict[str, Any], tmp_path: Path, kind: str) -> None:
    import edgekit.report.html as module

    html = pages[kind]()
    assert len(html.encode()) < 6_000_000
    plain = module._text
    told = "\ndocument.documentElement.setAttribute('data-wide', document.documentElement.scrollWidth - innerWidth);"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_text", lambda name: plain(name) + told * (name == "report.js"))
        page, console = loaded(pages[kind](), tmp_path, "--window-size=500,1000")  # no window is narrower
    assert console == "" and 'data-charts="drawn"' in page
    assert int(re.search(r'data-wide="(-?\d+)"', page)[1]) <= 0  # type: ignore[index]


def variants(page: str) -> list[str]:
    body = page.split("sortable", 1)[1].split("<tbody>")[1].split("</tbody>")[0]
    return re.findall(r'<th scope="row"[^>]*>([^<]*)</th>', body)
