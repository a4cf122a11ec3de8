"""How to train, as frozen values: the `train:` block of a recipe, the argument of `training.fit.train`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

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
