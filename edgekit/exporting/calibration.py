"""What full-integer quantization is calibrated on, and the range that every activation gets from it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from edgekit.errors import BadInput, EdgekitWarning
from edgekit.quantize_config import Quantize
from edgekit.runtime.clipping import clipped, quantile
from edgekit.runtime.ranges import Inputs, Observer, Ranges, clippable_tensors, normalization_tensors, widest

FEW = 10  # samples: with fewer, the ranges are those of the samples and not of the data


@dataclass(frozen=True)
class Calibration:
    """What full-integer quantization needs.

    `samples()` yields, a tuple a sample, one array [1, ...] an input as the frozen function takes it, the same ones on
    every call. `extremes` are, for a model that takes an image, two such samples, all pixels 0 and all pixels 255, so
    that the input's scale covers every picture and not only the calibration set. `quantize` says which part of an
    activation's values its codes cover.
    """

    samples: Callable[[], Iterable[Inputs]]
    extremes: tuple[Inputs, ...] = ()
    quantize: Quantize = field(default_factory=Quantize)


def observed(content: bytes, calibration: Calibration, threads: int | None = None) -> Ranges:
    """The range of every activation of a float .tflite over the calibration samples.

    The inputs and what is their normalization keep all of theirs. Raises BadInput for samples that tell nothing, and
    warns where there are fewer than FEW.
    """
    from loky import cpu_count

    observer = Observer(content, threads or cpu_count())
    each = observer.each(telling(calibration.samples()))
    ranges = {index: widest(ends) for index, ends in each.items()}
    normalized = normalization_tensors(content)
    wanted, clippable = calibration.quantize, clippable_tensors(content, normalized)
    if wanted.calibration == "quantile":
        ranges.update({index: quantile(each[index], wanted.quantile) for index in clippable})
    elif wanted.calibration != "minmax":
        found = observer.histograms(calibration.samples(), {index: ranges[index] for index in clippable})
        ranges.update({index: clipped(values, wanted) for index, values in found.items()})
    if calibration.extremes:
        whole = observer.over(calibration.extremes)
        ranges.update({index: with_zero_on_a_code(*whole[index]) for index in normalized})
    return ranges


def with_zero_on_a_code(low: float, high: float) -> tuple[float, float]:
    """The narrowest range around [low, high] whose 256 codes have 0 among them.

    The quantizer would move [-1, 1] by half a code to have it, which leaves every value of a pixel exactly between two
    codes: off by half a code, and up or down by chance.
    """
    if low >= 0 or high <= 0:
        return low, high
    below = min(max(round(-low / (high - low) * 255), 1), 254)
    step = max(-low / below, high / (255 - below))
    return -step * below, step * (255 - below)


def telling(samples: Iterable[Inputs]) -> Iterator[Inputs]:
    """The same samples; behind the last one it is known whether they differ (BadInput) and are enough (a warning)."""
    count, first, alike, blank = 0, None, True, True
    for sample in samples:
        count += 1
        if first is None:
            first = tuple(values.copy() for values in sample)
        alike = alike and all(np.array_equal(a, b) for a, b in zip(first, sample, strict=True))
        blank = blank and all(values.size > 1 and values.min() == values.max() for values in sample)
        yield sample
    if (blank and count) or (alike and count > 1):
        fact = "blank: each is of one value only" if blank else "the same"
        raise BadInput(
            f"All {count:,} calibration samples are {fact}.",
            "Give different ones, as the model will see; `edgekit data lint DIR` judges a folder of images.",
        )
    if 0 < count < FEW:
        sentence = f"{count} calibration samples are few: the int8 file may not fit other data. Use 100 or more."
        warnings.warn(sentence, EdgekitWarning, stacklevel=2)
