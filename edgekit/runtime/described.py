"""A file's metadata as one value, for people: what `edgekit metadata show` shows."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgekit.runtime.app_readers import refused_by_mediapipe
from edgekit.runtime.embedded import Embedded, read_embedded
from edgekit.runtime.interpreter import TensorInfo
from edgekit.runtime.probe import probe


@dataclass(frozen=True)
class Described:
    """Texts are the file's own and may hold anything: escape them before showing them."""

    file: str
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    embedded: Embedded
    refused_by_mediapipe: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        held = self.embedded
        return {
            "file": self.file,
            "inputs": [asdict(one) for one in self.inputs],
            "outputs": [asdict(one) for one in self.outputs],
            "standard": held.standard,
            "contract": held.contract.model_dump(mode="json", by_alias=True) if held.contract else None,
            "labels": list(held.labels),
            "files": [{"name": name, "size_bytes": len(content)} for name, content in held.files.items()],
            "refused_by_mediapipe": list(self.refused_by_mediapipe),
        }


def describe(path: str | Path) -> Described:
    """Raises BadInput for a file that does not run, or whose metadata are damaged or another model's."""
    found = probe(path)
    held = read_embedded(found.content, str(path))
    refused = refused_by_mediapipe(held, found.inputs, found.outputs)
    return Described(str(path), found.inputs, found.outputs, held, refused)
