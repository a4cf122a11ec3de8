"""Does the exported file still say what the model said? And is a quantized file really integer?

Limits: docs/contracts.md, "Verification limits".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from edgekit.artifact import Variant
from edgekit.errors import BadInput
from edgekit.evaluation.metrics import a_score_a_class, sqnr_db, wilson
from edgekit.recipe import Verify
from edgekit.runtime.flatbuffer import is_constant, op_name, parse
from edgekit.runtime.interpreter import open_model
from edgekit.runtime.ranges import MOVING, Inputs

IO_OPS = {"QUANTIZE", "DEQUANTIZE"}
INTEGER: tuple[Variant, ...] = ("int8", "int16x8", "mixed")
TIE = 1e-6  # outputs this close to the largest one count as tied with it, as a share of it


@dataclass(frozen=True)
class Parity:
    """The file against the model on the same `n` samples.

    `agreement`: share of images with the same argmax, ties of the model's outputs set aside, `ci95` its Wilson
    interval; both None for what is no classifier. `sqnr_db`: 10 log10(sum y^2 / sum (y - y')^2) of the worst output;
    `max_abs`: largest |y - y'|; `max_relative`: of the largest |y|; `dtypes`: tensors of each dtype; `float_ops`:
    operators that compute in float in an integer file; `float_layers`: the tensors whose operators were left float on
    purpose. `failures` are sentences; none means verified.
    """

    variant: str
    n: int
    agreement: float | None
    ci95: tuple[float, float] | None
    sqnr_db: float | None
    max_abs: float
    max_relative: float
    dtypes: dict[str, int]
    float_ops: tuple[str, ...]
    float_layers: tuple[str, ...]
    failures: tuple[str, ...]

    @property
    def verified(self) -> bool:
        return not self.failures

    def to_json(self) -> dict[str, Any]:
        """The figures, and whether the file is verified."""
        lists = {name: list(value) for name, value in asdict(self).items() if isinstance(value, tuple)}
        return {**asdict(self), **lists, "verified": self.verified}


def parity(
    content: bytes,
    variant: Variant,
    inputs: Inputs,
    reference: Inputs,
    limits: Verify,
    *,
    classifier: bool = True,
    float_layers: Collection[str] = (),
) -> Parity:
    """Runs the file on `inputs` (an array [n, ...] an input, as the file takes them) and compares with the model's
    `reference` (float32 [n, ...] an output). The operators that write the tensors `float_layers` may compute in float.
    Raises BadInput for outputs that are not finite."""
    outputs = run_all(content, inputs)
    if not all(np.isfinite(one).all() for one in (*outputs, *reference)):
        raise BadInput("The model's outputs are not all finite.", "Check its weights, and the preprocessing.")
    differences = [float(np.abs(ours - theirs).max()) for ours, theirs in zip(outputs, reference, strict=True)]
    largest = [float(np.abs(theirs).max()) for theirs in reference]
    same = same_class(reference, outputs) if classifier else None
    measured = Parity(
        variant=variant,
        n=len(inputs[0]),
        agreement=None if same is None else float(same.mean()),
        ci95=None if same is None else wilson(int(same.sum()), len(same)),
        sqnr_db=worst_sqnr_db(reference, outputs),
        max_abs=max(differences),
        max_relative=max(d / y if y else d for d, y in zip(differences, largest, strict=True)),
        dtypes=tensor_dtypes(content),
        float_ops=float_operators(content) if variant in INTEGER else (),
        float_layers=tuple(float_layers),
        failures=(),
    )
    return replace(measured, failures=tuple(_failures(measured, limits)))


def run_all(content: bytes, inputs: Inputs, *, batch: int | None = None, threads: int = 1) -> tuple[np.ndarray, ...]:
    """[n, ...] an input, through the file in its own batches, or of `batch` where it can -> float32 [n, ...] an output.

    The last batch is filled up with the last sample.
    """
    count = len(inputs[0])
    model = open_model(content, threads=threads, batch=None if batch is None else min(batch, count))
    places = [np.minimum(np.arange(i, i + model.batch), count - 1) for i in range(0, count, model.batch)]
    answers = [model.run(*(values[place] for values in inputs)) for place in places]
    return tuple(np.concatenate(parts)[:count] for parts in zip(*answers, strict=True))


def tensor_dtypes(content: bytes) -> dict[str, int]:
    """How many tensors of each dtype the file has."""
    from ai_edge_litert import schema_py_generated as schema

    names = {value: name.lower() for name, value in vars(schema.TensorType).items() if isinstance(value, int)}
    graphs = parse(content).subgraphs
    return dict(sorted(Counter(names[tensor.type] for graph in graphs for tensor in graph.tensors).items()))


def float_operators(content: bytes) -> tuple[str, ...]:
    """Operators other than QUANTIZE and DEQUANTIZE at the graph's ends that read or write float tensors, with the
    name of the tensor they write; none in an all-integer file."""
    from ai_edge_litert import schema_py_generated as schema

    model = parse(content)
    graph = model.subgraphs[0]
    floats = {schema.TensorType.FLOAT32, schema.TensorType.FLOAT16, schema.TensorType.FLOAT64}
    ends = {int(i) for i in (*graph.inputs, *graph.outputs)}
    found = []
    for operator in graph.operators:
        touched = [int(i) for i in (*operator.inputs, *operator.outputs) if i >= 0]
        in_float = [i for i in touched if graph.tensors[i].type in floats]
        at_the_end = op_name(model, operator) in IO_OPS and all(i in ends for i in in_float)
        if in_float and not at_the_end and not all(is_constant(model, graph.tensors[i]) for i in in_float):
            written = graph.tensors[int(operator.outputs[0])].name.decode(errors="replace")
            found.append(f"{op_name(model, operator)} {written}")
    return tuple(found)


def same_class(reference: Inputs, outputs: Inputs) -> np.ndarray:
    """bool [n]: the file's argmax is among the classes that the model ranks first, exact ties included."""
    wanted, found = scores(reference), scores(outputs)
    top = wanted.max(axis=1, keepdims=True)
    tied = wanted >= top - TIE * np.abs(top)
    return np.asarray(tied[np.arange(len(found)), found.argmax(axis=1)])


def worst_sqnr_db(reference: Inputs, outputs: Inputs) -> float | None:
    """Signal to noise of the worst output, in dB; None for equal values."""
    return _finite(min(sqnr_db(theirs, ours) for theirs, ours in zip(reference, outputs, strict=True)))


def scores(outputs: Inputs) -> np.ndarray:
    """float32 [n, classes] of a classifier's only output; a single score p is that of the second of two classes."""
    return a_score_a_class(outputs[0].reshape(len(outputs[0]), -1))


def _finite(decibels: float) -> float | None:
    """None for equal values; noise on a reference of zeros has no end below, and stands as a thousand."""
    return None if decibels == np.inf else round(max(float(decibels), -1000.0), 3)


def _failures(measured: Parity, limits: Verify) -> list[str]:
    failures = []
    if measured.variant == "float32" and measured.max_relative > limits.float32_max_relative:
        failures.append(
            f"outputs differ by {measured.max_relative:.2e} of the largest output, "
            f"limit {limits.float32_max_relative:.0e}"
        )
    wanted = 1.0 if measured.variant == "float32" else float(getattr(limits, f"{measured.variant}_agreement"))
    if measured.agreement is not None and measured.agreement < wanted:
        failures.append(f"agrees with the model on {measured.agreement:.1%} of {measured.n} images, limit {wanted:.1%}")
    noisy = measured.sqnr_db is not None and measured.sqnr_db < limits.min_sqnr_db
    if measured.agreement is None and measured.variant != "float32" and noisy:
        failures.append(f"has {measured.sqnr_db:.1f} dB signal to noise, limit {limits.min_sqnr_db:g} dB")
    unwanted = _unwanted(measured)
    if unwanted:
        failures.append(f"{len(unwanted)} operators still compute in float: {unwanted[0]}")
    return failures


def _unwanted(measured: Parity) -> list[str]:
    """The float operators of an integer file that nobody asked for; beside those that were, some only move values."""
    if not measured.float_layers:
        return list(measured.float_ops)
    named = [one.partition(" ") for one in measured.float_ops]
    known = {*measured.float_layers}
    return [f"{op} {at}" for op, _, at in named if op not in IO_OPS | MOVING and at not in known]
