"""Images and labels from a .npz file: x_train/y_train, x_val/y_val, x_test/y_test, or x/y (and class_names)."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from edgekit.data.pixels import Arrays, hash_arrays
from edgekit.data.sources import Source
from edgekit.data.split import Split
from edgekit.errors import BadInput, EdgekitWarning
from edgekit.preprocess import Preprocess

KEYS = {"all": ("x", "y"), "train": ("x_train", "y_train"), "val": ("x_val", "y_val"), "test": ("x_test", "y_test")}
EXPECTED = "Expected x_train, y_train, x_test, y_test (and x_val, y_val), or x and y."
DARK = 64  # images that nowhere reach a quarter of 255 were probably meant on another scale
CHUNK = 1024


def read_npz(path: Path, preprocess: Preprocess) -> Source:
    """The parts of a .npz file. Pixels: uint8 or numbers in 0..1 or 0..255, [n, h, w], [n, h, w, 1] or [n, h, w, 3].

    Labels: integers [n] or [n, 1], one-hot [n, k], or text [n] (the class names, sorted). Nothing is unpickled.
    Raises BadInput.
    """
    arrays = _load(path)
    given = {part: keys for part, keys in KEYS.items() if keys[0] in arrays}
    if not given:
        raise BadInput(f"{path} has no images: its arrays are {', '.join(arrays) or 'none'}.", EXPECTED)
    if "all" in given and len(given) > 1:
        raise BadInput(f"{path} has both x and {given[list(given)[1]][0]}.", EXPECTED)
    lonely = [y for x, y in given.values() if y not in arrays]
    if lonely:
        raise BadInput(f"{path} has no {lonely[0]}.", EXPECTED)
    shaped = {part: _shaped(arrays[x], f"{path}: {x}") for part, (x, _) in given.items()}
    images = _as_bytes(shaped, path)
    labels, names, counted = _labels({part: arrays[y] for part, (_, y) in given.items()}, arrays, path)
    parts = {part: _split(path, part, images[part], labels[part], names, preprocess) for part in given}
    return Source(path.stem, names, parts, counted=counted)


def _load(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (MemoryError, PermissionError, FileNotFoundError):
        raise
    except Exception as caught:  # zip, zlib, header and pickle errors of many types; a .npy has no context manager
        pickled = "Object arrays" in str(caught)
        fact = f"{path} {'holds Python objects, not numbers' if pickled else 'is not a readable .npz file'}."
        remedy = "Save images as uint8 and labels as integers" if pickled else "Write it with numpy.savez_compressed"
        raise BadInput(fact, f"{remedy}. {EXPECTED}") from caught


def _shaped(images: np.ndarray, where: str) -> np.ndarray:
    """[n, h, w] or [n, h, w, 3], whatever numbers. Raises BadInput."""
    if images.ndim == 4 and images.shape[3] == 1:
        images = images[..., 0]
    if not (images.ndim == 3 or (images.ndim == 4 and images.shape[3] == 3)):
        first = images.ndim == 4 and images.shape[1] in (1, 3)
        remedy = "Move the channels last." if first else "Expected [n, h, w], [n, h, w, 1] or [n, h, w, 3]."
        raise BadInput(f"{where} has the shape {list(images.shape)}.", remedy)
    if 0 in images.shape:
        raise BadInput(f"{where} has no images (shape {list(images.shape)}).", "Give at least one image a class.")
    if images.dtype.kind not in "buif":
        raise BadInput(f"{where} has the type {images.dtype}.", "Save pixels as uint8, 0..255.")
    return images


def _as_bytes(parts: dict[str, np.ndarray], path: Path) -> dict[str, np.ndarray]:
    """uint8 0..255 of the same shapes, one scale for all parts: fractions up to 1 are 0..1, all else is 0..255."""
    low = min(float(images.min()) for images in parts.values())
    high = max(float(images.max()) for images in parts.values())
    if not (low >= 0 and high <= 255):  # also true for NaN
        fact = f"{path} has pixel values from {low:g} to {high:g}."
        raise BadInput(fact, "Undo any normalization: expected 0..255 (uint8) or 0..1.")
    kinds = {images.dtype.kind for images in parts.values()}
    scale = 255.0 if high <= 1 and kinds <= {"f", "b"} else 1.0
    if high * scale < DARK:
        sentence = (
            f"{path} has pixel values up to {high:g}, read as 0..255: very dark images. Scale them if that is wrong."
        )
        warnings.warn(sentence, EdgekitWarning, stacklevel=3)
    return {part: _scaled(images, scale) for part, images in parts.items()}


def _scaled(images: np.ndarray, scale: float) -> np.ndarray:
    if images.dtype == np.uint8:
        return images
    result = np.empty(images.shape, np.uint8)
    for start in range(0, len(images), CHUNK):  # a float copy of it all would be four to eight times as large
        part = images[start : start + CHUNK].astype(np.float64) * scale
        result[start : start + CHUNK] = np.floor(part + 0.5).clip(0, 255)
    return result


def _labels(
    given: dict[str, np.ndarray], arrays: dict[str, np.ndarray], path: Path
) -> tuple[dict[str, np.ndarray], tuple[str, ...], bool]:
    """int64 labels of each part, the class names, and whether those are only the numbers 0..k-1."""
    flat = {part: _flat(labels, f"{path}: {KEYS[part][1]}") for part, labels in given.items()}
    texts = [labels for labels in flat.values() if labels.dtype.kind == "U"]
    if texts and len(texts) < len(flat):
        raise BadInput(f"{path} has text labels in some parts and numbers in others.", "Use one kind.")
    if texts:
        names = tuple(str(n) for n in np.unique(np.concatenate(texts)))
        return {p: np.searchsorted(np.array(names), y) for p, y in flat.items()}, names, False
    low, high = min(int(y.min()) for y in flat.values()), max(int(y.max()) for y in flat.values())
    total = sum(len(y) for y in flat.values())
    stated = tuple(str(n) for n in arrays["class_names"].reshape(-1)) if "class_names" in arrays else ()
    limit = len(stated) or total
    if low < 0 or high >= limit:
        fact = f"{path} has labels from {low} to {high} for {limit} {'class names' if stated else 'images'}."
        raise BadInput(fact, "Number the classes 0, 1, 2 ...")
    return flat, stated or tuple(str(i) for i in range(high + 1)), not stated


def _flat(labels: np.ndarray, where: str) -> np.ndarray:
    """int64 [n] or text [n], from [n], [n, 1] or one-hot [n, k]. Raises BadInput."""
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.dtype.kind == "S":
        labels = np.char.decode(labels, "utf-8", "replace")
    numbers = labels.dtype.kind in "buif"
    if labels.ndim == 2 and numbers and np.all((labels == 0) | (labels == 1)) and np.all(labels.sum(axis=1) == 1):
        return labels.argmax(axis=1).astype(np.int64)
    whole = labels.dtype.kind == "U" or (numbers and bool(np.all(np.mod(labels, 1) == 0)))
    if labels.ndim != 1 or not whole or not len(labels):
        fact = f"{where} has the shape {list(labels.shape)} and type {labels.dtype}, which are not labels."
        raise BadInput(fact, "Expected integers [n], one-hot rows [n, classes] or class names [n].")
    return labels if labels.dtype.kind == "U" else labels.astype(np.int64)


def _split(
    path: Path, part: str, images: np.ndarray, labels: np.ndarray, names: tuple[str, ...], preprocess: Preprocess
) -> Split:
    x, y = KEYS[part]
    if len(images) != len(labels):
        raise BadInput(f"{path} has {len(images)} images in {x} but {len(labels)} labels in {y}.", "Make them match.")
    pixels = Arrays(images)
    rows = tuple(f"{x}/{i}" for i in range(len(images)))
    return Split(part, names, labels.astype(np.int64), rows, hash_arrays(pixels), pixels, preprocess)
