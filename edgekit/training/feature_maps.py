"""Feature maps of a model and of its teacher that can be compared: which layers, and the models that give them too."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from edgekit.distil_config import Transfer
from edgekit.errors import BadInput

NAMED = 12  # candidates in a message, at most


def with_maps(model: keras.Model, teacher: keras.Model, transfer: Transfer | None, seed: int) -> tuple[Any, Any, Any]:
    """Both models with outputs to compare behind their own, and the layers that were added to the student.

    The same layers and weights as before, in new graphs. What is added to either has the same shape, float32: for
    attention [n, height * width], for features [n, height, width, the teacher's channels]. Raises BadInput where the
    two have no maps of the same size, or the configuration names none.
    """
    own, theirs, added = list(model.outputs), list(teacher.outputs), list[Any]()
    if transfer is not None and transfer.on_maps:
        for number, (ours, wanted) in enumerate(_pairs(model, teacher, transfer)):
            if transfer.kind == "attention":
                ours, wanted = _attention(ours), _attention(wanted)
            elif ours.shape[-1] == wanted.shape[-1]:
                ours = ops.cast(ours, "float32")  # from mixed precision
            else:
                added.append(_projection(wanted.shape[-1], number, seed))
                ours = added[-1](ours)
            own.append(ours)
            theirs.append(wanted)
    return keras.Model(model.inputs, own, name="student"), keras.Model(teacher.inputs, theirs, name="teacher"), added


def _projection(channels: int, number: int, seed: int) -> Any:
    initial = keras.initializers.GlorotUniform(seed=seed + number)  # the same after an interruption
    return keras.layers.Conv2D(channels, 1, kernel_initializer=initial, name=f"projection_{number}")


def _attention(maps: Any) -> Any:
    """float32 [n, height * width] of length 1: the sum of the channels' squares at each position."""
    energy = ops.sum(ops.square(ops.cast(maps, "float32")), axis=-1)
    return ops.normalize(ops.reshape(energy, (-1, math.prod(energy.shape[1:]))), axis=-1, order=2)


def _pairs(model: keras.Model, teacher: keras.Model, transfer: Transfer) -> list[tuple[Any, Any]]:
    ours, theirs = _maps(model), _maps(teacher)
    if transfer.layers:
        found = [(_named(a, ours, "model"), _named(b, theirs, "teacher")) for a, b in transfer.layers]
    else:
        last, wanted = ({one.shape[1:3]: one for one in maps.values()} for maps in (ours, theirs))
        found = [(last[size], wanted[size]) for size in last if size in wanted]
    for a, b in found:
        if a.shape[1:3] != b.shape[1:3]:
            raise _unlike(f"A map of the model is {_size(a)}, that of its teacher {_size(b)}", ours, theirs)
    if not found:
        raise _unlike("The model and its teacher have no feature maps of the same height and width", ours, theirs)
    return found


def _maps(model: keras.Model) -> dict[str, Any]:
    """Layer -> its tensor [n, height, width, channels], larger than 1x1, from the first layer with weights on, in the
    order of the graph; of a layer that is called more than once, its last one."""
    by_depth = getattr(model, "_functional", model)._nodes_by_depth  # a Sequential has its graph inside
    nodes = [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]
    first = next((number for number, node in enumerate(nodes) if getattr(node.operation, "weights", ())), len(nodes))
    tensors = {node.operation.name: node.output_tensors[0] for node in nodes[first:]}
    return {name: one for name, one in tensors.items() if len(one.shape) == 4 and math.prod(one.shape[1:3]) > 1}


def _named(name: str, maps: Mapping[str, Any], whose: str) -> Any:
    if name not in maps:
        raise BadInput(f"The {whose} has no feature map {name!r} to compare.", f"Its layers with one: {_listed(maps)}.")
    return maps[name]


def _unlike(fact: str, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> BadInput:
    candidates = f"the model's are {_listed(ours)}; its teacher's {_listed(theirs)}"
    return BadInput(f"{fact}.", f"Name pairs in distil.layers ({candidates}), or take the kind logits.")


def _listed(maps: Mapping[str, Any]) -> str:
    """The last ones of each size first to last, so that few names say most."""
    last = {one.shape[1:3]: name for name, one in maps.items()}.values()
    said = [f"{name} ({_size(maps[name])})" for name in last]
    return ", ".join(said[:NAMED]) or "none"


def _size(maps: Any) -> str:
    return "x".join(map(str, maps.shape[1:]))
