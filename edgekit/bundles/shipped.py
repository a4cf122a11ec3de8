"""What a bundle ships of a file, read out of it once and checked: the model and what an app has to know of it."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edgekit.artifact import load_artifact, sha256_of
from edgekit.data.images import BadImage, decode, resize
from edgekit.errors import BadInput
from edgekit.preprocess import Preprocess
from edgekit.runtime.dissect import inspect
from edgekit.runtime.embedded import Embedded, Vector, golden_vectors, read_embedded
from edgekit.runtime.escape import escaped
from edgekit.runtime.flatbuffer import without_metadata
from edgekit.runtime.inspection import Inspection, Port
from edgekit.runtime.validate import read_model

LARGEST_PICTURE = 4_000_000  # pixels of a golden vector; those that edgekit draws have twice the model's, at most
OPEN = -1  # a side that is not fixed
LOWEST = {"uint8": 0, "int8": -128}  # codes an input or output may have, beside float32
NAME_IT = "Write it into the file: edgekit metadata set FILE"


@dataclass(frozen=True, eq=False)
class Example:
    """A golden vector: a PNG, its pixels (uint8 [h, w, 3] RGB), the CRC-32 of what the model sees of it before
    normalization, and the scores that it gave."""

    picture: bytes
    rgb: np.ndarray
    pixels_crc32: int
    scores: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Shipped:
    """`bare` is the file without metadata. `about` has what the metadata says for people: `version`, `author`,
    `license`, `description`, each "" where it says nothing. Labels and texts are escaped: they hold no control
    characters. `tolerance` is the largest difference of a score that is no other model."""

    name: str
    content: bytes
    bare: bytes
    inspection: Inspection
    preprocess: Preprocess
    labels: tuple[str, ...]
    meaning: str
    about: dict[str, str]
    examples: tuple[Example, ...]
    tolerance: float

    @property
    def sha256(self) -> str:
        return sha256_of(self.content)

    @property
    def input(self) -> Port:
        return _of_one(self.inspection.inputs[0])

    @property
    def output(self) -> Port:
        return _of_one(self.inspection.outputs[0])


def read_shipped(path: Path) -> Shipped:
    """Reads a file, its metadata and the card beside it. Raises BadInput for damage, and for what an app could not use:
    no image classifier, no labels, preprocessing that nobody states."""
    content = read_model(path)
    found, held, card = inspect(path), read_embedded(content, str(path)), load_artifact(path).card
    _check_ends(found)
    said = card or held.contract
    preprocess = said.preprocessing if said else None
    labels = (card.labels if card else ()) or held.labels
    if said is None or preprocess is None:
        fact = f"{path} does not say how images are prepared for it."
        raise BadInput(fact, f"{NAME_IT} --preprocess PRESET")
    _check_fit(found, preprocess, labels)
    golden = held.contract.golden if held.contract else None
    tolerance = golden.tolerance[0] if golden else 0.0
    _check_floats((*preprocess.mean, *preprocess.std, tolerance), path)
    return Shipped(
        name=_name(held, path), content=content, bare=without_metadata(content), inspection=found,
        preprocess=preprocess, labels=tuple(escaped(one) for one in labels), meaning=said.output_meaning or "raw",
        about=_about(held),
        examples=tuple(_example(one, preprocess, len(labels), path) for one in golden_vectors(held, str(path))),
        tolerance=tolerance,
    )  # fmt: skip


def _check_ends(found: Inspection) -> None:
    """One picture in, one score a class out."""
    ends = (*found.inputs, *found.outputs)
    images = len(found.inputs) == 1 and len(found.inputs[0].shape) == 4 and found.inputs[0].shape[3] == 3
    if not images or len(found.outputs) != 1 or len(found.outputs[0].shape) != 2:
        raise BadInput(
            f"{found.file} is no image classifier: it takes {_sizes(found.inputs)} and gives {_sizes(found.outputs)}.",
            "A bundle needs one RGB image [1, height, width, 3] in, and one score a class [1, classes] out.",
        )
    if any(side < 1 for one in ends for side in one.shape[1:]) or any(one.shape[0] not in (1, OPEN) for one in ends):
        raise BadInput(f"{found.file} takes no single image of a fixed size.", "Export it with edgekit: batch 1.")
    odd = [one.dtype for one in ends if one.dtype not in ("float32", *LOWEST)]
    if odd or any((one.dtype in LOWEST) != (one.scale is not None) for one in ends):
        what = f"of {odd[0]}" if odd else "of integers without a scale"
        raise BadInput(f"{found.file} has an input or output {what}.", "Export it with --io float32, uint8 or int8.")


def _sizes(ends: tuple[Port, ...]) -> str:
    return ", ".join(str(list(one.shape)) for one in ends)


def _check_fit(found: Inspection, preprocess: Preprocess, labels: tuple[str, ...]) -> None:
    size, wanted = found.inputs[0].shape[1:3], (preprocess.height, preprocess.width)
    if size != wanted:
        fact = f"{found.file} takes {size[1]} x {size[0]} pixels and its preprocessing makes {wanted[1]} x {wanted[0]}."
        raise BadInput(fact, "Write the right one: edgekit metadata set FILE --preprocess PRESET")
    scores = found.outputs[0].shape[1]
    if not labels:
        raise BadInput(f"{found.file} does not say what its {scores} classes are called.", f"{NAME_IT} --labels FILE")
    if len(labels) != scores:
        fact = f"{found.file} gives {scores} scores and has {len(labels)} labels."
        raise BadInput(fact, "Write the right ones: edgekit metadata set FILE --labels FILE")


def _check_floats(values: Sequence[float] | np.ndarray, path: Path) -> None:
    """Clients compute in float32, and none of their languages has a literal for what is not finite."""
    with np.errstate(over="ignore"):
        if not np.isfinite(np.array(values, np.float32)).all():
            raise BadInput(
                f"{path} states numbers that are no float32.", "Write the right ones: edgekit metadata set FILE"
            )


def _of_one(port: Port) -> Port:
    """A batch that is open is 1 until somebody asks for more."""
    return replace(port, shape=(1, *port.shape[1:]))


def _name(held: Embedded, path: Path) -> str:
    stated = str((held.standard or {}).get("name") or "") or (held.contract.model if held.contract else "")
    return escaped(stated or path.stem)


def _about(held: Embedded) -> dict[str, str]:
    standard = held.standard or {}
    return {name: escaped(str(standard.get(name) or "")) for name in ("version", "author", "license", "description")}


def _example(vector: Vector, preprocess: Preprocess, classes: int, path: Path) -> Example:
    scores = vector.outputs[0].reshape(-1)
    picture = vector.picture
    if picture is None or len(scores) != classes:
        raise BadInput(f"{path} has golden vectors of another model.", "Export it again, or `edgekit metadata set`.")
    _check_floats(scores.tolist(), path)
    try:
        rgb = decode(picture)
    except BadImage as error:
        raise BadInput(f"{path} has a golden vector that is no picture ({error.reason}).", "Export it again.") from None
    if rgb.shape[0] * rgb.shape[1] > LARGEST_PICTURE:
        raise BadInput(f"{path} has a golden vector of {rgb.shape[1]} x {rgb.shape[0]} pixels.", "Export it again.")
    seen = np.ascontiguousarray(resize(rgb, preprocess)).tobytes()
    if vector.pixels_sha256 not in (None, sha256_of(seen)):
        raise BadInput(
            f"{path} has golden vectors of another preprocessing: their pixels come out different.",
            "Make them anew: edgekit metadata set FILE, with the preprocessing that is right.",
        )
    return Example(picture, rgb, zlib.crc32(seen), tuple(float(one) for one in scores))
