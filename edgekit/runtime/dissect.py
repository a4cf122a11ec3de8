"""Finds out what a .tflite file is: inputs, operators, weights, memory, what it needs to run and who takes it.

It is read in a worker process, from the file alone; it is run once besides, to say whether the runtime here takes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgekit.artifact import Artifact, load_artifact, sha256_of
from edgekit.errors import BadInput
from edgekit.runtime import isolate
from edgekit.runtime.app_readers import refused_by_mediapipe
from edgekit.runtime.arena import arena
from edgekit.runtime.embedded import NO_SENSE, read_embedded
from edgekit.runtime.flatbuffer import op_name, parse
from edgekit.runtime.inspection import InspectedOp, Inspection, Port, Signature
from edgekit.runtime.op_costs import Stored, macs, parameters, shape_of, with_passed
from edgekit.runtime.op_versions import Release, oldest_runtime, written
from edgekit.runtime.probe import TIMEOUT, probe
from edgekit.runtime.stored_weights import kernel_values, repeats, together
from edgekit.runtime.targets import CUSTOM, FLEX, Named, named, targets
from edgekit.runtime.validate import read_model
from edgekit.runtime.xnnpack import DTYPES, OpFacts, facts_of

CUSTOM_CODE = 32  # BuiltinOperator.CUSTOM of the schema
OLDEST = "min_runtime_version"  # the converter's own answer, in the file's metadata
# Inputs that say what shape an operator makes: computed ones make it known only while the network runs.
SHAPES = {
    "RESHAPE": (1,), "TRANSPOSE_CONV": (0,), "RESIZE_BILINEAR": (1,), "RESIZE_NEAREST_NEIGHBOR": (1,), "PAD": (1,),
    "PADV2": (1,), "MIRROR_PAD": (1,), "TILE": (1,), "FILL": (0,), "BROADCAST_TO": (1,), "SLICE": (1, 2),
    "STRIDED_SLICE": (1, 2, 3), "MEAN": (1,), "SUM": (1,), "RANGE": (0, 1, 2), "EXPAND_DIMS": (1,), "ONE_HOT": (1,),
}  # fmt: skip


def inspect(file: str | Path | Artifact) -> Inspection:
    """Reads a file and runs it once, both in worker processes. Raises BadInput for one that is damaged, or that crashes
    the runtime; one that the runtime merely refuses is inspected, and `refused` says why."""
    path = file.path if isinstance(file, Artifact) else Path(file)
    content = read_model(path)
    found: Inspection = isolate.call(_inspected, str(path), content, what=str(path), timeout=TIMEOUT)
    runtime, refused = _tried(path)
    card, problem = _card(path)
    found = replace(found, runtime=runtime, refused=refused, card=card, card_problem=problem)
    return _with_metadata(found, content)


def _with_metadata(found: Inspection, content: bytes) -> Inspection:
    try:
        held = read_embedded(content, found.file)
    except BadInput as error:
        return replace(found, metadata_problem=error.fact)
    refused = refused_by_mediapipe(held, found.inputs, found.outputs)
    return replace(found, contract=held.contract, labels=len(held.labels), refused_by_mediapipe=refused)


def _tried(path: Path) -> tuple[str, str]:
    """(the runtime, why it refuses the file)"""
    try:
        return probe(path).runtime, ""
    except isolate.Crashed:
        raise
    except BadInput as error:
        return "", error.fact


def _card(path: Path) -> tuple[bool, str]:
    try:
        return load_artifact(path).card is not None, ""
    except BadInput as error:
        return True, error.fact


def _inspected(name: str, content: bytes) -> Inspection:
    try:
        return _read(name, content)
    except NO_SENSE as error:
        said = f"{name} is damaged: its operators and tensors do not fit together ({type(error).__name__})."
        raise BadInput(said, "Copy the file again, or export it again.") from None


def _read(name: str, content: bytes) -> Inspection:
    model = parse(content)
    _check_codes(name, model)
    graph = model.subgraphs[0]
    operators = list(graph.operators or [])
    known = [named(facts_of(model, one), _code(model, one) == CUSTOM_CODE) for one in operators]
    facts = tuple(one.facts for one in known)
    stored = parameters(facts, operators)
    inputs, outputs = (tuple(_port(graph.tensors[index]) for index in ends) for ends in (graph.inputs, graph.outputs))
    dynamic = _dynamic(inputs + outputs, facts)
    unpacked = [Named(one.name, whole) for one, whole in zip(known, with_passed(facts, operators), strict=True)]
    table, refused = targets(unpacked, [port.dtype for port in inputs + outputs], bool(dynamic))
    takes = _takes(operators)
    rows = tuple(_row(at, known[at], stored[at], refused[at], takes[at]) for at in range(len(known)))
    oldest, unknown = _oldest(known)
    return Inspection(
        file=name, sha256=sha256_of(content), size_bytes=len(content), inputs=inputs, outputs=outputs,
        **_of_model(model, content), operators=rows, params=sum(one.params for one in rows),
        macs=sum(one.macs or 0 for one in rows),
        uncounted=tuple(dict.fromkeys(one.op for one in rows if one.macs is None)),
        weight_bytes=sum(one.weight_bytes for one in rows),
        values=together(kernel_values(one.op, mine) for one, mine in zip(facts, stored, strict=True)),
        dynamic=dynamic, open_batch=any(port.shape[:1] == (-1,) for port in inputs),
        oldest_runtime=oldest, unknown_versions=unknown, targets=table,
    )  # fmt: skip


def _check_codes(name: str, model: Any) -> None:
    """Raises BadInput for an operator that is newer than the schema here, which has no name for it."""
    for operator in (one for graph in model.subgraphs for one in graph.operators or []):
        try:
            op_name(model, operator)
        except KeyError:
            raise BadInput(
                f"{name} has the operator number {_code(model, operator)}, which no runtime here knows: it is newer.",
                "Install a newer ai-edge-litert.",
            ) from None


def _of_model(model: Any, content: bytes) -> dict[str, Any]:
    """Those fields of an Inspection that are of the whole file and not of its main graph."""
    foreign = _foreign(model)
    return {
        "description": _text(model.description),
        "signatures": _signatures(model),
        "metadata": tuple(_text(one.name) for one in model.metadata or []),
        "subgraphs": len(model.subgraphs),
        "repeats": repeats(model),
        "arena": None if foreign else arena(content),
        "flex": tuple(one for one in foreign if one.startswith(FLEX)),
        "custom": tuple(one for one in foreign if not one.startswith(FLEX)),
        "stated_runtime": _stated(model),
    }


def _takes(operators: Sequence[Any]) -> list[tuple[int, ...]]:
    """Of each operator the indices of those before it whose outputs it takes."""
    maker: dict[int, int] = {}
    found = []
    for at, operator in enumerate(operators):
        inputs = () if operator.inputs is None else operator.inputs
        found.append(tuple(dict.fromkeys(maker[int(one)] for one in inputs if int(one) in maker)))
        maker.update((int(one), at) for one in (() if operator.outputs is None else operator.outputs))
    return found


def _row(
    at: int, one: Named, stored: tuple[Stored, ...], refused: dict[str, str], takes: tuple[int, ...]
) -> InspectedOp:
    facts, values = one.facts, kernel_values(one.facts.op, stored)
    first = facts.outputs[0] if facts.outputs else None
    oldest = oldest_runtime(facts.op, facts.version)
    return InspectedOp(
        index=at, op=one.name, version=facts.version, layer="" if first is None else _text(first.name),
        shape=() if first is None else shape_of(first), dtype=facts.dtype,
        weights=stored[0].dtype if stored else "", params=sum(each.size for each in stored), macs=macs(facts),
        weight_bytes=sum(each.held.size for each in stored), sparsity=values.sparsity if values else None,
        distinct=values.distinct if values else None, oldest_runtime=written(oldest) if oldest else None,
        refused=refused, takes=takes,
    )  # fmt: skip


def _code(model: Any, operator: Any) -> int:
    code = model.operatorCodes[operator.opcodeIndex]
    return int(max(code.builtinCode, code.deprecatedBuiltinCode))


def _foreign(model: Any) -> tuple[str, ...]:
    """The names of what is no builtin operator, in all subgraphs."""
    operators = [operator for graph in model.subgraphs for operator in graph.operators or []]
    return tuple(dict.fromkeys(op_name(model, one) for one in operators if _code(model, one) == CUSTOM_CODE))


def _dynamic(ports: Sequence[Port], operators: Sequence[OpFacts]) -> tuple[str, ...]:
    """Sentences on what has an open size: an input or output beyond its batch, an operator whose shape is computed."""
    found = [f"{port.name or 'an input or output'} has the shape {list(port.shape)}" for port in ports
             if -1 in port.shape[1:]]  # fmt: skip
    kinds = dict.fromkeys(one.op for one in operators if _computes_shape(one))
    return (*found, *(f"{op} makes a shape that is computed while the network runs" for op in kinds))


def _computes_shape(facts: OpFacts) -> bool:
    given = [facts.inputs[place] for place in SHAPES.get(facts.op, ()) if place < len(facts.inputs)]
    return any(one is not None and one[1] is None for one in given)


def _port(tensor: Any) -> Port:
    stated = tensor.shapeSignature
    shape = shape_of(tensor) if stated is None else tuple(int(side) for side in stated)
    scales, zeros = (getattr(tensor.quantization, field, None) for field in ("scale", "zeroPoint"))
    name, dtype = _text(tensor.name), DTYPES.get(tensor.type, "?")
    if scales is None or zeros is None or len(scales) != 1 or len(zeros) != 1:
        return Port(name, shape, dtype, None, None)
    return Port(name, shape, dtype, float(scales[0]), int(zeros[0]))


def _signatures(model: Any) -> tuple[Signature, ...]:
    def names(entries: Any) -> tuple[str, ...]:
        return tuple(_text(one.name) for one in entries or [])

    return tuple(
        Signature(_text(one.signatureKey), names(one.inputs), names(one.outputs)) for one in model.signatureDefs or []
    )


def _oldest(known: Iterable[Named]) -> tuple[str | None, tuple[str, ...]]:
    """The oldest runtime that has all operators, and those that no table knows: then there is none to tell."""
    kinds = dict.fromkeys((one.name, one.facts.version) for one in known if one.facts.op != CUSTOM)
    found: dict[tuple[str, int], Release | None] = {kind: oldest_runtime(*kind) for kind in kinds}
    unknown = tuple(f"{op} version {version}" for (op, version), oldest in found.items() if oldest is None)
    releases = [oldest for oldest in found.values() if oldest is not None]
    return (written(max(releases)) if releases and not unknown else None), unknown


def _stated(model: Any) -> str | None:
    for entry in model.metadata or []:
        held = model.buffers[entry.buffer].data
        if _text(entry.name) == OLDEST and held is not None:
            return bytes(held).rstrip(b"\0").decode("ascii", "replace")[:16] or None
    return None


def _text(name: Any) -> str:
    return name.decode(errors="replace") if isinstance(name, bytes) else str(name or "")
