"""The steps of a recipe, as frozen values: what is done to the model between training and export, in order.

Float steps (rewrite, channels, prune, cluster, equalize) change the float model, and with it every variant but
float32. A quantizing step (quantize_aware, learn_rounding, correct_bias) makes the model that the int8 file is exported
from; there is at most one, and it comes last.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

Epochs = Annotated[int, Field(ge=0, le=100_000)]
Rate = Annotated[float, Field(gt=0, le=10, allow_inf_nan=False)]
WeightBits = Annotated[Literal[8, 4], Field(description="of the kernels, symmetric, per output channel")]
Names = Annotated[
    tuple[Annotated[str, Field(min_length=1)], ...],
    # Behind Step's validator a JSON array has become a list, which strict checking does not take for a tuple.
    BeforeValidator(lambda given: tuple(given) if isinstance(given, list) else given),
    Field(description="layers that stay in float, by name or pattern (Python's fnmatch: block_1*, *logits)"),
]

EightBits = Annotated[
    tuple[Annotated[str, Field(min_length=1)], ...] | None,
    BeforeValidator(lambda given: tuple(given) if isinstance(given, list) else given),
    Field(
        description="layers whose weights have 8 bits where those of the others have 4, by name or pattern; None: the "
        "first, the last and the depthwise ones"
    ),
]
TaughtBy = Annotated[
    bool | Literal["teacher"],
    Field(
        description="learn the outputs of the model before, which needs no labels; false: learn the labels; teacher: "
        "learn from the teacher of train.distil, as that says, with the labels"
    ),
]


class _Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Rewrite(_Config):
    """The form that is fastest in int8, or that old runtimes have: the same function, or a near one and fine-tuning."""

    hard_swish: Literal["exact", "relu6", "keep"] = Field(
        default="exact",
        description="x * relu6(x + 3), its 1/6 in the weights behind it (exact); ReLU6 in its place (relu6: another "
        "function, wants finetune_epochs); or as it is",
    )
    swish: Literal["keep", "hard_swish", "relu6"] = Field(
        default="keep", description="what stands for x * sigmoid(x); all but keep are other functions"
    )
    dense: Literal["keep", "conv"] = Field(
        default="keep",
        description="conv: a 1x1 convolution in the place of each dense layer, the same function; dense layers of the "
        "dynamic variant need the runtime of TensorFlow 2.17, convolutions that of 2.4",
    )
    finetune_epochs: Epochs = Field(
        default=0, description="of training the rewritten model on the outputs of the one before"
    )
    learning_rate: Rate = Field(default=1.0e-3, description="of the fine-tuning, its peak")


Part = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]
TARGETS = ("macs", "params", "latency", "latency_ms", "instructions")


class Channels(_Config):
    """Channels removed for good, from all layers that share them, until the network has the size that is wanted. One of
    macs, params, latency, latency_ms and instructions says which; none is macs: 0.5."""

    macs: Part | None = Field(default=None, description="share of the multiply-accumulates that is left")
    params: Part | None = Field(default=None, description="share of the parameters that is left")
    latency: Part | None = Field(default=None, description="share of the measured latency that is left")
    latency_ms: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = Field(
        default=None, description="the latency that is left, in ms"
    )
    instructions: Part | None = Field(
        default=None, description="share of the instructions that is left, counted on an emulated board"
    )
    device: Annotated[str, Field(min_length=1)] | None = Field(
        default=None,
        description="where latency is measured: cpu, gpu or a device that was added (edgekit device); for instructions "
        "rpi4:emulated or rpi5:emulated. None: cpu, and rpi4:emulated",
    )
    importance: Literal["l1", "bn", "taylor"] = Field(
        default="l1",
        description="which channels matter: by the size of their weights (l1) or of their normalization's scale (bn), "
        "or by what the loss on training images says (taylor)",
    )
    rounds: Annotated[int, Field(ge=1, le=100)] = Field(
        default=1, description="the target is reached in so many steps, each fine-tuned"
    )
    multiple: Annotated[int, Field(ge=1, le=1024)] = Field(
        default=8, description="kept channels are multiples of it; of 4, 2 or 1 where a layer has not twice as many"
    )
    finetune_epochs: Epochs = Field(default=2, description="of training after each round")
    learning_rate: Rate = Field(default=1.0e-3, description="of the fine-tuning, its peak")
    finetune: Literal["gently", "as_trained"] = Field(
        default="gently",
        description="gently: with AdamW and no weight decay; as_trained: with the optimizer, momentum, weight decay "
        "and schedule of train, for a network that loses so much that it has to learn anew",
    )
    distil: TaughtBy = True
    exclude: Names = Field(default=(), description="layers whose channels all stay, by name or pattern")

    @model_validator(mode="before")
    @classmethod
    def _half(cls, given: Any) -> Any:
        unset = isinstance(given, dict) and all(given.get(name) is None for name in TARGETS)
        return {**given, "macs": 0.5} if unset else given

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        there = [name for name in TARGETS if getattr(self, name) is not None]
        if len(there) > 1:
            raise ValueError(f"{' and '.join(there)} are both targets; keep one")
        if self.device is not None and self.measured_on is None:
            raise ValueError(f"nothing is measured for {there[0]}; leave device out, or set latency or instructions")
        return self

    @property
    def measured_on(self) -> str | None:
        """The device that decides when the target is reached; None where it is counted from the layers."""
        usual = {"latency": "cpu", "latency_ms": "cpu", "instructions": "rpi4:emulated"}.get(self.target[0])
        return usual and (self.device or usual)

    @property
    def target(self) -> tuple[str, float]:
        """Which of TARGETS is set, and to what."""
        return next((name, value) for name in TARGETS if (value := getattr(self, name)) is not None)


Pattern = Annotated[
    str,
    # To YAML 1.1 2:4 is a number of base 60.
    BeforeValidator(lambda given: f"{given // 60}:{given % 60}" if type(given) is int else given),
    Field(pattern=r"^[1-9]\d*:[1-9]\d*$"),
]


class Prune(_Config):
    """The smallest weights become zeros, a few at a time (Zhu and Gupta 2017, arXiv:1710.01878). Files pack better for
    it; they get neither shorter nor faster."""

    sparsity: Annotated[float, Field(gt=0, lt=1)] = Field(default=0.5, description="share of the weights that are 0")
    pattern: Pattern | None = Field(
        default=None, description="n:m, such as 2:4, in place of sparsity: of m weights along the input channels n stay"
    )
    scope: Literal["layer", "global"] = Field(
        default="layer", description="whether each layer has that share of zeros, or all of them together"
    )
    schedule: Literal["polynomial", "constant"] = Field(
        default="polynomial", description="polynomial: more and more zeros; constant: all of them at the start"
    )
    epochs: Epochs = Field(default=4, description="0: the smallest weights become 0 and nothing is trained")
    recovery: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.5, description="share of the training behind the last new zero"
    )
    learning_rate: Rate = Field(default=1.0e-3, description="its peak, after a warm-up; a cosine down to 0 follows")
    depthwise: bool = Field(default=False, description="prune depthwise kernels too")
    exclude: Annotated[Names, Field(description="layers that are not pruned, by name or pattern")] = ()
    distil: TaughtBy = True

    @property
    def kept_of(self) -> tuple[int, int]:
        """(2, 4) of the pattern 2:4."""
        assert self.pattern is not None
        kept, of = map(int, self.pattern.split(":"))
        return kept, of

    @property
    def target(self) -> float:
        """The share of zeros in the end."""
        return self.sparsity if self.pattern is None else 1 - self.kept_of[0] / self.kept_of[1]

    @model_validator(mode="after")
    def _zeros(self) -> Self:
        if self.pattern is not None and self.kept_of[0] >= self.kept_of[1]:
            raise ValueError(f"pattern: {self.pattern} leaves no zeros; give fewer in front, such as 2:4")
        if self.pattern is not None and "sparsity" in self.model_fields_set:
            raise ValueError(f"pattern: {self.pattern} says how many zeros there are; leave sparsity out")
        return self


class Cluster(_Config):
    """The weights of a layer get a few values that they share (Han et al. 2016, arXiv:1510.00149). Files pack better
    for it; they get neither shorter nor faster."""

    clusters: Annotated[int, Field(ge=4, le=64)] = Field(default=16, description="values of each layer")
    scale: Literal["channel", "layer"] = Field(
        default="channel",
        description="channel: the values are multiples of a channel's largest weight, and the int8 file has as few; "
        "layer: of the layer's, as tfmot has them",
    )
    init: Literal["kmeans++", "linear", "density"] = Field(default="kmeans++", description="where k-means starts")
    epochs: Epochs = Field(default=2, description="of training the values; 0: nothing is trained")
    learning_rate: Rate = Field(default=1.0e-4, description="its peak, after a warm-up; a cosine down to 0 follows")
    depthwise: bool = Field(default=False, description="cluster depthwise kernels too")
    exclude: Annotated[Names, Field(description="layers that are not clustered, by name or pattern")] = ()
    distil: TaughtBy = True


class Equalize(_Config):
    """Scales of channels are evened out between consecutive layers (Nagel et al. 2019, arXiv:1906.04721): the same
    function, with weights that lose less to quantization."""


class LearnRounding(_Config):
    """Each weight is rounded up or down as is best for the layer's output on the calibration images, instead of to
    the nearest (AdaRound: Nagel et al. 2020, arXiv:2004.10568). Needs no labels and no training."""

    weight_bits: WeightBits = 8
    iterations: Annotated[int, Field(ge=1, le=1_000_000)] = Field(default=300, description="steps for each layer")
    exclude: Names = ()
    eight_bits: EightBits = None
    bias_correction: bool = Field(
        default=True, description="biases make up for what is left of the error's mean, channel by channel"
    )


class CorrectBias(_Config):
    """Biases make up for the mean error that quantization makes, channel by channel, on the calibration images."""


class QuantizeAware(_Config):
    """Training with the rounding of int8 in every layer, from ranges that were observed on the calibration images
    first (Jacob et al. 2018, arXiv:1712.05877)."""

    epochs: Epochs = Field(default=2, description="0: ranges are set and nothing is trained")
    weight_bits: WeightBits = 8
    learning_rate: Rate = Field(default=1.0e-4, description="its peak, after a warm-up; a cosine down to 0 follows")
    batch_norm: Literal["frozen", "live"] = Field(
        default="frozen",
        description="frozen: normalized as in inference, scale and shift learn; live: by the statistics of the batch",
    )
    exclude: Names = ()
    eight_bits: EightBits = None
    distil: TaughtBy = True


# What may stand in a recipe's `steps:`, in the order in which they usually do.
STEPS: dict[str, type[_Config]] = {
    "rewrite": Rewrite,
    "channels": Channels,
    "prune": Prune,
    "cluster": Cluster,
    "equalize": Equalize,
    "learn_rounding": LearnRounding,
    "correct_bias": CorrectBias,
    "quantize_aware": QuantizeAware,
}
QUANTIZING = ("learn_rounding", "correct_bias", "quantize_aware")


class Step(_Config):
    """One entry of `steps:`, a mapping of one key: `- quantize_aware: {epochs: 2}`, or `- rewrite` for its defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_extra={"minProperties": 1, "maxProperties": 1})

    rewrite: Rewrite | None = None
    channels: Channels | None = None
    prune: Prune | None = None
    cluster: Cluster | None = None
    equalize: Equalize | None = None
    learn_rounding: LearnRounding | None = None
    correct_bias: CorrectBias | None = None
    quantize_aware: QuantizeAware | None = None

    @property
    def name(self) -> str:
        return next(name for name in STEPS if getattr(self, name) is not None)

    @property
    def config(self) -> Any:
        """The one that is there, of the class that STEPS names."""
        return getattr(self, self.name)

    @property
    def quantizing(self) -> bool:
        """Whether it makes the model of the int8 file alone."""
        return self.name in QUANTIZING

    @property
    def trains(self) -> bool:
        """Whether it goes over the training images."""
        return bool(getattr(self.config, "epochs", 0) or getattr(self.config, "finetune_epochs", 0))

    @property
    def needs_labels(self) -> bool:
        return self.trains and getattr(self.config, "distil", True) is not True

    @property
    def needs_teacher(self) -> bool:
        """Whether it learns from that of train.distil."""
        return self.trains and getattr(self.config, "distil", True) == "teacher"

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, given: Any) -> Any:
        """`- rewrite` and `- rewrite:` are `- rewrite: {}`."""
        if isinstance(given, str):
            return {given: {}}
        return {name: {} if config is None else config for name, config in given.items()} if isinstance(given, dict) \
            else given  # fmt: skip

    @model_validator(mode="after")
    def _one(self) -> Self:
        there = [name for name in STEPS if getattr(self, name) is not None]
        if len(there) != 1:
            said = "is empty" if not there else f"has {len(there)} steps in one entry, {' and '.join(there)}"
            raise ValueError(f"steps: a list in which each entry is one step; one of them {said}")
        return self

    @model_serializer(mode="wrap")
    def _as_written(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in write(self).items() if value is not None}


def check_order(steps: tuple[Step, ...], variants: tuple[str, ...]) -> None:
    """Raises ValueError where steps do not fit each other or the variants."""
    names = [step.name for step in steps]
    if "cluster" in names and any(name in ("prune", "equalize") for name in names[names.index("cluster") :]):
        raise ValueError("steps: cluster comes behind prune and equalize, which would take its shared values apart")
    quantizing = [step.name for step in steps if step.quantizing]
    if len(quantizing) > 1:
        raise ValueError(
            f"steps: {' and '.join(quantizing)} each make the model of the int8 file, and there is one; keep one"
        )
    if quantizing and not steps[-1].quantizing:
        raise ValueError(f"steps: {quantizing[0]} comes last, behind {steps[-1].name}, which changes the float model")
    if quantizing and "int8" not in variants:
        raise ValueError(f"steps: {quantizing[0]} is for the int8 file, and int8 is not among the variants")
    if quantizing and "mixed" in variants:
        raise ValueError(
            f"steps: mixed is quantized by calibration and cannot be together with {quantizing[0]}; "
            "leave one of them out, or make two runs"
        )
