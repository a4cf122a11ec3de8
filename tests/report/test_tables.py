import io
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from edgekit.data.dataset import Damaged
from edgekit.report.tables import text_report, variants_csv, variants_table
from tests.report.example import VARIANTS, make_results

TWO = {name: VARIANTS[name] for name in ("float32", "int8")}
NESTED = {  # column -> where the figure stands in a row of results
    "top1": ("top1", "value"), "n": ("top1", "n"), "top5": ("top5", "value"), "agreement": ("agreement", "value"),
    "latency_ms_median": ("latency_ms", "median"), "latency_ms_p90": ("latency_ms", "p90"),
    "latency_ms_p99": ("latency_ms", "p99"), "verified": ("parity", "verified"),
}  # fmt: skip
PLAIN = (
    "variant",
    "file",
    "io",
    "sha256",
    "size_bytes",
    "gzip_bytes",
    "drop_points",
    "heap_bytes",
    "arena_bytes",
    "macs",
    "params",
    "chosen",
)


@pytest.mark.parametrize("through_csv", [False, True])
def test_the_table_has_the_exact_figures_of_results(results: dict[str, Any], through_csv: bool) -> None:
    frame = variants_table(results)
    if through_csv:
        frame = pd.read_csv(io.StringIO(variants_csv(results)), engine="python", keep_default_na=False,
                            dtype={"sha256": str})  # fmt: skip
    assert len(frame) == 5
    for found, row in zip(frame.to_dict("records"), results["variants"], strict=True):
        assert {name: found[name] for name in PLAIN} == {name: row[name] for name in PLAIN}
        assert {name: found[name] for name in NESTED} == {name: row[a][b] for name, (a, b) in NESTED.items()}
        assert [found["top1_low"], found["top1_high"]] == row["top1"]["ci95"]
        assert [found["latency_ms_low"], found["latency_ms_high"]] == row["latency_ms"]["ci95"]
        assert (found["threads"], found["latency_verdict"], found["violations"]) == (1, "steady", "")


def test_what_was_not_measured_is_empty(tmp_path: Path) -> None:
    results = make_results(tmp_path, TWO, heap=False, budget={"max_size_mb": 1.0, "max_latency_ms": 0.15})
    frame = pd.read_csv(io.StringIO(variants_csv(results)))
    assert frame["heap_bytes"].isna().all()
    assert frame.loc[0, "violations"] == "has 1.81 MB, budget 1; takes 0.222 ms, budget 0.15"
    assert "Heap MB" in text_report(results) and "not measured" in text_report(results)


def test_the_terminal_report(tmp_path: Path) -> None:
    results = make_results(tmp_path, TWO, epochs=0, budget={"max_latency_ms": 0.2})
    assert text_report(results) == (Path(__file__).parent / "terminal.txt").read_text("utf-8").rstrip("\n")


def test_every_thread_count_damaged_files_and_failures_are_shown(tmp_path: Path) -> None:
    damaged = tuple(Damaged(f"cat/{i}\x1b[2J.jpg", "truncated") for i in range(12))
    results = make_results(tmp_path, {**TWO, "int16x8": (640_112, 402_000, 1, False)}, bench={"threads": [1, 4]},
                           damaged=damaged)  # fmt: skip
    shown = text_report(results)
    four = results["latency"]["int8"][1]["latency_ms"]["median"]
    assert next(line for line in shown.splitlines() if line.startswith("int8           4 ")).split()[2] == f"{four:.4f}"
    assert "  cat/9?[2J.jpg: truncated\n  and 2 more, named in results/results.json" in shown
    assert "FAILED:\n  int16x8 failed verification: same class on 90.00 % of 500 images, limit 95 %." in shown
    assert "not verified" in shown
    assert "\x1b" not in shown


def test_only_files_that_were_written_are_listed(tmp_path: Path) -> None:
    results = make_results(tmp_path, TWO)
    (tmp_path / "report.md").write_text("")
    assert text_report(results, tmp_path).split("Files:\n")[1] == f"  report   {tmp_path / 'report.md'}"


def test_without_labels_accuracy_is_left_out_and_said(results: dict[str, Any]) -> None:
    rows = [
        {**row, "top1": None, "top5": None, "drop_points": None, "agreement": {"value": 0.9, "n": 40, "ci95": [0.8, 1]}}
        for row in results["variants"]
    ]
    unlabelled = {**results, "variants": rows, "dataset": {**results["dataset"], "class_names": [], "class_counts": {}}}
    shown = text_report(unlabelled)
    assert "Same answer" in shown and "Top-1" not in shown and "90.00 %" in shown
    assert "No labels: accuracy and its budget are skipped" in " ".join(shown.split())
    table = variants_table(unlabelled)
    assert table["top1"].isna().all() and (table["agreement"] == 0.9).all()
