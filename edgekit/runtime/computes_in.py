"""What a file computes in, which decides how far its answers may lie from those of other kernels."""

from __future__ import annotations

from edgekit.runtime.flatbuffer import parse
from edgekit.runtime.xnnpack import OpFacts, facts_of

LAYERS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")


def computes_in(content: bytes) -> str:
    """float32, float16 (weights alone), dynamic, int8 or int16x8: the coarsest that one of its layers computes in."""
    model = parse(content)
    facts = [facts_of(model, operator) for operator in model.subgraphs[0].operators or []]
    kinds = {_kind(one) for one in facts if one.op in LAYERS} or {_kind(one) for one in facts}
    halves = any(one.op == "DEQUANTIZE" and one.weights == "float16" for one in facts)
    found = next((kind for kind in ("int8", "dynamic", "int16x8") if kind in kinds), "float32")
    return "float16" if found == "float32" and halves else found


def _kind(facts: OpFacts) -> str:
    if facts.dtype == "int16":
        return "int16x8"
    if facts.dtype in ("int8", "uint8"):
        return "int8"
    return "dynamic" if facts.weights == "int8" else "float32"
