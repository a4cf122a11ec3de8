"""Reports made again: of a finished run from its raw results, of a run as far as it is, of several on one page."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.artifact import write_text
from edgekit.errors import EdgekitWarning, MissingExtra, UsageError
from edgekit.report.across import Across, across, text_across
from edgekit.report.read_run import ReadRun, damaged, read_run

HERE = "comparison.html"
MARK = 'name="generator" content="edgekit'  # in the head of every page that edgekit wrote


@dataclass(frozen=True)
class Reported:
    """`files` are the pages that were written, `text` is for a terminal; `ok` as in the verdict. `missing`: what runs
    that are not finished lack."""

    runs: tuple[str, ...]
    files: tuple[Path, ...]
    ok: bool
    headline: str
    sentences: tuple[str, ...]
    missing: tuple[str, ...]
    text: str

    def to_json(self) -> dict[str, Any]:
        return {
            "runs": list(self.runs), "files": [str(file) for file in self.files],
            "verdict": {"ok": self.ok, "headline": self.headline, "sentences": list(self.sentences)},
            "missing": list(self.missing),
        }  # fmt: skip


def make_report(runs: Sequence[str | Path], out: str | Path | None = None, images: bool = True) -> Reported:
    """One finished run: its page and its report.md, made again; `out` is another place for the page.

    Several, or one that is not finished: one page that compares all their variants, `comparison.html` here, or in the
    folder of the one.

    A .md lies beside each page. `images` False leaves the pictures out. Raises BadInput for a folder that is no run, is
    damaged, or was made of other data than the first; UsageError for an `out` that is something else than a report.
    """
    if not runs:
        raise UsageError("No run is named.", "Give the folder of one run, or of several.")
    found = [read_run(folder) for folder in runs]
    try:
        if len(found) == 1 and found[0].results is not None:
            return _of_one(found[0], out, images)
        return _of_several(found, out)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise damaged(found[0].folder / "results" / "results.json", error) from error


def _of_one(run: ReadRun, out: str | Path | None, images: bool) -> Reported:
    from edgekit.report.html import html_report
    from edgekit.report.markdown import markdown_report
    from edgekit.report.tables import text_report
    from edgekit.report.verdict import verdict

    assert run.results is not None
    results, told = run.results, verdict(run.results)
    page = _place(out or run.folder / "report.html")
    files = _written(page, lambda: html_report(results, run.gallery if images else None), markdown_report(results))
    return Reported((run.name,), files, told.ok, told.headline, told.sentences, (), text_report(results, run.folder))


def _of_several(runs: Sequence[ReadRun], out: str | Path | None) -> Reported:
    from edgekit.report.facts import made
    from edgekit.report.html import html_across
    from edgekit.report.markdown import markdown_across

    found: Across = across(runs)
    usual = runs[0].folder / "report.html" if len(runs) == 1 else Path(HERE)
    how = [(name, made(run.results)) for name, run in zip(found.names, runs, strict=True) if run.results]
    files = _written(_place(out or usual), lambda: html_across(found, how), markdown_across(found, how))
    told = found.verdict
    return Reported(found.names, files, told.ok, told.headline, told.sentences, found.missing, text_across(found))


def _place(out: str | Path) -> Path:
    """Where the page goes. Raises UsageError where something else is there already."""
    page = Path(out)
    if page.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"{page} is no name for a page.", "Give a FILE.html; the Markdown lies beside it.")
    if page.is_dir() or (page.exists() and MARK not in page.read_text("utf-8", errors="replace")[:2000]):
        raise UsageError(f"{page} exists and is no report of edgekit.", "Choose another --out.")
    return page


def _written(page: Path, html: Any, markdown: str) -> tuple[Path, ...]:
    """Both files; without the [report] extra the Markdown alone, with a warning."""
    beside = page.with_suffix(".md")
    write_text(beside, markdown)
    try:
        write_text(page, html())
    except MissingExtra as missing:
        warnings.warn(f"{page.name} was not written: {missing}", EdgekitWarning, stacklevel=4)
        return (beside,)
    return page, beside
