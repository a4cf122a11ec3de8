"""The whole job on the smallest real thing: ResNet-8 on 12-pixel digits, two epochs."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import edgekit as ek
from edgekit.data.dataset import load_data
from edgekit.errors import BadInput, CheckFailed
from edgekit.lineage import Lineage
from edgekit.looks import with_looks
from edgekit.pipeline import Compressed, compress
from edgekit.progress import Progress, silent
from edgekit.recipe import Recipe, load_recipe
from edgekit.run import open_run
from edgekit.schemas import load_schema
from edgekit.subject import subject_of

FIELDS = {
    "model.name": "resnet8",
    "data.image_size": 12,
    "train.epochs": 2,
    "train.batch_size": 128,
    "variants": ["float32", "int8"],
    "bench.processes": 1,
    "bench.runs": 10,
    "bench.seconds": 0.0,
    "budget.max_drop_points": 100,
    "verify.int8_agreement": 0.5,
    "verify.dynamic_agreement": 0.5,  # two epochs leave narrow margins, other ones for each number of threads
}


def recipe(**more: object) -> Recipe:
    return load_recipe(None, {**FIELDS, **{name.replace("__", "."): value for name, value in more.items()}})


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Compressed:
    return compress(recipe(), out=tmp_path_factory.mktemp("runs") / "run")


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_the_run_directory_is_what_the_contract_says(done: Compressed) -> None:
    import jsonschema

    expected = {"recipe.yaml", "run.json", "report.md", "report.html", "results/results.json", "results/variants.csv",
                "results/gallery.json", "results/latency.json", "results/evaluation_float32.csv",
                "results/evaluation_int8.csv",
                "artifacts/resnet8.keras", "artifacts/resnet8_float32.tflite", "artifacts/resnet8_float32.card.json",
                "artifacts/resnet8_int8.tflite", "artifacts/resnet8_int8.card.json"}  # fmt: skip
    assert expected <= files(done.folder)
    rest = files(done.folder) - expected
    assert all(name.startswith("stages/") or name == ".lock" for name in rest), rest
    record = json.loads((done.folder / "run.json").read_text())
    jsonschema.validate(record, load_schema("run"))
    assert record["finished"] and (done.folder / record["chosen"]).is_file()
    for name in ("float32", "int8"):
        card = json.loads((done.folder / f"artifacts/resnet8_{name}.card.json").read_text())
        jsonschema.validate(card, load_schema("card"))
        row = next(row for row in done.results["variants"] if row["variant"] == name)
        assert card["metrics"]["top1"] == row["top1"] and card["created"]


def test_every_variant_is_held_out_accuracy_latency_size_and_macs(done: Compressed) -> None:  # R10, R24
    rows = {row["variant"]: row for row in done.results["variants"]}
    assert list(rows) == ["float32", "int8"]
    for row in rows.values():
        assert row["top1"]["n"] == 360 and 0 <= row["top1"]["ci95"][0] <= row["top1"]["value"] <= 1
        assert row["latency_ms"]["n"] >= 10 and row["latency_ms"]["median"] > 0
        assert row["macs"] > 1e6 and row["params"] > 70_000
        assert row["size_bytes"] == (done.folder / row["file"]).stat().st_size
    assert rows["int8"]["size_bytes"] < rows["float32"]["size_bytes"] / 2
    assert done.chosen is not None and done.chosen.card is not None
    assert list(done.table.index) == ["float32", "int8"] or "float32" in done.table.to_string()


def test_flips_are_kept_with_where_both_models_look(done: Compressed) -> None:
    """Of whatever flips in so short a run; and of pictures that are taken for flips."""
    kept = json.loads((done.folder / "results/gallery.json").read_text())
    assert kept["grad_cam"] == {"why": None}
    wanted = recipe()
    data = load_data("digits", preprocess=subject_of(wanted).preprocess())
    shown = [{**one, "kind": "lost"} for one in kept["images"][:3]]
    for one in shown:
        one.pop("looks", None)
    with open_run(done.folder) as run:
        lineage = Lineage(run, wanted, subject_of(wanted), data, silent)
        found = with_looks({**kept, "images": shown}, lineage, data.test)
        others = [with_looks({**kept, "variant": "dynamic", "images": shown}, lineage, data.test)]
        lineage.recipe = recipe(diagnose__grad_cam=False)
        others.append(with_looks({**kept, "images": shown}, lineage, data.test))
    for one in found["images"]:
        assert data.test.names[one["place"]] == one["name"]
        assert {name: look["class"] for name, look in one["looks"].items()} == {
            "float32": one["reference"], "int8": one["prediction"]}  # fmt: skip
        for look in one["looks"].values():
            values = np.array(look["map"])
            assert values.shape == (6, 6) and values.min() >= 0 and values.max() in (0.0, 1.0)
        assert one["looks"]["float32"]["says"] == one["reference"]
    assert sum(one["looks"]["int8"]["says"] == one["prediction"] for one in found["images"]) >= 2
    assert [one["grad_cam"]["why"] for one in others] == [
        "There is no Keras model that answers as dynamic does; int8 has one.",
        "It was not asked for (diagnose.grad_cam).",
    ]
    assert not [one for made in others for one in made["images"] if "looks" in one]


def test_the_same_call_again_runs_nothing_again(done: Compressed) -> None:
    before = {path: path.stat().st_mtime_ns for path in done.folder.glob("stages/*/done.json")}
    told: list[Progress] = []
    again = compress(recipe(), out=done.folder, progress=told.append)
    assert {path: path.stat().st_mtime_ns for path in done.folder.glob("stages/*/done.json")} == before
    assert {step.stage for step in told} <= {"report", "data"}
    assert again.results["variants"] == done.results["variants"]


def test_another_variant_is_added_without_training_again(done: Compressed) -> None:
    trained = (done.folder / "stages/train/done.json").stat().st_mtime_ns
    more = compress(recipe(variants=["float32", "int8", "dynamic"]), out=done.folder)
    assert [row["variant"] for row in more.results["variants"]] == ["float32", "int8", "dynamic"]
    assert (done.folder / "stages/train/done.json").stat().st_mtime_ns == trained


def test_where_the_files_part_where_it_is_asked_for(done: Compressed) -> None:
    assert done.results["robustness"] is None and done.results["layers"] is None
    parts = compress(recipe(diagnose__layers=True), out=done.folder).results["layers"]
    assert (parts["reference"], parts["other"], parts["why"]) == ("float32", "int8", None)
    rows = pd.read_csv(done.folder / "results/layers.csv")
    assert rows["tensor"].tolist() == [one["tensor"] for one in parts["rows"]] and len(rows) > 10
    assert 'id="chart-layers"' in (done.folder / "report.html").read_text("utf-8")


@pytest.mark.slow
def test_corruptions_where_they_are_asked_for(done: Compressed) -> None:
    curves = compress(recipe(diagnose__robustness=True), out=done.folder).results["robustness"]
    clean = {one["file"]: one["top1"] for one in curves["points"] if one["severity"] == 0}
    assert clean == {row["variant"]: row["top1"] for row in done.results["variants"]}
    frame = pd.read_csv(done.folder / curves["rows"])
    assert frame["top1"].tolist() == [one["top1"]["value"] for one in curves["points"]]
    assert set(frame["file"]) == {"float32", "int8"}
    assert 'id="chart-corrupted-noise"' in (done.folder / "report.html").read_text("utf-8")


def test_a_budget_that_nothing_meets_fails_and_keeps_the_files(done: Compressed) -> None:
    tight = compress(recipe(budget__max_size_mb=0.001), out=done.folder)
    assert tight.chosen is None
    with pytest.raises(
        CheckFailed, match=r"No variant meets the budget: float32 has 0\.\d+ MB, budget 0.001; int8 has"
    ):
        tight.check()
    assert (done.folder / "artifacts/resnet8_int8.tflite").is_file()


def test_the_python_calls_are_the_commands_stages(tmp_path: Path) -> None:
    data = ek.load_data("digits", preprocess=ek.Preprocess(height=12, width=12, mean=(127.5,) * 3, std=(127.5,) * 3))
    model = ek.build("resnet8", classes=len(data.class_names), input_shape=(12, 12, 3))
    trained = ek.train(model, data, load_recipe(None, FIELDS).train, seed=1)
    assert len(trained.history) == 2
    (artifact,) = ek.export(model, tmp_path, dataset=data, variants=("float32",))
    found = ek.evaluate(artifact, data.test, data.preprocess)
    assert found.n == 360
    measured = ek.bench(artifact, processes=1, min_runs=5, protocol="quick")
    assert measured.sha256 == artifact.card.sha256


def test_an_unknown_field_lists_the_fields() -> None:
    with pytest.raises(BadInput, match="Unknown model 'mobilnet'. Did you mean 'mobilenet"):
        compress(model="mobilnet")
