"""How to train, as frozen values: the `train:` block of a recipe, the argument of `training.fit.train`."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from edgekit.distil_config import Distil

Fraction = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]

Schedule = Literal["constant", "step", "exponential", "cosine", "warm_restarts", "one_cycle", "plateau"]


CHARACTERS = frozenset({"digits", "mnist"})


class Augment(BaseModel):
    """Random changes of the training images, never of validation or test images. Everything is off at 0.

    Shift, rotation, zoom and brightness are the largest amounts; each image draws its own, uniformly, both ways.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    flip: Literal["none", "horizontal", "vertical", "both", "auto"] = Field(
        "none",
        description="mirror half of the images; auto is horizontal, and none for the sets of characters "
        "(digits, mnist), whose mirror images are not of their class",
    )
    shift: Fraction = Field(
        default=0.0, description="as a fraction of the height and of the width; 0.125 is 4 of 32 pixels"
    )
    rotation: Annotated[float, Field(ge=0, le=180)] = Field(default=0.0, description="in degrees")
    zoom: Fraction = Field(default=0.0, description="as a fraction: 0.2 draws a scale between 0.8 and 1.2")
    brightness: Fraction = Field(default=0.0, description="as a fraction of the full range of a pixel")
    mixup: NotNegative = Field(
        default=0.0, description="alpha of the Beta(alpha, alpha) that the share of an image is drawn from"
    )
    cutmix: NotNegative = Field(
        default=0.0, description="alpha of the Beta(alpha, alpha) that the share of the area is drawn from"
    )

    def on(self, data_name: str) -> Augment:
        """The same with `flip: auto` decided for a data set."""
        decided = "none" if data_name in CHARACTERS else "horizontal"
        return self.model_copy(update={"flip": decided}) if self.flip == "auto" else self

    def moves_pixels(self) -> bool:
        """Whether any change other than MixUp and CutMix is asked for."""
        return self.flip != "none" or any((self.shift, self.rotation, self.zoom, self.brightness))


class FineTune(BaseModel):
    """Training of a network that comes with weights: which of its layers learn, when, and how fast.

    The head is the classifier at the end (models.head), the base all before it. A layer here is a convolution or
    dense layer with the normalization behind it, and `groups` cuts those of the base into groups of equal number.
    Batch normalization stays in inference mode throughout: its moving statistics do not change, its scale and shift
    (gamma, beta) learn where their layer does. While the base is frozen it computes as in inference, dropout included.

    The schedule of the learning rate runs once over the epochs with the base frozen and once over the others, each
    with its warm-up; every later unfreezing is followed by a warm-up too. Early stopping counts from the last
    unfreezing. Gradual unfreezing and discriminative rates: Howard and Ruder 2018, arXiv:1801.06146, section 3.2-3.3.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: Literal["features", "top", "full", "progressive"] = Field(
        default="top",
        description="what learns in the end: the head only (features), the top layers of the base too, all of it, "
        "or all of it, one group after the other from the top (progressive)",
    )
    layers: Annotated[int, Field(ge=1, strict=True)] | Annotated[float, Field(gt=0, lt=1)] = Field(
        default=0.3, description="of the base that learn in mode top: how many, or which share of them"
    )
    groups: Annotated[int, Field(ge=1, le=100)] = Field(
        default=3, description="of layers, for mode progressive and for layer_rate"
    )
    head_epochs: Annotated[int, Field(ge=0)] = Field(
        default=1, description="with the base frozen, before any of it learns; features: all epochs"
    )
    base_rate: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.1, description="learning rate of the top group of the base, as a share of the head's"
    )
    layer_rate: Annotated[float, Field(gt=0, le=1)] = Field(
        default=1.0, description="learning rate of a group, as a share of that of the group above it; 1: all alike"
    )

    def frozen_epochs(self, epochs: int) -> int:
        """How many of all epochs leave the base alone."""
        return epochs if self.mode == "features" else self.head_epochs


class Train(BaseModel):
    """Training of a classifier on logits with cross-entropy. The learning rate changes with every step.

    `weight_decay` is decoupled from the gradient and scaled by the learning rate (Loshchilov and Hutter 2019), for
    both optimizers, as Keras does it; biases and batch normalization are not decayed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: Annotated[int, Field(ge=0, le=100_000)] = Field(
        default=12, description="passes over the training images; 0: none"
    )
    batch_size: Annotated[int, Field(ge=1, le=65_536)] = Field(
        default=64, description="images a step, at most: an epoch is cut into equal batches"
    )
    optimizer: Literal["adamw", "sgd"] = Field(default="adamw", description="sgd has momentum")
    learning_rate: Positive = Field(default=2.0e-3, description="the schedule's base, or its peak")
    momentum: Fraction = Field(default=0.9, description="of sgd")
    weight_decay: NotNegative = Field(default=4.0e-3, description="of the kernels")
    schedule: Schedule = Field(default="cosine", description="how the learning rate changes, step by step")
    warmup_epochs: NotNegative = Field(
        default=1.0, description="linear rise before the schedule (not one_cycle); at most a fifth of the epochs"
    )
    step_every: Positive = Field(default=10.0, description="epochs between the drops of `step`")
    step_factor: Annotated[float, Field(gt=0, lt=1)] = Field(
        default=0.5, description="of one drop, for `step` and `plateau`"
    )
    decay_rate: Positive = Field(default=0.1, description="of `exponential`: base * exp(-decay_rate * epoch)")
    restart_every: Positive = Field(
        default=10.0, description="epochs of the first cycle of `warm_restarts`; each next is twice as long"
    )
    plateau_patience: Annotated[int, Field(ge=1)] = Field(
        default=3, description="epochs without a lower loss before `plateau` drops"
    )
    label_smoothing: Fraction = Field(default=0.0, description="share of the label spread over all classes")
    class_weights: Literal["none", "balanced"] = Field(
        default="none", description="balanced: n / (classes * n of the class)"
    )
    mixed_precision: bool = Field(default=False, description="compute in bfloat16 where an accelerator is present")
    early_stopping: Annotated[int, Field(ge=1)] | None = Field(
        default=None,
        description="stop after this many epochs without a better validation top-1 (or as good, at a lower loss)",
    )
    augment: Augment = Field(default=Augment(), description="random changes of the training images")
    fine_tune: FineTune | None = Field(
        default=None, description="of a network that comes with weights; without it every layer learns alike"
    )
    distil: Distil | None = Field(
        default=None,
        description="learn from a teacher too; with fine_tune, from the epoch on in which layers of the base learn",
    )

    @model_validator(mode="after")
    def _answers_hold(self) -> Self:
        if self.distil and self.distil.answers == "once" and (self.augment.mixup or self.augment.cutmix):
            raise ValueError("distil.answers: once is of single images, and augment mixes them; take live")
        return self

    @model_validator(mode="after")
    def _unfreezes_in_time(self) -> Self:
        tuned = self.fine_tune
        if tuned and tuned.mode == "features" and self.distil:
            raise ValueError("distil: fine_tune.mode features trains the head alone, on labels; choose another mode")
        if tuned is None or tuned.mode == "features" or self.epochs == 0:
            return self
        steps = tuned.groups if tuned.mode == "progressive" else 1
        if tuned.head_epochs + steps > self.epochs:
            raise ValueError(
                f"fine_tune: {self.epochs} epochs are too few for {tuned.head_epochs} with the base frozen and "
                f"{steps} after that; use more epochs, fewer head_epochs"
                f"{' or groups' if steps > 1 else ''}, or mode features"
            )
        return self
