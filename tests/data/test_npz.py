"""Arrays in a .npz file: every accepted shape, range and kind of label; every refusal."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from edgekit.data.dataset import load_data, load_images
from edgekit.errors import BadInput, EdgekitWarning
from edgekit.preprocess import preset

NATIVE = preset("raw", 5, 4)
GRAY = np.random.default_rng(1).integers(0, 256, (40, 5, 4), np.uint8)
GRAY[0, 0, 0] = 255
RGB = np.stack([GRAY] * 3, axis=3)
LABELS = np.arange(40) % 2


def write(path: Path, **arrays: object) -> Path:
    np.savez_compressed(path / "set.npz", **arrays)
    return path / "set.npz"


@pytest.mark.parametrize(
    "x",
    [GRAY, GRAY[..., None], RGB, RGB.astype(np.float32), RGB / 255, RGB.astype(np.float16), RGB.astype(np.int64)],
    ids=["n h w", "n h w 1", "n h w 3", "float32 0..255", "float64 0..1", "float16 0..255", "int64"],
)
@pytest.mark.parametrize(
    ("y", "names"),
    [
        (LABELS, ("0", "1")),
        (LABELS[:, None].astype(np.uint8), ("0", "1")),
        (np.eye(2)[LABELS], ("0", "1")),
        (LABELS.astype(np.float32), ("0", "1")),
        (np.array(["ape", "bee"])[LABELS], ("ape", "bee")),
        (np.array([b"ape", b"bee"])[LABELS], ("ape", "bee")),
    ],
    ids=["int", "column", "one-hot", "float", "text", "bytes"],
)
def test_shapes_ranges_and_labels(tmp_path: Path, x: np.ndarray, y: np.ndarray, names: tuple[str, ...]) -> None:
    split = load_images(write(tmp_path, x=x, y=y), NATIVE)
    assert (split.class_names, split.labels.tolist(), split.names[3]) == (names, LABELS.tolist(), "x/3")
    np.testing.assert_array_equal(split.read(range(40)), RGB)


def test_given_parts_are_kept_and_missing_ones_made(tmp_path: Path) -> None:
    parts = {"x_train": RGB[:30], "y_train": LABELS[:30], "x_test": RGB[30:], "y_test": LABELS[30:]}
    data = load_data(write(tmp_path, **parts), preprocess=NATIVE, calibration_images=6)
    assert [len(s) for s in (data.train, data.val, data.test, data.calibration)] == [27, 3, 10, 6]
    assert data.test.names == tuple(f"x_test/{i}" for i in range(10)) and data.name == "set"
    parts |= {"x_val": RGB[20:30], "y_val": LABELS[20:30], "x_train": RGB[:20], "y_train": LABELS[:20]}
    data = load_data(write(tmp_path, **parts), preprocess=NATIVE, calibration_images=6)
    assert [len(s) for s in (data.train, data.val, data.test)] == [20, 10, 10]
    whole = load_data(write(tmp_path, x=RGB, y=LABELS), preprocess=NATIVE, calibration_images=6)
    assert [len(s) for s in (whole.train, whole.val, whole.test)] == [28, 4, 8]


def test_class_names_in_the_file_and_of_the_model(tmp_path: Path) -> None:
    named = write(tmp_path, x=RGB, y=LABELS, class_names=np.array(["bee", "ape"]))
    assert load_images(named, NATIVE).class_names == ("bee", "ape")
    assert load_images(named, NATIVE, ("ape", "bee")).labels.tolist() == (1 - LABELS).tolist()
    counted = write(tmp_path, x=RGB, y=LABELS)
    split = load_images(counted, NATIVE, ("ape", "bee", "cow"))
    assert (split.class_names, split.labels.tolist()) == (("ape", "bee", "cow"), LABELS.tolist())
    with pytest.raises(BadInput, match="classes the model does not know: '1'"):
        load_images(counted, NATIVE, ("ape",))


@pytest.mark.parametrize(
    ("x", "high"),
    [(RGB // 5, "51"), ((RGB > 127).astype(np.uint8), "1"), (RGB / 16, "15.9375")],
    ids=["dark", "0 and 1 as bytes", "0..16"],
)
def test_an_unlikely_range_is_said(tmp_path: Path, x: np.ndarray, high: str) -> None:
    with pytest.warns(EdgekitWarning, match=f"pixel values up to {high}, read as 0..255: very dark"):
        split = load_images(write(tmp_path, x=x, y=LABELS), NATIVE)
    np.testing.assert_array_equal(split.read(range(40)), np.floor(x + 0.5).astype(np.uint8))


BAD = {
    "no arrays": ({}, "has no images: its arrays are none."),
    "other names": ({"images": RGB, "y": LABELS}, "has no images: its arrays are images, y."),
    "no labels": ({"x": RGB}, "has no y."),
    "no test labels": ({"x_train": RGB, "y_train": LABELS, "x_test": RGB}, "has no y_test."),
    "both": ({"x": RGB, "y": LABELS, "x_train": RGB, "y_train": LABELS}, "has both x and x_train."),
    "test only": ({"x_test": RGB, "y_test": LABELS}, "has no training images."),
    "flat": ({"x": RGB.reshape(40, -1), "y": LABELS}, "x has the shape [40, 60]."),
    "channels first": ({"x": RGB.transpose(0, 3, 1, 2), "y": LABELS}, "x has the shape [40, 3, 5, 4]."),
    "rgba": ({"x": np.zeros((2, 5, 4, 4), np.uint8), "y": [0, 1]}, "x has the shape [2, 5, 4, 4]."),
    "empty": ({"x": RGB[:0], "y": LABELS[:0]}, "x has no images (shape [0, 5, 4, 3])."),
    "text pixels": ({"x": np.full((2, 5, 4), "a"), "y": [0, 1]}, "x has the type <U1."),
    "lengths": ({"x": RGB, "y": LABELS[:39]}, "has 40 images in x but 39 labels in y."),
    "negative": ({"x": RGB / 127.5 - 1, "y": LABELS}, "has pixel values from -1 to 1."),
    "16 bits": ({"x": RGB.astype(np.uint16) * 257, "y": LABELS}, "has pixel values from 0 to 65535."),
    "nan": ({"x": np.full((2, 5, 4), np.nan), "y": [0, 1]}, "has pixel values from nan to nan."),
    "negative labels": ({"x": RGB, "y": LABELS - 1}, "has labels from -1 to 0 for 40 images."),
    "far labels": ({"x": RGB, "y": LABELS * 10**9}, "has labels from 0 to 1000000000 for 40 images."),
    "unnamed label": (
        {"x": RGB, "y": np.arange(40) % 3, "class_names": ["a", "b"]},
        "has labels from 0 to 2 for 2 class names.",
    ),
    "fractions": ({"x": RGB, "y": LABELS + 0.5}, "y has the shape [40] and type float64, which are not labels."),
    "soft labels": (
        {"x": RGB, "y": np.full((40, 2), 0.5)},
        "y has the shape [40, 2] and type float64, which are not labels.",
    ),
    "mixed": (
        {"x_train": RGB, "y_train": LABELS, "x_test": RGB, "y_test": np.full(40, "a")},
        "has text labels in some parts and numbers in others.",
    ),
    "one class": ({"x": RGB, "y": LABELS * 0}, "has one class only ('0')."),
    "a gap": ({"x": RGB, "y": LABELS * 2}, "has no image to train on for '1'."),
    "new test class": (
        {"x_train": RGB, "y_train": LABELS, "x_test": 255 - RGB, "y_test": LABELS * 2},
        "has no image to train on for '2'.",
    ),
    "objects": ({"x": np.array([{}, 1]), "y": [0, 1]}, "holds Python objects, not numbers."),
}


@pytest.mark.parametrize(("arrays", "fact"), BAD.values(), ids=BAD)
def test_bad_arrays(tmp_path: Path, arrays: dict[str, object], fact: str) -> None:
    path = write(tmp_path, **arrays)
    with pytest.raises(BadInput) as caught, warnings.catch_warnings():
        warnings.simplefilter("ignore", EdgekitWarning)
        load_data(path, preprocess=NATIVE)
    assert caught.value.fact.endswith(fact) and caught.value.remedy and "\n" not in str(caught.value)


def test_files_that_are_no_npz(tmp_path: Path) -> None:
    path = write(tmp_path, x=RGB, y=LABELS)
    whole = path.read_bytes()
    (tmp_path / "plain.npy").write_bytes(b"")
    np.save(tmp_path / "plain.npy", RGB)
    for content in (b"", b"hello", whole[:-30], whole[:200], (tmp_path / "plain.npy").read_bytes()):
        path.write_bytes(content)
        with pytest.raises(BadInput, match=r"set.npz is not a readable .npz file\. Write it with numpy"):
            load_data(path, preprocess=NATIVE)
