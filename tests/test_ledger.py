"""The ledger: what each step brought, and what it did not."""

from pathlib import Path

import pytest

from edgekit.ledger import gain
from edgekit.models.backend import import_keras
from edgekit.pipeline import Compressed, compress
from edgekit.recipe import load_recipe
from tests.compression.unbalanced import digits, network

BENCH = {"bench.runs": 20, "bench.seconds": 0, "bench.processes": 1}
STEPS = [{"prune": {"sparsity": 0.9, "epochs": 0}}, {"cluster": {"clusters": 8, "epochs": 0}},
         {"quantize_aware": {"epochs": 0}}]  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Compressed:
    folder = tmp_path_factory.mktemp("ledger")
    import_keras("Testing")
    network(digits()).save(folder / "own.keras")
    given = {"model.name": str(folder / "own.keras"), "data.source": "digits", "data.preprocess": "tf",
             "variants": ["int8"], "steps": STEPS, "verify.int8_agreement": 0.0,
             "budget.max_drop_points": 100.0, **BENCH}  # fmt: skip
    return compress(load_recipe(None, given), out=folder / "run")


def test_a_row_a_step_and_packed_bytes_fall_while_the_file_stays_as_long(run: Compressed) -> None:
    rows = run.results["ledger"]
    assert [row["after"] for row in rows] == ["training", "prune", "cluster", "quantize_aware"]
    zeros = run.results["steps"][0]["figures"]["zeros"]
    assert [row["weights"]["zeros"] == zeros for row in rows] == [False, True, True, True]  # none lost in int8
    assert [row["weights"]["distinct_a_channel"] <= 8 for row in rows] == [False, False, True, True]
    assert {row["variant"] for row in rows} == {"int8"} and rows[0]["gain"] is None
    assert rows[1]["gzip_bytes"] < 0.75 * rows[0]["gzip_bytes"] and rows[2]["gzip_bytes"] < rows[1]["gzip_bytes"]
    assert rows[1]["model_bytes"] == pytest.approx(rows[0]["model_bytes"], rel=0.02)
    assert rows[0]["macs"] == rows[1]["macs"] > 0
    assert "model_bytes" in rows[1]["gain"]["no_gain"] and "gzip_bytes" not in rows[1]["gain"]["no_gain"]
    assert rows[1]["top1"]["n"] == run.results["dataset"]["sizes"]["val"]
    assert all(row["latency_ms"]["median"] > 0 and (run.folder / row["file"]).is_file() for row in rows)
    (shipped,) = [row for row in run.results["variants"] if row["variant"] == "int8"]
    assert (shipped["sha256"], shipped["file"]) == (rows[-1]["sha256"], rows[-1]["file"])


def test_reports_show_it(run: Compressed) -> None:
    markdown, page = ((run.folder / name).read_text("utf-8") for name in ("report.md", "report.html"))
    assert "| Behind | Size | Packed | Weights |" in markdown and "| prune |" in markdown
    assert "What each step brought" in page
    assert f"Zeros: {100 * run.results['steps'][0]['figures']['sparsity']:.2f} % of" in markdown


def test_without_steps_there_is_none(tmp_path: Path) -> None:
    keras = import_keras("Testing")
    keras.utils.set_random_seed(0)
    plain = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(10)])
    plain.save(tmp_path / "m.keras")
    given = {"model.name": str(tmp_path / "m.keras"), "data.source": "digits", "data.preprocess": "tf",
             "variants": ["float32"], "budget.max_drop_points": 100.0, **BENCH}  # fmt: skip
    found = compress(load_recipe(None, given), out=tmp_path / "run")
    assert found.results["ledger"] == [] and "What each step" not in (found.folder / "report.md").read_text("utf-8")


def test_no_gain_is_bytes_by_a_percent_and_latency_beyond_its_intervals() -> None:
    before = {"model_bytes": 1000, "gzip_bytes": 800, "latency_ms": {"median": 2.0, "ci95": [1.9, 2.1]}}
    after = {"model_bytes": 995, "gzip_bytes": 400, "latency_ms": {"median": 1.9, "ci95": [1.8, 1.95]}}
    assert gain(before, after) == {"model_bytes": 0.995, "gzip_bytes": 0.5, "latency": 0.95,
                                   "no_gain": ["model_bytes", "latency"]}  # fmt: skip
    faster = {**after, "latency_ms": {"median": 1.0, "ci95": [0.9, 1.1]}}
    assert gain(before, faster)["no_gain"] == ["model_bytes"]
