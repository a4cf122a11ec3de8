"""Steps in the job: each is a stage, taken once; a variant comes from the model that it stands for."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgekit as ek
from edgekit.artifact import load_artifact
from edgekit.data.images import normalize
from edgekit.distil_config import Distil
from edgekit.errors import BadInput, UsageError
from edgekit.models.backend import import_keras
from edgekit.models.teachers import load_teachers
from edgekit.pipeline import Compressed, compress
from edgekit.preprocess import preset
from edgekit.progress import Progress
from edgekit.recipe import Recipe, load_recipe
from edgekit.train_config import Train
from tests import tiny
from tests.quick import compress as on_the_command_line
from tests.test_pipeline import FIELDS

keras = import_keras("Testing")

STEPS = {"quantize_aware": {"epochs": 2, "learning_rate": 1e-3}}


def recipe(*steps: Any, **more: Any) -> Recipe:
    fields = {**FIELDS, "variants": ["float32", "int8", "dynamic"], "steps": list(steps)}
    return load_recipe(None, {**fields, **{name.replace("__", "."): value for name, value in more.items()}})


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Compressed:
    return compress(recipe(STEPS), out=tmp_path_factory.mktemp("runs") / "run")


def digests(one: Compressed) -> dict[str, str]:
    return {row["variant"]: row["sha256"] for row in one.results["variants"]}


def times(folder: Path) -> dict[str, int]:
    return {path.parent.name: path.stat().st_mtime_ns for path in folder.glob("stages/*/done.json")}


def test_a_step_is_a_stage_with_its_model_and_its_report(done: Compressed) -> None:
    stage = done.folder / "stages" / "step-0-quantize_aware"
    report = json.loads((stage / "report.json").read_text())
    (step,) = done.results["steps"]
    assert step["name"] == "quantize_aware" and step["config"]["epochs"] == 2
    assert {name: step[name] for name in ("done", "skipped", "figures")} == report
    assert report["figures"]["agreement"]["value"] >= 0.98 and report["figures"]["float_ops"] == []
    assert [row["epoch"] for row in report["figures"]["training"]["history"]] == [1, 2]
    model = keras.saving.load_model(stage / "model.keras", compile=False)
    assert "QuantizedConv2D" in {type(layer).__name__ for layer in model.layers}
    assert done.results["failures"] == []
    recorded = json.loads((done.folder / "artifacts" / "resnet8_int8.card.json").read_text())["recipe"]["steps"]
    assert recorded[0]["quantize_aware"]["epochs"] == 2


def test_the_trained_network_is_kept_as_a_teacher_for_others(done: Compressed) -> None:
    """On logits, and prepared as the card beside it says, whatever the student takes."""
    kept = done.folder / "artifacts" / "resnet8.keras"
    card = load_artifact(done.folder / "artifacts" / "resnet8_float32.tflite").card
    student = preset("unit", card.preprocessing.height, card.preprocessing.width)
    (found,) = load_teachers(Distil(teacher=(str(kept),)), student, card.labels)
    assert found.feed is not None and "stage2_block0_add" in {layer.name for layer in found.model.layers}
    pixels = np.random.default_rng(0).integers(0, 256, (2, student.height, student.width, 3), np.uint8)
    fed = np.asarray(found.feed(normalize(pixels, student)))
    np.testing.assert_allclose(fed, normalize(pixels, card.preprocessing), atol=1e-5)
    with pytest.raises(BadInput, match="knows the same classes in another order: 0, 1, 2, ..."):
        load_teachers(Distil(teacher=(str(kept),)), student, card.labels[::-1])


def test_a_quantizing_step_makes_the_int8_file_alone(done: Compressed, tmp_path: Path) -> None:
    """The same training without the step: every other file is the same to the byte. Nothing is done twice."""
    before = times(done.folder)
    plain = compress(recipe(), out=done.folder)
    after = times(done.folder)
    of_int8 = {"export-int8", "evaluate-int8", "bench", "gallery", "inside"}
    assert {name for name in before if before[name] != after[name]} == of_int8
    assert {name for name, digest in digests(plain).items() if digest != digests(done)[name]} == {"int8"}
    assert plain.results["steps"] == []
    again = compress(recipe(STEPS), out=done.folder)
    assert digests(again) == digests(done)
    assert times(done.folder)["step-0-quantize_aware"] == before["step-0-quantize_aware"]


def test_interrupted_within_a_step_the_run_ends_with_the_same_files(done: Compressed, tmp_path: Path) -> None:
    class Killed(Exception):
        """As good as a kill: what counts is on disk."""

    def stop(at: Progress) -> None:
        if at.stage == "quantize_aware" and at.done == at.total * 3 // 4:
            raise Killed

    with pytest.raises(Killed):
        compress(recipe(STEPS), out=tmp_path / "run", progress=stop)
    assert not (tmp_path / "run/stages/step-0-quantize_aware/done.json").exists()
    told: list[Progress] = []
    resumed = compress(recipe(STEPS), out=tmp_path / "run", progress=told.append)
    assert min(at.done for at in told if at.stage == "quantize_aware") > max(at.total for at in told) // 2
    assert not [at for at in told if at.stage == "train"]
    assert digests(resumed) == digests(done)


@pytest.fixture
def striped(tmp_path: Path) -> Path:
    """The user's own classifier, which ends in a softmax."""
    tiny._model("float32").save(tmp_path / "striped.keras")
    return tmp_path / "striped.keras"


def test_without_labels_the_users_own_model_learns_from_itself(
    striped: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its softmax is off while it learns and back in the file; the int8 file is held against the float one."""
    photos = tiny.folder(tmp_path / "photos", 60)
    code, said = on_the_command_line(
        capsys, "--recipe", "qat-nolabels-int8", "--model", striped, "--calibration", photos, "--preprocess", "raw",
        "--calibration-images", 40, "--out", tmp_path / "run",
    )  # fmt: skip
    assert code == 0, said["error"]
    float32, int8 = said["result"]["variants"]
    (step,) = said["result"]["steps"]
    assert step["figures"]["training"]["history"][0]["val_agreement"] > 0.5
    assert "val_top1" not in step["figures"]["training"]["history"][0]
    for row in (float32, int8):
        assert row["output_meaning"] == "probabilities" and row["top1"] is None
        assert row["agreement"]["n"] == 20 and row["agreement"]["value"] >= 0.9


@pytest.fixture(scope="module")
def swish(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier of the digits with a hard-swish, in a file."""
    data = ek.load_data("digits", preprocess=ek.preset("tf", 12, 12))
    keras.utils.set_random_seed(0)
    image = keras.Input((12, 12, 3))
    x = keras.layers.Conv2D(8, 3, strides=2, activation="hard_swish", name="first")(image)
    x = keras.layers.Conv2D(16, 3, strides=2, name="second")(x)
    model = keras.Model(image, keras.layers.Dense(10, name="last")(keras.layers.Flatten()(x)), name="swish")
    ek.train(model, data, Train(epochs=6, batch_size=32, learning_rate=5e-3))
    path = tmp_path_factory.mktemp("own") / "swish.keras"
    model.save(path)
    return path


def test_an_exact_rewrite_changes_every_file_but_float32(
    swish: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that is not exact costs what no mix of int8 and float brings back: exit code 1, and the closest file."""
    base = ("--model", swish, "--data", "digits", "--preprocess", "tf", "--variants", "float32,float16,mixed",
            "--max-drop-points", 1, "--out", tmp_path / "run")  # fmt: skip
    _, plain = on_the_command_line(capsys, *base)
    code, said = on_the_command_line(capsys, *base, "--set", "steps=[rewrite]")
    assert code == 0, said["error"]
    old, new = ({row["variant"]: row for row in one["result"]["variants"]} for one in (plain, said))
    assert [name for name in old if old[name]["sha256"] == new[name]["sha256"]] == ["float32"]
    assert new["float16"]["agreement"]["value"] >= 0.995 and abs(new["mixed"]["drop_points"]) <= 1
    assert said["result"]["mixed"]["reached"] and said["result"]["steps"][0]["figures"]["exact"]

    code, said = on_the_command_line(capsys, *base, "--set", "steps.rewrite.hard_swish=relu6")
    assert code == 1 and "is the closest to the budget that any mix comes" in said["error"]["message"]
    mixed = said["result"]["variants"][2]
    assert (tmp_path / "run" / mixed["file"]).is_file() and mixed["drop_points"] > 1


def test_steps_that_cannot_be_taken(tmp_path: Path) -> None:
    labels = {"quantize_aware": {"distil": False}}
    with pytest.raises(UsageError, match="quantize_aware needs images with labels"):
        compress(recipe(labels, data__source=None, train__epochs=0), out=tmp_path / "run")
    excluded = {"quantize_aware": {"exclude": ["nowhere*"]}}
    with pytest.raises(BadInput, match="Unknown layer 'nowhere"), pytest.warns(match="random weights"):
        compress(recipe(excluded, train__epochs=0), out=tmp_path / "run")


def test_a_teacher_from_a_file_decides_the_run(tmp_path: Path) -> None:
    """It teaches the training and the step; another file of the same name is another run."""

    def teacher(seed: int) -> None:
        keras.utils.set_random_seed(seed)
        image = keras.Input((12, 12, 3))
        x = keras.layers.Conv2D(8, 3, activation="relu")(image)
        scores = keras.layers.Dense(10)(keras.layers.GlobalAveragePooling2D()(x))
        keras.Model(image, scores).save(tmp_path / "teacher.keras")

    step = {"quantize_aware": {"epochs": 1, "distil": "teacher"}}
    wanted = recipe(step, variants=["float32", "int8"], train__distil={"teacher": str(tmp_path / "teacher.keras")})
    teacher(1)
    first = compress(wanted, out=tmp_path / "run")
    told = first.results["training"]["notes"], first.results["steps"][0]["figures"]["training"]["notes"]
    assert "of the validation images right" in told[0][0]
    assert "since the images are augmented" in told[0][1] and told[1] == told[0]
    assert "validation images right" in (tmp_path / "run" / "report.md").read_text("utf-8")
    before = times(tmp_path / "run")
    assert digests(compress(wanted, out=tmp_path / "run")) == digests(first) and times(tmp_path / "run") == before
    teacher(2)
    second = compress(wanted, out=tmp_path / "run")
    assert not set(digests(second).values()) & set(digests(first).values())


def test_a_network_of_the_zoo_is_trained_as_a_teacher_first(tmp_path: Path) -> None:
    """As the model is, without a teacher of its own; once, and the step learns from the very same."""
    step = {"quantize_aware": {"epochs": 1, "distil": "teacher"}}
    said = {"teacher": ["lenet5"], "teacher_epochs": 2, "answers": "once"}
    wanted = recipe(step, variants=["float32", "int8"], train__distil=said)
    done = compress(wanted, out=tmp_path / "run")
    record = json.loads((tmp_path / "run" / "stages" / "teacher-lenet5" / "done.json").read_text())
    history = record["result"]["history"]
    assert len(history) == 2 and "train_top1" in history[0]
    best = f"The teacher has {max(row['val_top1'] for row in history):.1%} of the validation images right."
    notes = done.results["training"]["notes"], done.results["steps"][0]["figures"]["training"]["notes"]
    assert notes[0][0] == notes[1][0] == best
    before = times(tmp_path / "run")
    assert digests(compress(wanted, out=tmp_path / "run")) == digests(done) and times(tmp_path / "run") == before
    with pytest.raises(BadInput, match="lenet5 is to be trained first, which a run does"):
        load_teachers(wanted.train.distil, preset("tf", 12, 12), ("a", "b"))
