"""Where each operator of a file runs: in the parts that the delegate took, or in the runtime's own kernels, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edgekit.errors import CheckFailed
from edgekit.rules import Figure, check, failure
from edgekit.runtime.flatbuffer import parse
from edgekit.runtime.xnnpack import facts_of, why_not


@dataclass(frozen=True)
class Operator:
    """One operator of the file's main graph. `layer` is the name of its first output, `shape` that output's; `dtype` of
    its first computed input, `weights` of its stored weights or ""; `inputs` and `outputs` are indices of tensors;
    `partition` counts from 0, None outside the delegate, and then `reason` says why."""

    index: int
    op: str
    layer: str
    dtype: str
    weights: str
    shape: tuple[int, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    partition: int | None
    reason: str = ""

    @property
    def delegated(self) -> bool:
        return self.partition is not None


@dataclass(frozen=True)
class Placement:
    """All operators in the file's order. `delegate` is None where none was applied."""

    delegate: str | None
    partitions: int
    operators: tuple[Operator, ...]

    @property
    def outside(self) -> tuple[Operator, ...]:
        return tuple(one for one in self.operators if not one.delegated)

    @property
    def percent(self) -> float:
        """Operators that the delegate took, of 100. Multiply-accumulates would hide what cuts a network into pieces:
        activations have none."""
        return 100 * (1 - len(self.outside) / len(self.operators)) if self.operators else 100.0

    @property
    def figure(self) -> Figure:
        """The percentage, with what is outside."""
        kinds = ", ".join(f"{count} x {op} {dtype}" for (op, dtype, _), count in self.reasons().items())
        return Figure(self.percent, detail=f"outside are {kinds}" if kinds else "")

    def reasons(self) -> dict[tuple[str, str, str], int]:
        """(op, dtype, reason) -> how many are outside of the delegate, most first."""
        return dict(Counter((one.op, one.dtype, one.reason) for one in self.outside).most_common())

    def to_json(self) -> dict[str, Any]:
        return {
            "delegate": self.delegate,
            "partitions": self.partitions,
            "operators": len(self.operators),
            "delegated": len(self.operators) - len(self.outside),
            "percent": self.percent,
            "outside": [
                {"index": one.index, "op": one.op, "layer": one.layer, "dtype": one.dtype, "shape": list(one.shape),
                 "reason": one.reason} for one in self.outside
            ],
        }  # fmt: skip

    def text(self) -> str:
        """One line on the whole, and one a kind of operator outside of the delegate."""
        taken, of = len(self.operators) - len(self.outside), len(self.operators)
        parts = f"{self.partitions} part{'' if self.partitions == 1 else 's'} of the graph"
        first = f"{self.delegate} runs {taken} of {of} operators ({self.percent:.0f} %), in {parts}."
        if not self.delegate:
            first = f"No delegate: all {of} operators run in the runtime's own kernels."
        rest = [f"  outside: {count} x {op}: {reason}" for (op, _, reason), count in self.reasons().items()]
        return "\n".join([first, *rest])


def placed(content: bytes, delegate: str | None, partitions: Sequence[Sequence[int]]) -> Placement:
    """The file's operators by what a runtime said that it gave to the delegate: indices, one list a part.

    `content` is of a file that was validated.
    """
    model = parse(content)
    where = {index: number for number, part in enumerate(partitions) for index in part}
    operators = []
    for index, operator in enumerate(model.subgraphs[0].operators or []):
        facts, partition = facts_of(model, operator), where.get(index)
        first = facts.outputs[0] if facts.outputs else None
        shape = () if first is None or first.shape is None else tuple(int(size) for size in first.shape)
        reason = _reason(facts, delegate) if partition is None else ""
        inputs, outputs = _indices(operator.inputs), _indices(operator.outputs)
        named = (index, facts.op, _name(first), facts.dtype, facts.weights)
        operators.append(Operator(*named, shape, inputs, outputs, partition, reason))
    return Placement(delegate, len(partitions), tuple(operators))


def delegated_enough(found: Placement, percent: float, file: str) -> CheckFailed | None:
    """The error, which names the operators outside, where the delegate took less than that share of them all."""
    checked = check(file, {"delegated_percent": found.figure}, {"min_delegated_percent": percent})
    return failure(checked, "See why with --profile, and change the model, or lower --require-delegated.")


def _reason(facts: Any, delegate: str | None) -> str:
    # XNNPACK is the runtime's own choice: with no part given to it each operator still has its reason.
    return why_not(facts) if delegate in (None, "XNNPACK") else f"{delegate} did not take it"


def _indices(tensors: Any) -> tuple[int, ...]:
    return () if tensors is None else tuple(int(one) for one in tensors)


def _name(tensor: Any) -> str:
    name = getattr(tensor, "name", None)
    return name.decode(errors="replace") if isinstance(name, bytes) else str(name or "")
