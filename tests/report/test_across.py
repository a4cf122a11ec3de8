"""Runs on disk, read again, on one page."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgekit.errors import BadInput, UsageError
from edgekit.report.across import across
from edgekit.report.read_run import correct, read_run
from edgekit.reports import make_report
from tests.report.example import VARIANTS, write_run

SMALL = {"float32": (900_000, 120_000, 0, True), "int8": (250_000, 60_000, 20, True)}
LARGE = {name: VARIANTS[name] for name in ("float32", "int8")}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("runs")
    return write_run(root / "large", LARGE), write_run(root / "small", SMALL)


def changed(folder: Path, to: Path, file: str, change: Callable[[Any], Any]) -> Path:
    """A copy of a run in which one JSON file is another."""
    shutil.copytree(folder, to)
    path = to / file
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    return to


def test_all_variants_in_one_table_and_one_chosen(folders: tuple[Path, Path]) -> None:
    found = across([read_run(folder) for folder in folders])
    assert [row["id"] for row in found.rows] == ["large: float32", "large: int8", "small: float32", "small: int8"]
    # small's int8 is faster and smaller, and loses 5.56 points: the strictest budget allows 1.
    chosen = next(row for row in found.rows if row["chosen"])
    assert chosen["id"] == "large: int8" and found.verdict.ok
    assert found.verdict.headline.startswith("Ship large: int8: top-1 97.78 %, 591 kB, 0.0999 ms median.")
    assert [row["fronts"]["size"] for row in found.rows] == [False, True, True, True]
    assert found.rows[3]["violations"] == ["loses 5.56 points of top-1, budget 1"]
    assert found.missing == () and found.data == "digits"


def test_each_is_held_against_the_best_float_image_by_image(folders: tuple[Path, Path]) -> None:
    from statsmodels.stats.contingency_tables import mcnemar

    runs = dict(zip(("large", "small"), map(read_run, folders), strict=True))
    found = across(list(runs.values()))
    best, *others = found.rows
    assert best["id"] == "large: float32" and best["paired"] is None
    answers = {row["id"]: correct(runs[row["run"]], row["variant"]) for row in found.rows}
    for row in others:
        before, after = answers[best["id"]], answers[row["id"]]
        table = [[sum(before & after), sum(before & ~after)], [sum(~before & after), sum(~before & ~after)]]
        assert (row["paired"]["gained"], row["paired"]["lost"]) == (table[1][0], table[0][1])
        expected = mcnemar(table, exact=row["paired"]["test"] == "exact")
        assert row["paired"]["p_value"] == pytest.approx(expected.pvalue)
        low, high = row["paired"]["ci95"]
        assert row["paired"]["difference"] == pytest.approx(row["points"] / 100)
        assert low <= row["paired"]["difference"] <= high
    assert found.rows[3]["paired"]["lost"] == 20 and found.rows[3]["paired"]["gained"] == 0


def test_the_page_and_the_markdown_of_several_runs(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = make_report(folders)
    assert [str(file) for file in made.files] == ["comparison.html", "comparison.md"]
    page, text = Path("comparison.html").read_text(), Path("comparison.md").read_text()
    for said in ("large: int8", "small: int8", "Ship large: int8", "How each was made"):
        assert said in page
    assert "| small: int8 | over budget | 93.06 %" in text
    assert "chart-front-size" in page and "chart-front-latency" in page
    assert "large: int8" in made.text


def test_a_finished_run_is_made_again_from_its_raw_results(folders: tuple[Path, Path]) -> None:
    made = make_report([folders[0]])
    assert made.files == (folders[0] / "report.html", folders[0] / "report.md")
    assert made.ok and made.headline.startswith("int8 is 3.1 times smaller")
    before = made.files[0].read_bytes()
    make_report([folders[0]])
    assert made.files[0].read_bytes() == before


def flatter(results: dict[str, Any]) -> dict[str, Any]:
    results["variants"][1]["top1"]["value"] = 0.999
    return results


def faster(results: dict[str, Any]) -> dict[str, Any]:
    results["latency"]["int8"][0]["latency_ms"]["median"] /= 2
    return results


@pytest.mark.parametrize("change", [flatter, faster])
def test_figures_that_the_raw_results_do_not_give_are_refused(
    folders: tuple[Path, Path], tmp_path: Path, change: Callable[[Any], Any]
) -> None:
    folder = changed(folders[0], tmp_path / "forged", "results/results.json", change)
    with pytest.raises(BadInput, match=r"results\.json says .* of int8, and the raw results give"):
        make_report([folder])


def test_an_unfinished_run_shows_what_it_lacks(folders: tuple[Path, Path], tmp_path: Path) -> None:
    folder = changed(
        folders[0], tmp_path / "begun", "run.json", lambda record: {**record, "finished": None, "chosen": None}
    )
    shutil.rmtree(folder / "results")
    results = json.loads((folders[0] / "results" / "results.json").read_text())
    row = results["variants"][0]
    card = {name: row[name] for name in ("size_bytes", "gzip_bytes", "macs", "params", "sha256")}
    stage = folder / "stages" / "export-float32"
    stage.mkdir(parents=True)
    result = {"file": row["file"], "card": card, "parity": row["parity"], "arena_bytes": None}
    (stage / "done.json").write_text(json.dumps({"result": result}))
    made = make_report([folder])
    assert not made.ok and made.headline == "No run is finished: nothing can be recommended yet."
    lacks = (
        "begun is not finished: no accuracy of float32; no latency and no memory; "
        "no choice, and no check of the budget."
    )
    assert made.missing == (lacks,)
    page = (folder / "report.html").read_text()
    assert lacks in page and "missing" in page.split("<tbody>")[1].split("</tbody>")[0]
    beside = across([read_run(folder), read_run(folders[1])])
    assert [row["latency_ms"] is None for row in beside.rows] == [True, False, False]


def test_runs_of_other_data_are_refused_with_both_hashes(folders: tuple[Path, Path], tmp_path: Path) -> None:
    other = changed(folders[1], tmp_path / "other", "run.json", lambda record: {**record, "data_sha256": "f" * 64})
    ours = json.loads((folders[0] / "run.json").read_text())["data_sha256"][:16]
    with pytest.raises(BadInput, match=f"large and other are of different data: SHA-256 {ours}… and {'f' * 16}…"):
        make_report([folders[0], other])


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [("run.json", "{", "run.json is damaged: it is no JSON document"),
     ("run.json", "[]", "run.json is damaged: it lacks model"),
     ("results/results.json", "{}", "results.json is damaged: it lacks model"),
     ("results/latency.json", "[{}]", "latency.json is no measurement"),
     ("results/evaluation_int8.csv", "", "evaluation_int8.csv has no rows"),
     ("results/gallery.json", "[" * 100_000, "gallery.json is damaged")],
)  # fmt: skip
def test_damaged_runs(folders: tuple[Path, Path], tmp_path: Path, file: str, content: str, said: str) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(folders[0], folder)
    (folder / file).write_text(content)
    with pytest.raises(BadInput, match=said):
        make_report([folder])
    assert sorted(path.name for path in folder.iterdir() if path.suffix in (".html", ".md")) == sorted(
        path.name for path in folders[0].iterdir() if path.suffix in (".html", ".md")
    )


def test_what_is_no_run_and_what_is_no_report(folders: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is not a run directory: it has no run.json"):
        make_report([tmp_path])
    mine = tmp_path / "mine.html"
    mine.write_text("<p>mine</p>")
    with pytest.raises(UsageError, match="exists and is no report of edgekit"):
        make_report([folders[0]], mine)
    assert mine.read_text() == "<p>mine</p>"
    with pytest.raises(UsageError, match="named twice"):
        make_report([folders[0], folders[0]])
