"""Learned rounding: 8- or 4-bit weights, each of them rounded up or down as is best for its layer's output.

Nagel et al. 2020, arXiv:2004.10568 (AdaRound), with asymmetric reconstruction: layer after layer, from the input that
the quantized model gives it, towards the output that the float model has, its ReLU included. Needs no labels.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import warnings
import zipfile
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.artifact import write_bytes
from edgekit.compression.bias import with_biases
from edgekit.compression.fold import fold, kernel_2d
from edgekit.compression.graph import graph_of
from edgekit.compression.lower import lower
from edgekit.compression.positions import draw, inputs_at, product
from edgekit.compression.quantize_aware import prepare
from edgekit.compression.rounding import TINY, Problem, best_scale, learn, nearest
from edgekit.compression.step import Note, Stepped
from edgekit.compression.stream import Pair, together
from edgekit.errors import EdgekitWarning
from edgekit.exporting.calibration import Calibration
from edgekit.models.fake_quant import ROUNDED, levels
from edgekit.progress import Progress, Reporter, silent

STAGE = "rounding"


def learn_rounding(
    model: Any,
    calibration: Calibration,
    *,
    weight_bits: int = 4,
    iterations: int = 300,
    eight_bits: Collection[str] | None = None,
    exclude: Collection[str] = (),
    bias_correction: bool = True,
    seed: int = 0,
    progress: Reporter = silent,
    state: Path | None = None,
) -> Stepped:
    """The fake-quantized model of a functional or sequential one (`quantize_aware.prepare`) with learned weights.

    `iterations` are steps for each layer. `exclude` and `eight_bits` are those of `prepare`. With `bias_correction`
    what is left of each channel's mean error goes into its bias. Every kernel ends on its grid of max|w| / levels. The
    same seed and machine give the same weights. With a folder `state` a killed call continues behind its last layer.
    Raises what `prepare` raises.
    """
    reference = with_biases(fold(lower(model).model).model)
    prepared = prepare(reference, calibration, weight_bits=weight_bits, eight_bits=eight_bits, exclude=exclude)
    options = {"iterations": iterations, "bias_correction": bias_correction, "weight_bits": weight_bits, "seed": seed,
               "eight_bits": eight_bits and sorted(eight_bits), "exclude": sorted(exclude)}  # fmt: skip
    kept = _Kept(state, "" if state is None else _fingerprint(reference, calibration, options))
    work = _Rounding(iterations, bias_correction, weight_bits, seed, progress, _rounded(prepared.model), kept)
    streamed = together(reference, prepared.model, calibration, work.visit)
    left = [Note(name, why) for name in work.wanted if (why := work.left(prepared.model, name))]
    figures = {**prepared.figures, "weight_bits": weight_bits, "iterations": iterations, **streamed.to_json(),
               "errors": work.figures}  # fmt: skip
    return Stepped(prepared.model, tuple(work.done), (*prepared.skipped, *left), figures)


def _rounded(model: Any) -> tuple[str, ...]:
    return tuple(layer.name for layer in model.layers if isinstance(layer, ROUNDED))


@dataclass
class _Rounding:
    """One run over the layers, and what is to be said about them."""

    iterations: int
    bias_correction: bool
    weight_bits: int
    seed: int
    progress: Reporter
    wanted: tuple[str, ...]
    kept: _Kept
    done: list[Note] = field(default_factory=list)
    figures: dict[str, dict[str, float]] = field(default_factory=dict)

    def visit(self, pair: Pair) -> None:
        if pair.name not in self.wanted:
            return
        number = len(self.figures)
        found = self.kept.load(number, pair.name)
        if found is None:
            found = self._learned(pair, number)
            self.kept.save(number, pair.name, found)
        pair.layer.kernel.assign(found.kernel)
        pair.layer.bias.assign(found.bias)
        before, after = found.errors
        self.figures[pair.name] = {"bits": pair.layer.weight_bits, "nearest": before, "learned": after}
        self.done.append(Note(pair.name, f"{pair.layer.weight_bits} bits: {_said(before, after)}"))
        self.progress(Progress(STAGE, len(self.figures), len(self.wanted), pair.name))

    def left(self, model: Any, name: str) -> str | None:
        """Why a layer's weights were rounded to the nearest; None for one that was learned."""
        if name in self.figures:
            return None
        if graph_of(model).calls(model.get_layer(name)) > 1:
            return "called more than once: rounded to the nearest"
        return "a scale a channel, which is exact on its grid"

    def _learned(self, pair: Pair, number: int) -> _Found:
        layer, top = pair.layer, levels(pair.layer.weight_bits)
        problem, before_relu = _problem(pair, np.random.default_rng((self.seed, number)))
        power = np.mean(problem.inputs**2, axis=0).reshape(problem.kernel.shape[0], -1)
        scale = best_scale(problem.kernel, power, top)
        rounded = [nearest(problem.kernel, scale, top) * scale]
        if layer.weight_bits == self.weight_bits and getattr(layer, "groups", 1) == 1:
            rounded.append(learn(problem, scale, top, self.iterations, self.seed + number) * scale)
        unit = float(problem.target.var(axis=0).sum()) + TINY
        errors = [float(problem.errors(kernel).sum()) / unit for kernel in rounded]
        best = int(np.argmin(errors))
        off = np.mean(before_relu - problem.output(rounded[best]), axis=0) if self.bias_correction else 0
        bias = (problem.bias + off).astype(np.float32)
        return _Found(rounded[best].reshape(layer.kernel.shape), bias, (errors[0], errors[best]))


def _problem(pair: Pair, generator: np.random.Generator) -> tuple[Problem, np.ndarray]:
    """What is to be rounded, and the float output [P, channels] before its ReLU."""
    positions = draw(pair.reference, pair.given, generator)
    kernel = kernel_2d(pair.reference, np.asarray(pair.reference.kernel))
    bias = np.asarray(pair.reference.bias)
    output = product(pair.reference, inputs_at(pair.reference, pair.expected, positions), kernel) + bias
    activation = pair.relu or _same
    target = np.asarray(activation(output))
    return Problem(inputs_at(pair.reference, pair.given, positions), target, kernel, bias, activation), output


def _same(z: Any) -> Any:
    return z


def _said(before: float, after: float) -> str:
    return f"error {after:.2%} of the output's variance, {before:.2%} with rounding to the nearest"


# ---- to continue after a kill ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Found:
    """A layer's weights on their grid, and its relative error with rounding to the nearest and with these."""

    kernel: np.ndarray
    bias: np.ndarray
    errors: tuple[float, float]


class _Kept:
    """A file a layer in a folder, or nothing where there is none; those of other work count for nothing."""

    def __init__(self, folder: Path | None, fingerprint: str) -> None:
        self._folder, self._fingerprint = folder, fingerprint
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def load(self, number: int, name: str) -> _Found | None:
        path = self._path(number, name)
        if path is None or not path.exists():
            return None
        try:
            with np.load(path) as stored:
                if str(stored["fingerprint"]) != self._fingerprint:
                    return None
                before, after = stored["errors"]
                return _Found(stored["kernel"], stored["bias"], (float(before), float(after)))
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as damage:
            warnings.warn(f"{path} is damaged ({damage}); {name} is rounded again.", EdgekitWarning, stacklevel=3)
            return None

    def save(self, number: int, name: str, found: _Found) -> None:
        path = self._path(number, name)
        if path is not None:
            packed = io.BytesIO()
            np.savez(packed, fingerprint=self._fingerprint, kernel=found.kernel, bias=found.bias, errors=found.errors)
            write_bytes(path, packed.getbuffer())

    def _path(self, number: int, name: str) -> Path | None:
        return self._folder and self._folder / f"{number:03d}-{re.sub(r'[^A-Za-z0-9_.-]', '_', name)}.npz"


def _fingerprint(model: Any, calibration: Calibration, options: dict[str, Any]) -> str:
    """sha256 of everything that decides the outcome."""
    digest = hashlib.sha256(json.dumps([options, calibration.quantize.model_dump(mode="json")]).encode())
    for arrays in (model.get_weights(), *calibration.samples(), *calibration.extremes):
        for values in arrays:
            digest.update(f"{values.shape}{values.dtype}".encode())
            digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()
