"""What MediaPipe Tasks' ImageClassifier, the reader that most apps have, would refuse of a file and its metadata.

Source: google-ai-edge/mediapipe, mediapipe/tasks/cc: vision/utils/image_tensor_specs.cc and, under
components/processors, image_preprocessing_graph.cc and classification_postprocessing_graph.cc;
benchmarks/mediapipe_top1.py asks MediaPipe itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from edgekit.runtime.embedded import Embedded, label_file


class Port(Protocol):
    """An input or output."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> str: ...


def refused_by_mediapipe(found: Embedded, inputs: Sequence[Port], outputs: Sequence[Port]) -> tuple[str, ...]:
    """Sentences; none where it takes the file."""
    if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].shape[-1] != 3:
        return ("It takes one RGB image, and this file something else.",)
    said = [*_image(inputs[0].dtype, _first(found, "input_tensor_metadata"))]
    said += [f"Outputs of {one.dtype} are not taken." for one in outputs if one.dtype not in ("float32", "uint8")]
    if label_file(found.standard) and len(found.labels) != outputs[0].shape[-1]:
        said.append(f"It has {len(found.labels)} labels for {outputs[0].shape[-1]} scores.")
    return tuple(said)


def _image(dtype: str, described: Mapping[str, Any]) -> list[str]:
    if dtype not in ("float32", "uint8"):
        return [f"An input of {dtype} is not taken: export with --io float32 or uint8."]
    said = []
    image = described.get("content", {}).get("content_properties", {}).get("value", {})
    if image.get("color_space", "RGB") != "RGB":
        said.append("It gives RGB alone, and this file takes another order of the channels.")
    normal = _normalization(described)
    if dtype == "float32" and normal is None:
        said.append("A float input needs the normalization in the metadata: edgekit metadata set --preprocess")
    if normal is not None and any(len(set(normal.get(name, ()))) > 1 for name in ("mean", "std")):
        said.append("It takes one mean and std for all channels: export with --io uint8, which has them in the graph.")
    return said


def _normalization(described: Mapping[str, Any]) -> Mapping[str, Any] | None:
    options = [one.get("options", {}) for one in described.get("process_units", [])]
    return next((one["value"] for one in options if one.get("type") == "NormalizationOptions"), None)


def _first(found: Embedded, end: str) -> Mapping[str, Any]:
    graphs = (found.standard or {}).get("subgraph_metadata", [])
    tensors = graphs[0].get(end, []) if graphs else []
    return tensors[0] if tensors else {}
