"""One recipe over two seeds, on the smallest real thing."""

import json

import pandas as pd
import pytest

from edgekit.errors import UsageError
from edgekit.recipe import load_recipe
from edgekit.repeats import repeat
from tests.test_pipeline import recipe


def test_two_seeds_train_two_networks_on_one_split(tmp_path) -> None:
    small = recipe(variants=["float32"], train__epochs=1, train__batch_size=512)
    found = repeat(small, 2, out=tmp_path / "run")
    first, other = found.runs
    assert other.folder == tmp_path / "run" / "repeats" / "seed-1" and first.folder == tmp_path / "run"
    assert first.results["data_sha256"] == other.results["data_sha256"]
    assert {one.card.sha256 for one in first.artifacts}.isdisjoint(one.card.sha256 for one in other.artifacts)
    frame = pd.read_csv(tmp_path / "run" / "results" / "repeats.csv")
    assert frame[["seed", "variant"]].to_numpy().tolist() == [[0, "float32"], [1, "float32"]]
    assert frame["top1"].tolist() == [row["top1"]["value"] for run in found.runs for row in run.results["variants"]]
    kept = json.loads((tmp_path / "run" / "results" / "repeats.json").read_text())
    assert kept == found.to_json() and kept["seeds"] == [0, 1]
    assert 'id="chart-seeds"' in (tmp_path / "run" / "report.html").read_text("utf-8")
    assert "- Over several seeds: 2 seeds: float32" in (tmp_path / "run" / "report.md").read_text("utf-8")
    assert "float32: top-1" in found.text() and "Over 2 seeds" in found.text()


def test_what_cannot_be_repeated(tmp_path) -> None:
    with pytest.raises(UsageError, match="repeats is 1"):
        repeat(recipe(), 1, out=tmp_path)
    with pytest.raises(UsageError, match="Nothing is trained"):
        repeat(load_recipe(None, {"train.epochs": 0}), 3, out=tmp_path)
