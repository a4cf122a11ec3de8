"""The preprocessing that a file was made with is found again, and what cannot be told apart is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgekit.errors import BadInput, UsageError
from edgekit.evaluation.detect import SCALINGS, Candidate, Detection, _candidate, detect_preprocess
from edgekit.preprocess import PRESETS, preset
from tests import tiny
from tests.runtime.one_op import made, one_op

SIDE = 8
COLOURS = {"blue": (30, 60, 220), "green": (40, 190, 70), "red": (220, 50, 30)}


@pytest.fixture(scope="module")
def stripes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.folder(tmp_path_factory.mktemp("stripes"), 36)


@pytest.fixture(scope="module")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wide pictures: the class's colour in the middle, another class's beside it, so that the crop matters."""
    root, generator = tmp_path_factory.mktemp("colours"), np.random.default_rng(0)
    values = [np.asarray(one) for one in COLOURS.values()]
    for at, name in enumerate(COLOURS):
        (root / name).mkdir()
        for number in range(8):
            image = np.empty((SIDE, 3 * SIDE, 3))
            image[:], image[:, SIDE : 2 * SIDE] = values[at - 1], values[at] * generator.uniform(0.4, 1)
            noisy = np.clip(image + generator.integers(0, 40, image.shape), 0, 255).astype(np.uint8)
            Image.fromarray(noisy).save(root / name / f"{number}.png")
    return root


def names_the_colour(order: str) -> bytes:
    """Logits are the means of the channels: linear, so that a larger scaling only makes it surer."""
    kernel = 6 * np.eye(3, dtype=np.float32)[:, :: -1 if order == "rgb" else 1].reshape(3, 1, 1, 3)
    options = made("Conv2D", padding=1, strideW=SIDE, strideH=SIDE, dilationWFactor=1, dilationHFactor=1)
    kernel = np.repeat(np.repeat(kernel, SIDE, axis=1), SIDE, axis=2) / SIDE**2
    return one_op("CONV_2D", inputs=((1, SIDE, SIDE, 3),), constants={1: kernel, 2: np.zeros(3, np.float32)},
                  output=(1, 1, 1, 3), options=options, version=3)  # fmt: skip


@pytest.mark.parametrize("variant", ["float32", "uint8_io"])
def test_the_scaling_of_a_file_is_found(variant: str, stripes: Path) -> None:
    found = detect_preprocess(tiny.path(variant), stripes, images=30)
    assert found.chosen.candidate.preset == "raw" and found.failed is None
    assert found.n == 30 and found.chance == pytest.approx(5 / 30)
    told = {(one.candidate.scaling, one.candidate.preprocess.channels): one.told_apart for one in found.ranked}
    assert told["unit", "rgb"] and told["tf", "rgb"] and told["imagenet", "rgb"]
    assert "resize" not in found.undecided and "crop" not in found.undecided  # the images have the file's own size


@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_the_order_of_the_channels_and_the_crop_are_found(order: str, colours: Path, tmp_path: Path) -> None:
    path = tmp_path / "colours.tflite"
    path.write_bytes(names_the_colour(order))
    found = detect_preprocess(path, colours, images=24)
    best = found.chosen.candidate.preprocess
    assert (best.channels, best.crop) == (order, "center") and found.chosen.top1.value > 0.9
    assert {"resize", "antialias"} & set(found.undecided)  # the square that is left has the file's own size
    other = next(one for one in found.ranked if one.candidate.preprocess.channels != order)
    assert other.told_apart


def test_labels_in_another_order_are_no_preprocessing(stripes: Path) -> None:
    names = tuple(f"row{row}" for row in (1, 2, 3, 4, 5, 0))
    found = detect_preprocess(tiny.path("float32"), stripes, labels=names, images=30)
    assert (
        found.failed is not None and "better than guessing" in found.failed.fact and "--labels" in found.failed.remedy
    )
    assert isinstance(found, Detection) and found.to_json()["ranked"]


def test_every_preset_is_tried_and_known_again() -> None:
    for name in PRESETS:
        wanted = preset(name, 8, 8)
        geometry = {"resize": wanted.resize, "antialias": wanted.antialias, "crop": wanted.crop}
        tried: Candidate = _candidate(preset("raw", 8, 8), name, wanted.channels, **geometry)
        assert tried.preprocess == wanted and tried.preset == name
    assert set(SCALINGS) == set(PRESETS)


@pytest.mark.parametrize(
    ("images", "labels", "kind", "said"),
    [(5, None, UsageError, "too few"), (30, ("a", "b", "c", "d", "e", "f"), BadInput, "does not know"),
     (30, ("a", "b"), BadInput, "6 scores and there are 2")],
)  # fmt: skip
def test_what_does_not_fit(images: int, labels: tuple[str, ...] | None, kind: type, said: str, stripes: Path) -> None:
    with pytest.raises(kind, match=said):
        detect_preprocess(tiny.path("float32"), stripes, labels=labels, images=images)
