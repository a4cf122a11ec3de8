"""Learning from a teacher, as frozen values: the `distil:` block of a recipe's training."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Name = Annotated[str, Field(min_length=1)]

ON_MAPS = ("attention", "features")


class Transfer(BaseModel):
    """What is learned from a teacher beside the labels. The loss of a batch is

        (1 - alpha) * cross-entropy with the labels + alpha * soft + weight * maps

    with `soft` as `kind` says, in nats, and `maps` for the kinds attention and features alone. Class weights, label
    smoothing, MixUp and CutMix concern the labels' term; the teacher sees the very images that the model sees.

    logits: T^2 * KL(teacher || student) of the probabilities at temperature T (Hinton et al. 2015, arXiv:1503.02531).
    decoupled: T^2 * (target * KL of "the label's class or not" + non_target * KL among the other classes) (Zhao et al.
    2022, arXiv:2203.08679, equation 7). Of a mixed label the class with the greater share is the target.
    attention: soft as for logits; maps is the mean over the pairs of layers, and over the images, of the squared
    distance of the attention maps: over the positions, the sum of the channels' squares, of length 1 (Zagoruyko and
    Komodakis 2017, arXiv:1612.03928).
    features: soft as for logits; maps is the mean squared difference of the teacher's map and the student's, and where
    they differ in channels, a 1x1 convolution of it that learns along and is then thrown away (FitNets: Romero et al.
    2015, arXiv:1412.6550; in one stage).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["logits", "decoupled", "attention", "features"] = Field(
        default="logits", description="what of the teacher is learned, beside its answers"
    )
    temperature: Annotated[float, Field(gt=0, le=1000)] = Field(
        default=4.0,
        description="logits are divided by it; higher: more of what the teacher thinks of the other classes",
    )
    alpha: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.5, description="weight of the teacher's answers; that of the labels is 1 - alpha"
    )
    target: NotNegative = Field(default=1.0, description="of decoupled: weight of the label's class against the others")
    non_target: NotNegative = Field(
        default=8.0, description="of decoupled: weight of the other classes among each other"
    )
    weight: NotNegative = Field(default=1.0, description="of the maps, for attention and features")
    layers: tuple[tuple[Name, Name], ...] = Field(
        default=(),
        description="for attention and features: pairs of the student's and the teacher's layer; none: the last map "
        "of each size that both have",
    )

    answers: Literal["live", "once"] = Field(
        default="live",
        description="live: the teacher sees every batch as the model does; once: it sees each training image once, "
        "unchanged, and what it says holds for the flipped and moved copies: many times cheaper for a large teacher",
    )

    @property
    def on_maps(self) -> bool:
        """Whether feature maps are compared, and not only answers."""
        return self.kind in ON_MAPS

    @model_validator(mode="after")
    def _maps_lie_where_the_image_does(self) -> Self:
        if self.on_maps and self.answers == "once":
            raise ValueError(f"answers: kind {self.kind} compares maps, which move with the image; take live")
        return self

    @model_validator(mode="after")
    def _layers_are_used(self) -> Self:
        if self.layers and not self.on_maps:
            raise ValueError(f"layers: kind {self.kind} compares no layers; take attention or features, or none")
        return self


class Distil(Transfer):
    """Training with a teacher, any one that takes the same images and knows the same classes in the same order."""

    teacher: Annotated[
        tuple[Name, ...],
        # One may be written without brackets. A JSON array has become a list here.
        BeforeValidator(lambda given: _listed(given)),
        Field(
            min_length=1,
            description="a .keras or .h5 file, or a network of the zoo with ImageNet weights; of several the "
            "probabilities are averaged",
        ),
    ]
    teacher_epochs: Annotated[int, Field(ge=1, le=100_000)] | None = Field(
        default=None,
        description="of a run: networks of the zoo among the teachers are trained on the same data first, as the model "
        "is, for so many epochs; None: they have ImageNet weights",
    )
    preprocess: str | None = Field(
        default=None,
        description="how images are prepared for a teacher from a file: a preset, or a card's block as a .json file; "
        "None: as the card says that lies beside it in the artifacts of its run, raw pixels for one that begins by "
        "rescaling, and else as for the student",
    )

    @model_validator(mode="after")
    def _one_has_maps(self) -> Self:
        if self.on_maps and len(self.teacher) > 1:
            raise ValueError(f"teacher: kind {self.kind} compares layers with those of one teacher, not of several")
        return self


def _listed(given: Any) -> Any:
    if isinstance(given, str):
        return (given,)
    return tuple(given) if isinstance(given, list) else given
