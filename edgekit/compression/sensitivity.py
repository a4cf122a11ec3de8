"""Which layer costs how much when it is quantized: each alone, all else in float, measured on held-out samples."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit.artifact import Io
from edgekit.compression.journal import Journal
from edgekit.compression.judge import Judge, Score, judge_of
from edgekit.exporting.convert import Calibrated, quantized
from edgekit.exporting.export import Exporter
from edgekit.progress import Progress, Reporter, silent
from edgekit.runtime.flatbuffer import FLOAT32, is_constant, op_name, parse
from edgekit.runtime.ranges import MOVING

if TYPE_CHECKING:
    import pandas as pd

# Operators that choose or pass on values: what they give has the codes of what they take.
CHOOSING = {"MAX_POOL_2D", "QUANTIZE", "DEQUANTIZE", "GATHER", "CAST"}
WEIGHTED = ("convolution", "depthwise", "MatMul", "BiasAdd")  # how TensorFlow names what has the kernel
WORK = 7e8  # activations computed for a layer: half a second
MOST = 500  # samples


@dataclass(frozen=True)
class Computing:
    """An operator with what is fused to it. `layer`: the Keras layer it comes from, or else the `tensor` it writes."""

    layer: str
    op: str
    tensor: str


@dataclass(frozen=True)
class LayerCost:
    """What it costs to quantize one operator alone."""

    layer: str
    op: str
    tensor: str
    score: Score


@dataclass(frozen=True)
class Sensitivity:
    """One LayerCost an operator that computes, the noisiest first; `whole`: of the file with all of them quantized."""

    whole: Score
    layers: tuple[LayerCost, ...]

    def to_frame(self) -> pd.DataFrame:
        """One row an operator: layer, op, agreement (fraction), sqnr_db, drop_points, n, tensor."""
        import pandas as pd

        columns = ["layer", "op", "agreement", "sqnr_db", "drop_points", "n", "tensor"]
        return pd.DataFrame(self.to_json()["layers"], columns=columns)

    def to_json(self) -> dict[str, Any]:
        rows = [{"layer": o.layer, "op": o.op, "tensor": o.tensor, **o.score.to_json()} for o in self.layers]
        return {"whole": self.whole.to_json(), "layers": rows}


def sensitivity(
    exporter: Exporter,
    *,
    io: Io = "float32",
    images: int = MOST,
    state: Path | None = None,
    progress: Reporter = silent,
) -> Sensitivity:
    """Quantizes each operator that computes alone and measures on at most so many held-out samples (fewer where the
    network is big). With a folder `state` a call that was interrupted continues."""
    made = exporter.calibrated(io)
    judge = judge_of(exporter, io, images, work=WORK)
    operators = computing(made, layer_names(exporter.model), _ends(exporter))
    journal = Journal(state, measured_by(made, judge))
    rows = []
    for number, one in enumerate(operators):
        progress(Progress("sensitivity", number, len(operators), one.layer))
        found = journal.once(one.tensor, lambda one=one: _alone(made, judge, operators, one).to_json())  # type: ignore[misc]
        rows.append(LayerCost(**asdict(one), score=Score(**found)))
    progress(Progress("sensitivity", len(operators), len(operators)))
    whole = journal.once("", lambda: judge.score(quantized(made)).to_json())
    return Sensitivity(Score(**whole), tuple(sorted(rows, key=_noise)))


def computing(made: Calibrated, layers: Collection[str] = (), outputs: Sequence[str] = ()) -> tuple[Computing, ...]:
    """The operators of a calibrated file that will be quantized and compute something, in their order.

    `layers` are the names to tell in tensors'; `outputs` those of what writes the outputs, whose tensors lost theirs.
    """
    model = parse(made.content)
    graph = model.subgraphs[0]
    ends = dict(zip((int(i) for i in graph.outputs), outputs, strict=False))
    found = []
    for operator in graph.operators:
        written, name = graph.tensors[int(operator.outputs[0])], op_name(model, operator)
        tensor = written.name.decode()
        passes = name in MOVING | CHOOSING or written.type != FLOAT32 or is_constant(model, written)
        if not passes and tensor not in made.float_nodes:
            layer = ends.get(int(operator.outputs[0])) or layer_of(tensor, layers)
            found.append(Computing(layer, name, tensor))
    return tuple(found)


def layer_names(model: Any) -> frozenset[str]:
    """Of a Keras model, nested ones included; none of a SavedModel."""
    if not hasattr(model, "_flatten_layers"):
        return frozenset()
    return frozenset(layer.name for layer in model._flatten_layers(include_self=False))


def _ends(exporter: Exporter) -> tuple[str, ...]:
    """The layers that make the outputs; the softmax that export appends is none of the model's."""
    return ("softmax",) if exporter.softmax else tuple(getattr(exporter.model, "output_names", ()))


def layer_of(tensor: str, layers: Collection[str]) -> str:
    """The layer whose kernel made the tensor, else the first one that its name tells of, else the name itself.

    A converter's name is a path a fused operator, joined by semicolons: the scopes it was traced in, to each of which
    TensorFlow adds _1, _2, ..., and the operator.
    """
    paths = [path.split("/") for path in tensor.split(";")]
    first = [path for path in paths if path[-1].startswith(WEIGHTED)]
    for path in (*first, *paths):
        for scope in reversed(path[:-1] or path):
            for name in (re.sub(r"_\d+$", "", scope), scope) if len(path) > 1 else (scope,):
                if name in layers:
                    return name
    return tensor.split(";")[0]


def measured_by(made: Calibrated, judge: Judge) -> str:
    """The hash of what decides every measurement of a calibrated file, and of which figures one has."""
    figures = str([field.name for field in fields(Score)])
    parts = (hashlib.sha256(made.content).hexdigest(), str(sorted(made.float_nodes)), judge.sha256(), figures)
    return hashlib.sha256("".join(parts).encode()).hexdigest()


def _alone(made: Calibrated, judge: Judge, operators: Collection[Computing], one: Computing) -> Score:
    return judge.score(quantized(made, float_nodes=[other.tensor for other in operators if other != one]))


def _noise(cost: LayerCost) -> tuple[float, float]:
    """Least signal to noise first: that tells apart layers that cost no answer, which agreement does not."""
    score = cost.score
    return (
        float("inf") if score.sqnr_db is None else score.sqnr_db,
        1.0 if score.agreement is None else score.agreement,
    )
