"""The weights of an int8 file as they are stored."""

import numpy as np

from edgekit.runtime.flatbuffer import op_name, parse


def codes_of(content: bytes) -> list[np.ndarray]:
    """The weights [out, ...] of each convolution and dense layer of an int8 file."""
    model = parse(content)
    return [
        np.frombuffer(model.buffers[tensor.buffer].data.tobytes(), np.int8).reshape(tensor.shape)
        for operator in model.subgraphs[0].operators
        if op_name(model, operator) in ("CONV_2D", "FULLY_CONNECTED")
        for tensor in (model.subgraphs[0].tensors[operator.inputs[1]],)
    ]
