"""Teachers from files: on logits, fed with what they take, refused where they do not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image

from edgekit.data.images import normalize
from edgekit.distil_config import Distil
from edgekit.errors import BadInput
from edgekit.models.teachers import averaged, load_teachers
from edgekit.preprocess import Preprocess, preset

CLASSES = ("a", "b", "c")
PIXELS = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), np.uint8)


def network(seed: int = 0, classes: int = 3, size: int = 8, dtype: str = "float32", channels: int = 3) -> Any:
    keras.utils.set_random_seed(seed)
    image = keras.Input((size, size, channels), dtype=dtype)
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, activation="relu")(image))
    return keras.Model(image, layers.Dense(classes)(x))


def saved(model: Any, folder: Path, name: str = "teacher") -> str:
    path = folder / f"{name}.keras"
    model.save(path)
    return str(path)


def answers(model: Any, images: np.ndarray) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(model(images, training=False)))


@pytest.mark.parametrize("theirs", ["raw", "unit", "tf", "caffe", "imagenet"])
@pytest.mark.parametrize("ours", ["tf", "caffe"])
def test_it_sees_what_it_expects(theirs: str, ours: str, tmp_path: Path) -> None:
    """Another normalization and order of the channels, of the same pixels."""
    model = network()
    config = Distil(teacher=(saved(model, tmp_path),), preprocess=theirs)
    student, own = preset(ours, 8, 8), preset(theirs, 8, 8)
    (found,) = load_teachers(config, student, CLASSES)
    assert (found.feed is None) == (ours == theirs)

    def fed(feed: Preprocess) -> np.ndarray:
        ordered = PIXELS if feed.channels == "rgb" else PIXELS[..., ::-1]
        return normalize(ordered, feed)

    given = fed(student) if found.feed is None else found.feed(fed(student))
    np.testing.assert_allclose(given, fed(own), atol=1e-3)
    np.testing.assert_allclose(answers(found.model, given), answers(model, fed(own)), atol=1e-2)


def test_one_that_begins_by_rescaling_takes_pixels(tmp_path: Path) -> None:
    image = keras.Input((8, 8, 3))
    model = keras.Model(image, network()(layers.Rescaling(1 / 255)(image)))
    (found,) = load_teachers(Distil(teacher=(saved(model, tmp_path),)), preset("tf", 8, 8), CLASSES)
    given = found.feed(normalize(PIXELS, preset("tf", 8, 8)))
    np.testing.assert_allclose(given, PIXELS, atol=1e-3)


@pytest.mark.parametrize("size", [4, 16])
def test_one_of_another_size_sees_the_images_resized(size: int, tmp_path: Path) -> None:
    """As Pillow's bilinear filter would, of the same normalization; and two of different sizes are averaged."""
    model = network(size=size)
    paths = (saved(model, tmp_path), saved(network(seed=1), tmp_path, "same"))
    student = preset("tf", 8, 8)
    found = load_teachers(Distil(teacher=paths), student, CLASSES)
    given = np.asarray(keras.ops.convert_to_numpy(found[0].feed(normalize(PIXELS, student))))
    resized = [np.asarray(Image.fromarray(one).resize((size, size), Image.Resampling.BILINEAR)) for one in PIXELS]
    np.testing.assert_allclose(given, normalize(np.stack(resized), student), atol=1.01 / 127.5)
    assert averaged(found, 2.0)(normalize(PIXELS, student)).shape == (len(PIXELS), 3)


def test_a_softmax_is_taken_off(tmp_path: Path) -> None:
    model = network()
    ended = keras.Model(model.inputs, layers.Softmax()(model.outputs[0]))
    (found,) = load_teachers(Distil(teacher=(saved(ended, tmp_path),)), preset("tf", 8, 8), CLASSES)
    images = normalize(PIXELS, preset("tf", 8, 8))
    np.testing.assert_allclose(answers(found.model, images), answers(model, images), atol=1e-6)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_of_several_the_softened_probabilities_are_averaged(temperature: float, tmp_path: Path) -> None:
    models = [network(seed) for seed in range(3)]
    paths = tuple(saved(model, tmp_path, f"t{i}") for i, model in enumerate(models))
    found = load_teachers(Distil(teacher=paths), preset("tf", 8, 8), CLASSES)
    images = normalize(PIXELS, preset("tf", 8, 8))

    def soft(logits: np.ndarray) -> np.ndarray:
        powers = np.exp(logits / temperature)
        return powers / powers.sum(axis=1, keepdims=True)

    expected = np.mean([soft(answers(model, images)) for model in models], axis=0)
    np.testing.assert_allclose(soft(answers(averaged(found, temperature), images)), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("said", "model", "changes"),
    [
        ("knows 5 classes, the data have 3", {"classes": 5}, {}),
        ("takes 8x8x1, which is no RGB image of one size", {"channels": 1}, {}),
        ("takes uint8 and gives float32, and a student works in float32", {"dtype": "uint8"}, {}),
        ("other pixels than the student: resize bicubic instead of bilinear, crop center", {}, {"preprocess": "lite"}),
        ("Unknown preprocessing preset 'inception'", {}, {"preprocess": "inception"}),
    ],
)
def test_one_that_does_not_fit_is_refused(
    said: str, model: dict[str, Any], changes: dict[str, str], tmp_path: Path
) -> None:
    config = Distil(teacher=(saved(network(**model), tmp_path),), **changes)
    with pytest.raises(BadInput, match=said):
        load_teachers(config, preset("tf", 8, 8), CLASSES)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("resnet20", "1000 classes of ImageNet in their order, and the data have others.*give the .keras file"),
        ("resnet21", "Unknown model 'resnet21'"),
        ("nowhere/teacher.keras", "There is no file or folder nowhere/teacher.keras"),
    ],
)
def test_a_name_that_gives_no_teacher(name: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        load_teachers(Distil(teacher=(name,)), preset("tf", 8, 8), CLASSES)
