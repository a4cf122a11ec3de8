#!/usr/bin/env python3
"""Classifies pictures with the model beside this file.

    python3 classify.py picture.jpg            the best classes, with their scores
    python3 classify.py --self-check           does the model say here what it said where it was made?

In Python: `Classifier().classify(path)`. Needs numpy, Pillow and a LiteRT runtime (requirements.txt); Python 3.9.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

try:
    from preparing import normalize, pixels_of, resize
    from quantization import dequantize, quantize
except ImportError as missing:
    sys.exit(f"{missing}. Run: python3 -m pip install -r requirements.txt")

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Preprocessing:
    """What the model expects of a picture: `preprocessing` of model.json."""

    height: int
    width: int
    channels: str
    resize: str
    antialias: bool
    crop: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


@dataclass(frozen=True)
class Answer:
    """`scores`: float32, one a class, in the order of the labels. `pixels`: uint8 [height, width, 3], what the model
    saw before normalization. Times in milliseconds."""

    scores: np.ndarray
    pixels: np.ndarray
    preparation_ms: float
    model_ms: float

    def best(self, count: int) -> list[int]:
        """Indices of the best classes, best first."""
        return [int(one) for one in np.argsort(-self.scores, kind="stable")[:count]]


@dataclass(frozen=True)
class Check:
    """One golden vector: were the pixels equal, how far were the scores off, is the class the same?"""

    image: str
    exact: bool
    difference: float
    same_class: bool
    passed: bool


class Classifier:
    """The model, opened once. One thread at a time may use it."""

    def __init__(self, folder: Path = HERE, threads: int = 1) -> None:
        self.folder = folder
        self.model: dict[str, Any] = json.loads((folder / "model.json").read_text("utf-8"))
        self.labels: list[str] = self.model["labels"]
        self.wanted = Preprocessing(**self.model["preprocessing"])
        self._interpreter = _interpreter()(model_path=str(folder / self.model["file"]), num_threads=threads)
        self._interpreter.allocate_tensors()
        self._in = self._interpreter.get_input_details()[0]["index"]
        self._out = self._interpreter.get_output_details()[0]["index"]

    def classify(self, path: Path) -> Answer:
        """A PNG, JPEG, WebP or BMP file. Raises OSError or ValueError for what is none."""
        with path.open("rb") as stream:
            return self.classify_pixels(pixels_of(stream))

    def classify_pixels(self, image: np.ndarray) -> Answer:
        """uint8 [h, w, 3] RGB, upright, of any size: a camera's frame."""
        started = time.perf_counter()
        pixels = np.ascontiguousarray(resize(image, self.wanted))
        held = self._encoded(normalize(pixels, self.wanted))
        prepared = time.perf_counter()
        self._interpreter.set_tensor(self._in, held[None])
        self._interpreter.invoke()
        scores = self._decoded(self._interpreter.get_tensor(self._out)).reshape(-1)
        ended = time.perf_counter()
        return Answer(scores, pixels, 1e3 * (prepared - started), 1e3 * (ended - prepared))

    def self_check(self) -> list[Check]:
        """One entry a golden vector; none where the model came without."""
        return [self._check(one) for one in self.model["golden"]]

    def _check(self, golden: dict[str, Any]) -> Check:
        answer = self.classify(self.folder / golden["image"])
        wanted, limit = np.array(golden["scores"]), self.model["tolerance"]
        apart = float(np.abs(answer.scores - wanted).max())
        exact = zlib.crc32(answer.pixels.tobytes()) == golden["pixels_crc32"]
        same = bool(wanted[answer.best(1)[0]] >= wanted.max() - limit)  # closer ones may change places
        return Check(golden["image"], exact, apart, same, exact and same and apart <= limit)

    def _encoded(self, real: np.ndarray) -> np.ndarray:
        given = self.model["input"]
        if given["scale"] is None:
            return real
        return quantize(real, given["scale"], given["zero_point"], given["dtype"])

    def _decoded(self, held: np.ndarray) -> np.ndarray:
        given = self.model["output"]
        if given["scale"] is None:
            return held.astype(np.float32)
        return dequantize(held, given["scale"], given["zero_point"])


def _interpreter() -> Any:
    """LiteRT's, or that of tflite-runtime on 32-bit Raspberry Pi OS."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        try:
            from tflite_runtime.interpreter import Interpreter
        except ImportError:
            sys.exit("There is no LiteRT runtime. Run: python3 -m pip install -r requirements.txt")
    return Interpreter


def main() -> int:
    """0: done; 1: the self-check failed, or had nothing to check; 3: a picture cannot be read."""
    parser = argparse.ArgumentParser(description="Classifies pictures.")
    parser.add_argument("images", nargs="*", type=Path, metavar="IMAGE")
    parser.add_argument("--self-check", action="store_true", help="run the vectors that came with the model")
    parser.add_argument("--top", type=int, default=5, metavar="N", help="classes to show (5)")
    parser.add_argument("--threads", type=int, default=1, metavar="N")
    parser.add_argument("--json", action="store_true", help="one JSON document a picture, all scores in it")
    asked = parser.parse_args()
    if not asked.images and not asked.self_check:
        parser.error("give a picture, or --self-check")
    classifier = Classifier(threads=asked.threads)
    checked = _self_check(classifier) if asked.self_check else 0
    return max([checked, *(_show(classifier, image, asked) for image in asked.images)])


def _show(classifier: Classifier, image: Path, asked: argparse.Namespace) -> int:
    try:
        answer = classifier.classify(image)
    except Exception as error:  # Pillow's decoders raise nearly every type on damaged bytes
        print(f"{image} cannot be read as a picture: {error}", file=sys.stderr)
        return 3
    best = answer.best(asked.top)
    if asked.json:
        names = {"image": str(image), "label": classifier.labels[best[0]], "scores": answer.scores.tolist()}
        print(json.dumps({**names, "preparation_ms": answer.preparation_ms, "model_ms": answer.model_ms}))
        return 0
    print(f"{image}  ({answer.preparation_ms:.1f} ms preparation, {answer.model_ms:.1f} ms model)")
    for index in best:
        print(f"  {answer.scores[index]:8.4f}  {classifier.labels[index]}")
    return 0


def _self_check(classifier: Classifier) -> int:
    checks = classifier.self_check()
    for one in checks:
        pixels, same = "equal" if one.exact else "DIFFERENT", "same" if one.same_class else "ANOTHER"
        print(f"{one.image}: pixels {pixels}, scores within {one.difference:.3g}, {same} class: {_verdict(one.passed)}")
    if not checks:
        print("self-check: NOT CHECKED, the model came without golden vectors")
        return 1
    passed = all(one.passed for one in checks)
    print(f"self-check: {_verdict(passed)} (tolerance {classifier.model['tolerance']:.3g})")
    return 0 if passed else 1


def _verdict(passed: bool) -> str:
    return "passed" if passed else "FAILED"


if __name__ == "__main__":
    sys.exit(main())
