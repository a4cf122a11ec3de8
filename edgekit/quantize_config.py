"""Full-integer quantization in a recipe: how activations get their ranges, and what is looked into."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Method = Literal["quantile", "minmax", "percentile", "mse", "entropy"]


class Quantize(BaseModel):
    """Which values of an activation its 256 codes cover; values outside saturate (see `runtime.clipping`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    calibration: Method = Field(
        default="quantile",
        description="range of an activation over the calibration images: what most images stay within (quantile), all "
        "of it (minmax), all but the rarest values (percentile), or what loses least to 8 bits, as squared error (mse) "
        "or as information (entropy)",
    )
    quantile: Annotated[float, Field(gt=50, le=100)] = Field(
        default=95,
        description="of method quantile: in this share of the images an activation stays below the range's upper end, "
        "and in as many above its lower end; 100 is minmax",
    )
    percentile: Annotated[float, Field(gt=50, le=100)] = Field(
        default=99.99,
        description="of method percentile: this share of the values lies below the range's upper end, "
        "and as many above its lower end; 100 is minmax",
    )


class Diagnose(BaseModel):
    """What is measured besides the variants: where and by what chance quantization loses, and what a report shows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sensitivity: bool = Field(
        default=False, description="which layer costs how much agreement and signal to noise, each quantized alone"
    )
    draws: Annotated[int, Field(ge=0, le=100)] = Field(
        default=0, description="the spread over so many draws of the calibration images; 0 measures none"
    )
    robustness: bool = Field(
        default=False, description="top-1 of float32 and of the chosen file under noise, blur, JPEG, light, shifts, ..."
    )
    layers: bool = Field(
        default=False, description="where in the network the chosen file parts from float32, tensor by tensor"
    )
    grad_cam: bool = Field(
        default=True, description="where float32 and int8 look at the images that flip, drawn in the report"
    )
