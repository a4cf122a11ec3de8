"""The one Preprocess value: what has to be done to a picture before a model sees it.

Training, calibration, evaluation, the exported card and the app all share it. `edgekit.data.images` carries it out.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edgekit.errors import BadInput, unknown

Triple = tuple[float, float, float]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class Preparation(BaseModel):
    """decode -> RGB -> crop -> resize -> channel order -> (x - mean) / std, float32; to whatever size.

    `mean` and `std` are three values each, in the channel order of `channels`, on the 0..255 scale.
    Resize filters are Pillow's; `antialias` widens the filter's support when shrinking (Pillow's own behaviour), off
    gives the plain point-sampled filter most phone runtimes have. `crop: center` takes the largest centred square.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)

    channels: Literal["rgb", "bgr"] = "rgb"
    resize: Literal["bilinear", "bicubic", "area", "nearest"] = "bilinear"
    antialias: bool = True
    crop: Literal["none", "center"] = "none"
    mean: tuple[Finite, Finite, Finite] = (0.0, 0.0, 0.0)
    std: tuple[Positive, Positive, Positive] = (1.0, 1.0, 1.0)

    def to(self, height: int, width: int) -> Preprocess:
        """The same at a size in pixels."""
        return Preprocess.model_validate({**self.model_dump(), "height": height, "width": width})


class Preprocess(Preparation):
    """A preparation to (height, width) pixels: all that a caller has to know to feed a model."""

    height: Annotated[int, Field(ge=1, le=8192)]
    width: Annotated[int, Field(ge=1, le=8192)]

    def raw_pixels(self) -> Preprocess:
        """The same geometry and channel order, without the normalization: what a uint8 or int8 file expects."""
        return self.model_copy(update={"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)})


# Source: keras.applications.imagenet_utils.preprocess_input ("tf", "caffe", "torch" modes); ImageNet mean and
# standard deviation as published with torchvision; "lite" is EfficientNet-Lite's (tensorflow/tpu, efficientnet/lite).
PRESETS: dict[str, dict[str, object]] = {
    "raw": {},
    "unit": {"std": (255.0, 255.0, 255.0)},
    "tf": {"mean": (127.5, 127.5, 127.5), "std": (127.5, 127.5, 127.5)},
    "caffe": {"mean": (103.939, 116.779, 123.68), "channels": "bgr"},
    "imagenet": {"mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)},
    "lite": {"mean": (127.0,) * 3, "std": (128.0,) * 3, "resize": "bicubic", "crop": "center"},
}


def preset(name: str, height: int, width: int) -> Preprocess:
    """The named preset at a size in pixels. Raises BadInput for an unknown name."""
    return preparation(name).to(height, width)


def preparation(name: str) -> Preparation:
    """The named preset, to whatever size. Raises BadInput for an unknown name."""
    if name not in PRESETS:
        raise unknown("preprocessing preset", name, PRESETS)
    return Preparation.model_validate(PRESETS[name])


def load_block(path: Path) -> Preprocess:
    """A Preprocess from a JSON file: a card's `preprocessing` block. Raises BadInput naming the field."""
    try:
        return Preprocess.model_validate_json(path.read_bytes())
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.", "Give a preset or a JSON file.") from None
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "the file"
        raise BadInput(f"{path}: {field}: {first['msg']}.", "Give a card's `preprocessing` block.") from None
