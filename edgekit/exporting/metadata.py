"""The metadata of a file, put together and written into it: the standard's fields, labels, contract, golden vectors.

Source of the standard's meaning: tensorflow_lite_support/metadata/metadata_schema.fbs. It needs no TensorFlow.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgekit.artifact import Card, TensorSpec, gzip_size, sha256_of
from edgekit.errors import BadInput, EdgekitWarning
from edgekit.evaluation.golden import make_golden
from edgekit.metadata_config import Metadata
from edgekit.preprocess import Preprocess
from edgekit.runtime.contract import BLOCK, LABELS, Contract, Golden, contract_of
from edgekit.runtime.embedded import LABEL_FILE, with_embedded
from edgekit.runtime.escape import escaped

# The least version of a parser that knows every field that is written here: all are of the first one.
MIN_PARSER_VERSION = "1.0.0"
CROPS = {"none": "", "center": "the largest centred square, "}


def shipped(content: bytes, card: Card, about: Metadata, recipe: dict[str, Any] | None) -> tuple[bytes, Card]:
    """The file with the metadata that its card, `about` and the part of the recipe that decides it say, and the card of
    that file. Warns where golden vectors are wanted and cannot be made."""
    golden, vectors = _golden(content, card) if about.golden else (None, {})
    contract = contract_of(card, LABELS if card.labels else None, recipe, golden)
    files = contract_files(contract, card.labels, vectors)
    standard = standard_of(contract, about, card.labels, (card.inputs, card.outputs), files)
    whole = with_embedded(content, standard, files)
    return whole, of_file(card, whole)


def of_file(card: Card, content: bytes) -> Card:
    """The card of the same model in a file with other metadata."""
    new = {"sha256": sha256_of(content), "size_bytes": len(content), "gzip_bytes": gzip_size(content)}
    return card.model_copy(update=new)


def _golden(content: bytes, card: Card) -> tuple[Golden | None, dict[str, bytes]]:
    try:
        return make_golden(content, card.preprocessing)
    except BadInput as error:
        warnings.warn(f"{card.model} ({card.variant}): {error}", EdgekitWarning, stacklevel=2)
        return None, {}


def contract_files(contract: Contract, labels: Sequence[str], golden: Mapping[str, bytes]) -> dict[str, bytes]:
    """The associated files: a label a line (what would break a line is escaped), the contract, the golden vectors."""
    text = "".join(f"{escaped(one)}\n" for one in labels)
    block = contract.model_dump_json(by_alias=True, indent=1) + "\n"
    return {**({contract.labels: text.encode()} if contract.labels else {}), BLOCK: block.encode(), **golden}


def standard_of(
    contract: Contract,
    about: Metadata,
    labels: Sequence[str],
    ends: tuple[Sequence[TensorSpec], Sequence[TensorSpec]],
    files: Mapping[str, bytes],
) -> dict[str, Any]:
    """The ModelMetadata that says as much of a contract as the standard can."""
    inputs, outputs = ends
    graph = {
        "input_tensor_metadata": [_input(one, contract.preprocessing) for one in inputs],
        "output_tensor_metadata": [_output(one, contract, labels, at == 0) for at, one in enumerate(outputs)],
    }
    named = {name: getattr(about, name) for name in ("description", "version", "author", "license")}
    others = [name for name in files if name != contract.labels]
    return {
        "name": about.name or contract.model,
        **{name: text for name, text in named.items() if text},
        "subgraph_metadata": [graph],
        "associated_files": [{"name": name, "description": _description(name)} for name in others],
        "min_parser_version": MIN_PARSER_VERSION,
    }


def merged(
    before: Mapping[str, Any], standard: Mapping[str, Any], contract: Contract, labels: Sequence[str]
) -> dict[str, Any]:
    """New metadata on top of what a file has: what nothing new is known of stays as somebody else has written it."""
    kept = (before.get("subgraph_metadata") or [{}])[0]
    graph = dict(standard["subgraph_metadata"][0])
    for end, known in (("input_tensor_metadata", contract.preprocessing), ("output_tensor_metadata", labels)):
        if not known and len(kept.get(end, ())) == len(graph[end]):
            graph[end] = kept[end]
    others = [one for one in before.get("associated_files", ()) if one.get("name") not in _names(standard)]
    files = [*standard["associated_files"], *others]
    whole = {**before, **standard, "subgraph_metadata": [{**kept, **graph}], "associated_files": files}
    newest = max(before.get("min_parser_version", ""), standard["min_parser_version"])
    return {**whole, "min_parser_version": newest}


def _names(standard: Mapping[str, Any]) -> set[str]:
    return {one["name"] for one in standard["associated_files"]}


def _input(spec: TensorSpec, feed: Preprocess | None) -> dict[str, Any]:
    if feed is None:
        return {"name": spec.name, "content": _content("FeatureProperties")}
    low, high = ([(value - mean) / std for mean, std in zip(feed.mean, feed.std, strict=True)] for value in (0, 255))
    return {
        "name": "image",
        "description": _in_words(feed),
        # The standard has no name for another order of the channels: a reader that knows RGB alone has to refuse then.
        "content": _content("ImageProperties", {"color_space": "RGB" if feed.channels == "rgb" else "UNKNOWN"}),
        "process_units": [{"options": _normalization(feed)}],
        "stats": {"min": _floats(low), "max": _floats(high)},
    }


def _in_words(feed: Preprocess) -> str:
    """What the standard has no fields for."""
    filtered = f"{feed.resize}{' with antialiasing' if feed.antialias else ' without antialiasing'}"
    return f"{feed.channels.upper()} image: {CROPS[feed.crop]}resized to {feed.height}x{feed.width} ({filtered})"


def _normalization(feed: Preprocess) -> dict[str, Any]:
    """One value where all channels have the same: MediaPipe takes no others."""
    means, stds = (values[:1] if len(set(values)) == 1 else values for values in (feed.mean, feed.std))
    return {"type": "NormalizationOptions", "value": {"mean": _floats(means), "std": _floats(stds)}}


def _output(spec: TensorSpec, contract: Contract, labels: Sequence[str], first: bool) -> dict[str, Any]:
    """Of the one score of two classes the standard cannot say which is which: it wants a label a score."""
    found: dict[str, Any] = {"name": spec.name, "content": _content("FeatureProperties")}
    if contract.output_meaning == "probabilities" and first:
        found |= {"name": "probability", "stats": {"min": [0.0], "max": [1.0]}}
    if contract.labels and first and spec.shape[-1:] == (len(labels),):
        file = {"name": contract.labels, "description": "A class a line, in the order of the scores",
                "type": LABEL_FILE}  # fmt: skip
        found["associated_files"] = [file]
    return found


def _description(name: str) -> str:
    return "The contract: docs/contracts.md of edgekit" if name == BLOCK else "Of a golden vector"


def _content(kind: str, value: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"content_properties": {"type": kind, "value": value or {}}}


def _floats(values: Sequence[float]) -> list[float]:
    """As the flatbuffer keeps them, so that what is read is what was written."""
    return [float(one) for one in np.asarray(values, np.float32)]
