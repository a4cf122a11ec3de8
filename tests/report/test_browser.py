"""The page in a real browser, from disk: its policy lets the charts be drawn, and sorting works."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from edgekit.report.html import html_report

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
    assert len(re.findall(r"<svg[^>]*marks", page)) == 5
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


def variants(page: str) -> list[str]:
    body = page.split("sortable", 1)[1].split("<tbody>")[1].split("</tbody>")[0]
    return re.findall(r'<th scope="row"[^>]*>([^<]*)</th>', body)
