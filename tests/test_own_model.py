"""The user's own model through the whole job: files and folders, with and without labels, images and arrays."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.models.backend import import_keras
from tests import tiny
from tests.data.test_calibration_folder import flat
from tests.quick import compress

keras = import_keras("Testing")


def run(capsys: pytest.CaptureFixture[str], *arguments: Any) -> tuple[int, dict[str, Any]]:
    return compress(capsys, *arguments, "--calibration-images", 20)


@pytest.fixture
def bright(tmp_path: Path) -> Any:
    """A softmax over tiny.CLASSES by the bright row, which rescales by itself: it takes pixels 0..255."""
    plain = tiny._model("float32")
    image = keras.Input((tiny.SIZE, tiny.SIZE, 3), name="photo")
    x = keras.layers.Rescaling(1 / 255)(image)
    for layer in plain.layers[1:]:
        x = type(layer).from_config(layer.get_config())(x)
    model = keras.Model(image, x, name="bright")
    for mine, theirs in zip(model.layers[2:], plain.layers[1:], strict=True):
        mine.set_weights(theirs.get_weights())
    kernel, bias = model.get_layer("classes").get_weights()
    model.get_layer("classes").set_weights([kernel * 255, bias])
    return model


@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_a_keras_file_and_a_folder_of_photos_are_enough(
    ending: str, bright: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A model that begins by rescaling says how it is fed; without labels what needs them is skipped, and said."""
    bright.save(tmp_path / f"my model{ending}")
    photos = flat(tmp_path / "photos", 60)
    code, said = run(
        capsys, "--model", tmp_path / f"my model{ending}", "--calibration", photos, "--out", tmp_path / "run"
    )
    assert code == 0, said["error"]
    float32, int8 = said["result"]["variants"]
    assert [row["file"] for row in (float32, int8)] == [f"artifacts/my_model_{v}.tflite" for v in ("float32", "int8")]
    for row in (float32, int8):
        assert (row["top1"], row["top5"], row["drop_points"]) == (None, None, None)
        assert row["agreement"]["n"] == 40 and row["parity"]["verified"]
    assert said["result"]["training"]["history"] == [] and said["result"]["dataset"]["class_names"] == []
    card = json.loads((tmp_path / "run" / "artifacts" / "my_model_int8.card.json").read_text())
    assert (card["output_meaning"], card["labels"]) == ("probabilities", [])
    assert card["preprocessing"]["std"] == [1.0, 1.0, 1.0]
    report = (tmp_path / "run" / "report.md").read_text()
    assert "No labels: accuracy and its budget are skipped" in report and "Top-1" not in report
    assert (tmp_path / "run" / "report.html").stat().st_size > 100_000


def test_labelled_images_add_the_accuracy(bright: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bright.save(tmp_path / "bright.keras")
    arguments = (
        "--model",
        tmp_path / "bright.keras",
        "--data",
        tiny.folder(tmp_path / "data", 120),
        "--out",
        tmp_path / "r",
    )
    code, said = run(capsys, *arguments)
    assert code == 0, said["error"]
    assert [row["top1"]["value"] for row in said["result"]["variants"]] == [1.0, 1.0]
    assert said["result"]["variants"][0]["top1"]["n"] == 24  # the test split
    finished = {path: path.stat().st_mtime_ns for path in (tmp_path / "r" / "stages").rglob("done.json")}
    code, again = run(capsys, *arguments)
    assert code == 0 and finished == {path: path.stat().st_mtime_ns for path in finished}  # nothing was done twice
    assert again["result"]["variants"][1]["sha256"] == said["result"]["variants"][1]["sha256"]


def test_a_changed_file_is_another_run(bright: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photos = flat(tmp_path / "photos", 30)
    arguments = (
        "--model",
        tmp_path / "b.keras",
        "--calibration",
        photos,
        "--out",
        tmp_path / "r",
        "--variants",
        "float32",
    )
    bright.save(tmp_path / "b.keras")
    first = run(capsys, *arguments)[1]["result"]["variants"][0]["sha256"]
    kernel, bias = bright.get_layer("classes").get_weights()
    bright.get_layer("classes").set_weights([kernel * 2, bias])
    bright.save(tmp_path / "b.keras")
    assert run(capsys, *arguments)[1]["result"]["variants"][0]["sha256"] != first


def test_several_inputs_come_from_arrays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keras.utils.set_random_seed(0)
    left, right = keras.Input((6,), name="left"), keras.Input((6,), name="right")
    keras.Model([left, right], keras.layers.Dense(3)(keras.layers.Add()([left, right]))).save(tmp_path / "sum.keras")
    generator = np.random.default_rng(0)
    np.savez(tmp_path / "s.npz", left=generator.uniform(size=(60, 6)), right=generator.uniform(size=(60, 6)))
    code, said = run(
        capsys, "--model", tmp_path / "sum.keras", "--calibration", tmp_path / "s.npz", "--out", tmp_path / "r"
    )
    assert code == 0, said["error"]
    int8 = said["result"]["variants"][1]
    assert len(int8["inputs"]) == 2 and int8["agreement"] is None and int8["parity"]["sqnr_db"] > 20
    assert said["result"]["dataset"]["sizes"] == {"calibration": 20, "held_out": 40}
    assert "gives what the model gives" in (tmp_path / "r" / "report.md").read_text()


def test_a_saved_model_that_keras_did_not_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import tensorflow as tf

    class Scorer(tf.Module):
        def __init__(self) -> None:
            self.kernel = tf.Variable(tf.random.stateless_normal((3, 4), (1, 2)))

        @tf.function(input_signature=[tf.TensorSpec((None, 8, 8, 3), tf.float32, name="photo")])
        def score(self, photo: Any) -> Any:
            return {"scores": tf.matmul(tf.reduce_mean(photo, (1, 2)), self.kernel)}

    scorer = Scorer()
    tf.saved_model.save(scorer, str(tmp_path / "scorer"), signatures={"serving_default": scorer.score})
    photos = flat(tmp_path / "photos", 60)
    code, said = run(
        capsys,
        "--model",
        f"{tmp_path}/scorer",
        "--calibration",
        photos,
        "--preprocess",
        "unit",
        "--out",
        tmp_path / "r",
    )
    assert code == 0, said["error"]
    float32 = said["result"]["variants"][0]
    assert (float32["macs"], float32["output_meaning"], float32["agreement"]) == (None, "raw", None)
    assert "not counted" in (tmp_path / "r" / "report.md").read_text()


def test_a_new_head_is_trained_for_the_users_classes(
    bright: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bright.save(tmp_path / "bright.keras")
    data = tiny.folder(tmp_path / "data", 90, classes=3)
    base = ("--model", tmp_path / "bright.keras", "--data", data, "--epochs", 1, "--max-drop-points", 100)
    code, said = run(capsys, *base, "--out", tmp_path / "refused")
    assert code == 3 and "gives 6 scores and there are 3 classes" in said["error"]["message"]
    assert "model.new_head=true" in said["error"]["remedy"]
    code, said = run(
        capsys, *base, "--set", "model.new_head=true", "--out", tmp_path / "r", "--set", "verify.int8_agreement=0.5"
    )
    assert code == 0, said["error"]
    card = json.loads((tmp_path / "r" / "artifacts" / "bright_float32.card.json").read_text())
    assert card["labels"] == ["row0", "row1", "row2"] and card["outputs"][0]["shape"] == [1, 3]
    assert len(said["result"]["training"]["history"]) == 1


def test_labels_name_the_models_classes(bright: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Data with fewer classes than the model has are matched by name."""
    bright.save(tmp_path / "bright.keras")
    (tmp_path / "labels.txt").write_text("".join(f"row{i}\n" for i in range(6)))
    data = tiny.folder(tmp_path / "data", 90, classes=3)
    base = ("--model", tmp_path / "bright.keras", "--data", data, "--variants", "float32")
    code, said = run(capsys, *base, "--labels", tmp_path / "labels.txt", "--out", tmp_path / "r")
    assert code == 0 and said["result"]["dataset"]["class_names"] == [f"row{i}" for i in range(6)]
    (tmp_path / "labels.txt").write_text("".join(f"other{i}\n" for i in range(6)))
    code, said = run(capsys, *base, "--labels", tmp_path / "labels.txt", "--out", tmp_path / "r2")
    assert code == 3 and "does not know: 'row0'" in said["error"]["message"]


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    tiny._model("raw").save(tmp_path / "plain.keras")
    return tmp_path / "plain.keras"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--calibration", "PHOTOS"], 2, "does not say how images are prepared"),
        (["--preprocess", "unit"], 2, "Give --data, or --calibration"),
        (["--preprocess", "unit", "--calibration", "absent"], 3, "There is no folder 'absent'"),
        (["--preprocess", "unit", "--calibration", "absent.npz"], 3, "absent.npz is not a .npz file"),
        (["--preprocess", "unit", "--calibration", "PHOTOS", "--image-size", "32"], 3, "takes images of 8x8 pixels"),
        (["--preprocess", "unit", "--data", "digits"], 3, "gives 6 scores and there are 10 classes"),
        (["--preprocess", "unit", "--calibration", "PHOTOS", "--alpha", "0.5"], 2, "networks of the zoo"),
        (["--preprocess", "unit", "--calibration", "PHOTOS", "--epochs", "1"], 2, "Training needs images with labels"),
        (["--mean", "1,2", "--calibration", "PHOTOS"], 2, "neither a number nor three"),
        (["--std", "0", "--calibration", "PHOTOS"], 3, "data.preprocess.std"),
        (["--weights", "absent.h5", "--preprocess", "unit", "--calibration", "PHOTOS"], 3, "absent.h5"),
        (["--custom", "absent.py", "--preprocess", "unit", "--calibration", "PHOTOS"], 3, "absent.py"),
    ],
)
def test_what_is_missing_or_does_not_fit_is_one_sentence(
    arguments: list[str], code: int, says: str, plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = str(flat(tmp_path / "photos", 30))
    given = [photos if one == "PHOTOS" else one for one in arguments]
    found, said = run(capsys, "--model", plain, *given, "--out", tmp_path / "r")
    error = said["error"]
    assert (found, "\n" in error["message"]) == (code, False) and says in f"{error['message']} {error['remedy']}", error
    assert not list((tmp_path / "r").rglob("*.tflite"))


def test_mean_and_std_are_a_preprocessing_too(plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photos = flat(tmp_path / "photos", 30)
    flags = (
        "--mean",
        "1,2,3",
        "--std",
        "255",
        "--channels",
        "bgr",
        "--no-antialias",
        "--resize",
        "nearest",
        "--crop",
        "center",
    )
    code, said = run(
        capsys, "--model", plain, "--calibration", photos, *flags, "--variants", "float32", "--out", tmp_path / "r"
    )
    assert code == 0, said["error"]
    card = json.loads((tmp_path / "r" / "artifacts" / "plain_float32.card.json").read_text())
    assert card["preprocessing"] == {
        "height": 8, "width": 8, "channels": "bgr", "resize": "nearest", "antialias": False, "crop": "center",
        "mean": [1.0, 2.0, 3.0], "std": [255.0] * 3,
    }  # fmt: skip
    assert card["output_meaning"] == "raw"


def test_custom_layers_are_named_and_come_with_custom(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = "import keras\n\n\nclass Double(keras.layers.Layer):\n    def call(self, x):\n        return 2 * x\n"
    (tmp_path / "mine.py").write_text(source)
    scope: dict[str, Any] = {}
    exec(source, scope)
    image = keras.Input((8, 8, 3))
    x = keras.layers.GlobalAveragePooling2D()(scope["Double"](name="twice")(image))
    keras.Model(image, keras.layers.Dense(4)(x)).save(tmp_path / "custom.keras")
    photos = flat(tmp_path / "photos", 30)
    base = (
        "--model",
        tmp_path / "custom.keras",
        "--calibration",
        photos,
        "--preprocess",
        "unit",
        "--variants",
        "float32",
    )
    code, said = run(capsys, *base, "--out", tmp_path / "r")
    error = said["error"]
    assert code == 3 and "Double" in error["message"] and "--custom" in error["remedy"]
    code, said = run(capsys, *base, "--custom", tmp_path / "mine.py", "--out", tmp_path / "r2")
    assert code == 0, said["error"]
