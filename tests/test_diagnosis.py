"""`diagnose:` in a recipe: measured once, told in every report, and kept as a table."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from edgekit.errors import UsageError
from edgekit.models.backend import import_keras
from edgekit.pipeline import compress
from edgekit.recipe import load_recipe
from tests.compression.unbalanced import SPOILED, digits, network

BENCH = {"bench.runs": 20, "bench.seconds": 0, "bench.processes": 1}


@pytest.fixture(scope="module")
def unbalanced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("own") / "unbalanced.keras"
    network(digits()).save(path)
    return path


def fields(model: Path, **more: object) -> dict[str, object]:
    given = {"model.name": str(model), "data.source": "digits", "data.preprocess": "tf", "variants": ["int8"],
             "verify.int8_agreement": 0.0, "budget.max_drop_points": 100.0}  # fmt: skip
    return {**given, **BENCH, **more}


def test_a_diagnosis_names_the_layer_and_the_spread(unbalanced: Path, tmp_path: Path) -> None:
    wanted = load_recipe(None, fields(unbalanced, **{"diagnose.sensitivity": True, "diagnose.draws": 2}))
    run = compress(wanted, out=tmp_path / "run")
    found = run.results["diagnosis"]
    layers = found["sensitivity"]["layers"]
    assert {one["layer"] for one in layers[:2]} == {SPOILED, "narrow"}
    assert layers[1]["sqnr_db"] < layers[2]["sqnr_db"] - 10
    rows = pd.read_csv(run.folder / found["sensitivity"]["rows"])
    assert rows["layer"].tolist() == [one["layer"] for one in found["sensitivity"]["layers"]]
    assert found["draws"]["draws"] == 2 and len(found["draws"]["drop_points"]["values"]) == 2
    markdown = (run.folder / "report.md").read_text("utf-8")
    assert "## Where quantization loses" in markdown and "over 2 draws of 100 images" in markdown
    assert (run.folder / "report.html").read_text("utf-8").count("over 2 draws of 100 images") == 1
    written = (run.folder / found["sensitivity"]["rows"]).stat().st_mtime_ns
    again = compress(wanted, out=tmp_path / "run")
    assert again.results["diagnosis"] == found
    assert (run.folder / found["sensitivity"]["rows"]).stat().st_mtime_ns == written


def test_the_mixed_variant_has_measured_it_already(unbalanced: Path, tmp_path: Path) -> None:
    given = fields(unbalanced, variants=["int8", "mixed"], **{"diagnose.sensitivity": True})
    run = compress(load_recipe(None, given), out=tmp_path / "run")
    assert run.results["diagnosis"] == {"sensitivity": run.results["mixed"]["sensitivity"], "draws": None}
    assert not (run.folder / "stages" / "sensitivity").exists()


def test_arrays_are_not_drawn(tmp_path: Path) -> None:
    keras = import_keras("Testing")
    model = keras.Sequential([keras.Input((6,), name="values"), keras.layers.Dense(3, name="last")])
    model.save(tmp_path / "dense.keras")
    np.savez(tmp_path / "c.npz", values=np.random.default_rng(0).normal(size=(140, 6)).astype(np.float32))
    given = {"model.name": str(tmp_path / "dense.keras"), "data.calibration": str(tmp_path / "c.npz"),
             "variants": ["int8"], "diagnose.draws": 3, **BENCH}  # fmt: skip
    with pytest.raises(UsageError, match="draws are drawn from images"):
        compress(load_recipe(None, given), out=tmp_path / "run")
