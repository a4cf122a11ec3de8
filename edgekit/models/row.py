"""What the tables of networks are made of. Needs no Keras."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Imagenet:
    """What is published of a network trained on ImageNet.

    `top1` in percent, single crop, on the validation set; `source` says who measured it; `origin` is where the
    weights come from: "keras.applications.NAME", "pip:PACKAGE", or None where they cannot be had.
    """

    top1: float
    source: str
    origin: str | None


@dataclass(frozen=True)
class Wanted:
    """What a family is to build: a variant of its table, for images `input_shape` (height, width, channels).

    `strides` are those of its halving layers in order, some of them 1 for small inputs; `alpha` is the width
    multiplier, 1 in families without one; `dropout` acts before the last layer; `name` becomes the model's.
    """

    variant: str
    classes: int
    input_shape: tuple[int, int, int]
    strides: tuple[int, ...]
    dropout: float
    name: str
    alpha: float


@dataclass(frozen=True)
class Row:
    """One model: which family's table builds it, and how it is meant to be used.

    `halvings` counts the family's stride-2 layers; `alpha` is the default width multiplier, None where the
    family has none. `preprocess` names a preset of edgekit.preprocess (R6); `image_size` is the published
    resolution in px; `imagenet` is None for networks that nobody published ImageNet results of.
    """

    family: str
    variant: str
    halvings: int
    preprocess: str
    image_size: int
    alpha: float | None
    source: str
    imagenet: Imagenet | None = None
