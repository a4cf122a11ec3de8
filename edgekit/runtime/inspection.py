"""What is known of a .tflite file, as one value: `edgekit.runtime.dissect` finds it out."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from edgekit.runtime.arena import Arena
from edgekit.runtime.contract import Contract
from edgekit.runtime.stored_weights import Repeats, Values
from edgekit.runtime.targets import Target


@dataclass(frozen=True)
class Port:
    """An input or output. A side of `shape` that is open is -1; `scale` and `zero_point` are None unless quantized."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float | None
    zero_point: int | None


@dataclass(frozen=True)
class Signature:
    """`inputs` and `outputs` are the names that callers use."""

    key: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class InspectedOp:
    """One operator of the main graph. `layer` is the name of its first output and `shape` that output's; `weights` the
    dtype of its stored weights or "". `macs` is None where they are not counted, `oldest_runtime` where no table knows.
    `refused` says of a target why it leaves the operator; `takes` are indices of operators."""

    index: int
    op: str
    version: int
    layer: str
    shape: tuple[int, ...]
    dtype: str
    weights: str
    params: int
    macs: int | None
    weight_bytes: int
    sparsity: float | None
    distinct: int | None
    oldest_runtime: str | None
    refused: dict[str, str]
    takes: tuple[int, ...]


@dataclass(frozen=True)
class Inspection:
    """All that is known of a file. Names are the file's own and may hold anything: escape them before showing them.

    `params` and `macs` follow `edgekit.models.count` (params: its `deployed_params`); `uncounted` names operators that
    multiply and are not in `macs`. `flex` and `custom` name what needs more than the runtime, `dynamic` what has a
    shape that is known only while the network runs; `open_batch`: the first side of an input is open. `oldest_runtime`
    is None, and `unknown_versions` not empty, where the table does not know a version; `stated_runtime` is what the
    converter wrote. `refused` says why the runtime here does not run the file, "" where it does. `card_problem` says
    what is wrong with the card beside it, `card` whether there is one. `contract` is edgekit's own block in the file,
    `labels` how many labels it carries, `metadata_problem` why its metadata are not believed, `refused_by_mediapipe`
    what MediaPipe's ImageClassifier would object to.
    """

    file: str
    sha256: str
    size_bytes: int
    description: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    signatures: tuple[Signature, ...]
    metadata: tuple[str, ...]
    subgraphs: int
    operators: tuple[InspectedOp, ...]
    params: int
    macs: int
    uncounted: tuple[str, ...]
    weight_bytes: int
    values: Values
    repeats: Repeats
    arena: Arena | None
    flex: tuple[str, ...]
    custom: tuple[str, ...]
    dynamic: tuple[str, ...]
    open_batch: bool
    oldest_runtime: str | None
    unknown_versions: tuple[str, ...]
    stated_runtime: str | None
    targets: tuple[Target, ...]
    runtime: str = ""
    refused: str = ""
    card: bool = False
    card_problem: str = ""
    contract: Contract | None = None
    labels: int = 0
    metadata_problem: str = ""
    refused_by_mediapipe: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        found = asdict(self)
        found["targets"] = [one.to_json() for one in self.targets]
        del found["values"]
        found["weights"] = self.values.to_json()
        found["contract"] = self.contract and self.contract.model_dump(mode="json", by_alias=True)
        found["arena_bytes"] = None if self.arena is None else self.arena.total
        return found
