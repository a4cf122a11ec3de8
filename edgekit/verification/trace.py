"""The first operator whose results differ between two runtimes: every tensor is made an output, and they are compared
in the order of the operators."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from edgekit.measurement.answers import LARGEST, Answers
from edgekit.runtime.flatbuffer import is_constant, op_name, pack, parse
from edgekit.runtime.xnnpack import DTYPES
from edgekit.verification.child import Failed
from edgekit.verification.ends import ends_of
from edgekit.verification.inputs import Inputs
from edgekit.verification.rows import Job, Row, Skipped, job

WIDTH = {"float32": 4, "float16": 2, "int8": 1, "uint8": 1, "int16": 2, "int32": 4, "int64": 8, "bool": 1, "float64": 8}
ROOM = LARGEST // 2  # bytes of all tensors, which travel in base64


@dataclass(frozen=True)
class Trace:
    """`operator` is the index in the file, `layer` the name of its output; `differing` the share of its values that
    differ and `max_steps` by how many steps at most, None for floats: then `max_abs` says it. `score_steps`: how many
    steps at most the scores before a last softmax or sigmoid are apart, which stretches differences; None where there
    is none, or in floats."""

    operator: int
    op: str
    layer: str
    differing: float
    max_abs: float
    max_steps: float | None
    score_steps: float | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Untraced:
    """Why no operator can be named, in a clause."""

    reason: str


@dataclass(frozen=True)
class _Tap:
    operator: int
    op: str
    layer: str
    scale: float | None
    scores: bool  # what a last softmax or sigmoid takes


GIVEN = _Tap(-1, "", "", None, False)  # an output that no operator computes


class Tapped:
    """A file whose every computed tensor is an output, at one sample. What a runtime says is asked once."""

    def __init__(self, given: Job, sample: int, seconds: float) -> None:
        self._content, self._taps, self._bytes = _tapped(given.content)
        self._inputs = Inputs(
            tuple(one[sample : sample + 1] for one in given.inputs.tensors), None, (given.inputs.origins[sample],)
        )
        self._seconds = seconds
        self._answers: dict[str, tuple[np.ndarray, ...] | Untraced] = {}

    def between(self, first: Row, other: Row, outputs: dict[str, list[bytes]]) -> Trace | Untraced:
        """`outputs`: of each row the bytes of its outputs of the sample without looking, which must be the same."""
        if self._bytes > ROOM:
            return Untraced("its tensors are too large to be looked at together")
        ours = self._answer(first, outputs[first.name])
        if isinstance(ours, Untraced):
            return ours
        theirs = self._answer(other, outputs[other.name])
        if isinstance(theirs, Untraced):
            return theirs
        pairs = sorted(zip(self._taps, ours, theirs, strict=True), key=lambda pair: pair[0].operator)
        at = next((at for at, (_, a, b) in enumerate(pairs) if a.shape != b.shape or a.tobytes() != b.tobytes()), None)
        if at is None:
            return Untraced("with every tensor kept nothing differs")
        scores = [_trace(*pair).max_steps for pair in pairs if pair[0].scores]
        return replace(_trace(*pairs[at]), score_steps=scores[0] if scores else None)

    def _answer(self, row: Row, outputs: list[bytes]) -> tuple[np.ndarray, ...] | Untraced:
        if row.name not in self._answers:
            self._answers[row.name] = self._asked(row, outputs)
        return self._answers[row.name]

    def _asked(self, row: Row, outputs: list[bytes]) -> tuple[np.ndarray, ...] | Untraced:
        with job(self._content, self._inputs, ends_of(self._content), self._seconds) as asked:
            answer = row.run(asked)
        if not isinstance(answer, Answers):
            why = answer.reason if isinstance(answer, (Failed, Skipped)) else ""
            return Untraced(f"with every tensor kept {row.title} gives no answer: {why}")
        arrays = answer.arrays()
        if len(arrays) != len(self._taps):
            return Untraced(f"{row.title} gives {len(arrays)} tensors")
        if [one.tobytes() for one in arrays[len(arrays) - len(outputs) :]] != outputs:
            return Untraced(f"{row.title} answers otherwise when every tensor is kept")
        return arrays


def _tapped(content: bytes) -> tuple[bytes, list[_Tap], int]:
    """(the file, what is tapped in the order of the operators, bytes of all). The file's own outputs come last, as they
    are in it."""
    model = parse(content)
    graph = model.subgraphs[0]
    taps: dict[int, _Tap] = {}
    own = [int(index) for index in graph.outputs]
    scores, size = _scores(model), 0
    for at, operator in enumerate(graph.operators or []):
        for index in (int(one) for one in operator.outputs):
            tensor = graph.tensors[index]
            kind = DTYPES.get(tensor.type, "")
            if kind not in WIDTH or is_constant(model, tensor) or index in taps:
                continue
            scales = getattr(tensor.quantization, "scale", None)
            scale = float(scales[0]) if scales is not None and len(scales) == 1 else None
            name = tensor.name.decode(errors="replace") if isinstance(tensor.name, bytes) else str(tensor.name or "")
            taps[index] = _Tap(at, op_name(model, operator), name, scale, index in scores)
            size += int(np.prod(tensor.shape if tensor.shape is not None else ())) * WIDTH[kind]
    order = [*(index for index in taps if index not in own), *own]
    graph.outputs = np.array(order, np.int32)
    model.signatureDefs = []  # they name outputs that are no longer there
    return pack(model), [taps.get(index, GIVEN) for index in order], size


def _scores(model: Any) -> set[int]:
    """The tensors that the operators at the file's end take which turn scores into probabilities."""
    graph = model.subgraphs[0]
    maker = {int(index): operator for operator in graph.operators or [] for index in operator.outputs}
    found = set()
    for index in (int(one) for one in graph.outputs):
        operator = maker.get(index)
        while operator is not None and op_name(model, operator) in ("DEQUANTIZE", "QUANTIZE", "RESHAPE"):
            operator = maker.get(int(operator.inputs[0]))
        if operator is not None and op_name(model, operator) in ("SOFTMAX", "LOGISTIC"):
            found.add(int(operator.inputs[0]))
    return found


def _trace(tap: _Tap, a: np.ndarray, b: np.ndarray) -> Trace:
    if a.shape != b.shape:
        return Trace(tap.operator, tap.op, tap.layer, 1.0, 0.0, None)
    apart = np.abs(a.astype(np.float64) - b.astype(np.float64))
    codes = a.dtype.kind in "iu" and tap.scale is not None
    worst = float(apart.max(initial=0.0))
    return Trace(
        tap.operator, tap.op, tap.layer, float((apart != 0).mean()),
        worst * (tap.scale or 1.0) if codes else worst, worst if codes else None,
    )  # fmt: skip
