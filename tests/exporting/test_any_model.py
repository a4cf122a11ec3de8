"""Models that are no classifiers of one RGB image: several inputs and outputs, other shapes, one score."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.data.arrays import ArrayData, load_arrays
from edgekit.errors import BadInput, CheckFailed, UsageError
from edgekit.evaluation.evaluate import evaluate
from edgekit.evaluation.parity import parity
from edgekit.exporting.convert import convert
from edgekit.exporting.export import Exporter, export
from edgekit.exporting.freeze import freeze, served
from edgekit.models.backend import import_keras
from edgekit.recipe import Verify
from edgekit.runtime.flatbuffer import parse
from edgekit.runtime.interpreter import open_model
from tests import tiny

keras = import_keras("Testing")


def two_and_two() -> Any:
    """Inputs by name, so that their order in a call does not matter; outputs of different shapes."""
    keras.utils.set_random_seed(0)
    image, extra = keras.Input((8, 8, 1), name="image"), keras.Input((4,), name="extra")
    x = keras.layers.Conv2D(6, 3, activation="relu", name="conv")(image)
    pooled = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    joined = keras.layers.Concatenate(name="join")([pooled, keras.layers.Dense(6, name="embed")(extra)])
    outputs = {"zone": keras.layers.Dense(3, name="zone")(joined), "map": keras.layers.Conv2D(2, 1, name="map")(x)}
    return keras.Model({"image": image, "extra": extra}, outputs, name="two")


def samples(model: Any, folder: Path, n: int = 60) -> ArrayData:
    generator = np.random.default_rng(0)
    arrays = {one.name: generator.normal(size=(n, *one.shape)).astype(one.dtype) for one in served(model).inputs}
    np.savez(folder / "samples.npz", **arrays)
    return load_arrays(folder / "samples.npz", served(model).inputs, calibration_samples=40)


def test_several_inputs_and_outputs_keep_their_names_and_values(tmp_path: Path) -> None:
    model = two_and_two()
    data = samples(model, tmp_path)
    # Concatenation gives both branches one scale, so the narrow one is coarse in int8: that is the network's own.
    limits = Verify(min_sqnr_db=12)
    made = export(model, tmp_path, dataset=data, variants=("float32", "dynamic", "int8"), limits=limits)
    for artifact in made:
        card = artifact.card
        assert card is not None and card.verification["verified"] and card.verification["agreement"] is None
        assert {one.shape for one in card.inputs} == {(1, 8, 8, 1), (1, 4)}
        assert {one.shape for one in card.outputs} == {(1, 3), (1, 6, 6, 2)}
        assert (card.preprocessing, card.labels, card.output_meaning) == (None, (), "raw")
        assert card.data["samples"] == {"calibration": 40, "held_out": 20}
    (signature,) = parse(made[0].content).signatureDefs
    graph = parse(made[0].content).subgraphs[0]
    found = {entry.name.decode(): tuple(graph.tensors[entry.tensorIndex].shape) for entry in signature.inputs}
    assert found == {"image": (1, 8, 8, 1), "extra": (1, 4)}
    found = {entry.name.decode(): tuple(graph.tensors[entry.tensorIndex].shape) for entry in signature.outputs}
    assert found == {"zone": (1, 3), "map": (1, 6, 6, 2)}


def test_an_input_of_whole_numbers_stays_one(tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    codes = keras.Input((5,), dtype="int32", name="codes")
    x = keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(10, 8)(codes))
    model = keras.Model(codes, keras.layers.Dense(2)(x))
    np.savez(tmp_path / "codes.npz", np.random.default_rng(0).integers(0, 10, (60, 5)))
    data = load_arrays(tmp_path / "codes.npz", served(model).inputs, calibration_samples=40)
    (artifact,) = export(model, tmp_path, dataset=data, variants=("float32",))
    assert artifact.card is not None and artifact.card.inputs[0].dtype == "int32"


def test_what_is_no_classifier_is_held_to_its_signal_to_noise_ratio(tmp_path: Path) -> None:
    model = two_and_two()
    with pytest.raises(CheckFailed, match=r"int8: has \d+\.\d dB signal to noise, limit 90 dB"):
        export(model, tmp_path, dataset=samples(model, tmp_path), limits=Verify(min_sqnr_db=90))


def test_the_worst_output_counts() -> None:
    model = two_and_two()
    content = convert(freeze(model, softmax=False), "float32")
    inputs = tuple(np.ones((3, *one.shape), np.float32) for one in served(model).inputs)
    right = [np.concatenate(parts) for parts in zip(*[open_model(content).run(*(v[i : i + 1] for v in inputs))
                                                      for i in range(3)], strict=True)]  # fmt: skip
    wrong = (right[0], right[1] + 1)
    found = parity(content, "float32", inputs, wrong, Verify(), classifier=False)
    assert found.max_abs == pytest.approx(1, rel=1e-4) and not found.verified
    assert parity(content, "float32", inputs, tuple(right), Verify(), classifier=False).sqnr_db is None


def test_outputs_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    model = two_and_two()
    kernel, bias = model.get_layer("zone").get_weights()
    model.get_layer("zone").set_weights([kernel * np.inf, bias])
    with pytest.raises(BadInput, match="not all finite"):
        export(model, tmp_path, dataset=samples(model, tmp_path), variants=("float32",))


def test_arrays_are_no_pixels(tmp_path: Path) -> None:
    model = two_and_two()
    exporter = Exporter(model, samples(model, tmp_path), softmax=False, classifier=False)
    with pytest.raises(UsageError, match="--io uint8 is for models that take one RGB image"):
        exporter.write(tmp_path, "int8", "uint8")


@pytest.fixture(scope="module")
def one_score(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """A sigmoid for two classes, bright first row or bright second row, and its file."""
    image = keras.Input((8, 8, 3), name="image")
    rows = keras.layers.Conv2D(1, (1, 8), name="rows")(image)
    model = keras.Model(image, keras.layers.Dense(1, activation="sigmoid", name="p")(keras.layers.Flatten()(rows)))
    model.get_layer("rows").set_weights([np.full((1, 8, 3, 1), 1 / 24), np.zeros(1)])
    weights = np.zeros((8, 1))
    weights[:2, 0] = -0.05, 0.05
    model.get_layer("p").set_weights([weights, np.zeros(1)])
    path = tmp_path_factory.mktemp("one") / "one.tflite"
    path.write_bytes(convert(freeze(model, softmax=False), "float32"))
    return model, path


def test_a_single_score_is_the_second_of_two_classes(one_score: tuple[Any, Path], tmp_path: Path) -> None:
    from edgekit.data.dataset import load_images
    from edgekit.preprocess import preset

    split = load_images(tiny.folder(tmp_path, 40, classes=2), preset("raw", 8, 8))
    found = evaluate(one_score[1], split)
    scores = [float(np.asarray(one_score[0](split.read([i]).astype(np.float32)))[0, 0]) for i in range(len(split))]
    assert found.predictions.tolist() == [int(score > 0.5) for score in scores] and found.top1.value > 0.3
    assert found.confidence.min() >= 0.5


@pytest.fixture
def unsized() -> Callable[[], Any]:
    def make() -> Any:
        image = keras.Input((None, None, 3), name="photo")
        return keras.Model(image, keras.layers.GlobalAveragePooling2D()(image))

    return make


def test_a_size_that_is_not_fixed_is_refused_naming_the_input(unsized: Callable[[], Any]) -> None:
    with pytest.raises(BadInput, match=r"'photo', \(None, None, 3\), is not fixed"):
        served(unsized())
