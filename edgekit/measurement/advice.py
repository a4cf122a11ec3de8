"""What is known to be slow, how much of this profile it takes, and the step of a recipe that changes it.

A gain is one that a benchmark of edgekit measured and recorded (gains.json, written by benchmarks/gains.py); where none
is recorded none is given.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from edgekit.measurement.profile import Profile
from edgekit.runtime.placement import Operator

EIGHT_BITS = ("int8", "uint8")
LAYERS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")
MULTIPLE = 8  # of channels, that kernels of 8 bits take at a time
X86 = ("x86_64", "AMD64", "i686")


@dataclass(frozen=True)
class Gain:
    """How many times faster a network got, with the 95 % interval where there is one, and on what."""

    what: str
    times: float
    ci95: tuple[float, float] | None
    cpu: str


@dataclass(frozen=True)
class Advice:
    """`share` of this profile's time is taken by `operators` of the file; `step` is what a recipe says to change it,
    "" where edgekit has nothing."""

    name: str
    said: str
    share: float
    operators: tuple[int, ...]
    step: str
    gains: tuple[Gain, ...]

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "operators": list(self.operators), "gains": [vars(gain) for gain in self.gains]}

    def text(self) -> str:
        lines = [f"{self.said} ({100 * self.share:.0f} % of the time, {_operators(len(self.operators))})."]
        lines += [f"  change it in the recipe: {self.step}"] if self.step else []
        lines += [f"  measured: {_measured(self.gains)}"] if self.gains else []
        return "\n".join(lines)


@dataclass(frozen=True)
class Rule:
    """Operators that `finds` names are slow if they take `least` of the time."""

    name: str
    finds: Callable[[Profile], list[Operator]]
    said: str
    step: str
    least: float


def advice(profile: Profile) -> tuple[Advice, ...]:
    """What RULES have to say on this profile, the largest share first; then what else is outside the delegate."""
    found = []
    for rule in RULES:
        nodes = tuple(one.index for one in rule.finds(profile))
        share = profile.share(nodes)
        if nodes and share >= rule.least:
            found.append(Advice(rule.name, rule.said, share, nodes, rule.step, gains().get(rule.name, ())))
    covered = {node for one in found for node in one.operators}
    return tuple(sorted([*found, *_others(profile, covered)], key=lambda one: -one.share))


@functools.cache
def gains() -> dict[str, tuple[Gain, ...]]:
    """Name of the advice -> what benchmarks recorded of following it."""
    recorded = json.loads(resources.files("edgekit.measurement").joinpath("gains.json").read_text("utf-8"))
    return {
        name: tuple(
            Gain(one["what"], one["times"], tuple(one["ci95"]) if one["ci95"] else None, one["cpu"]) for one in rows
        )
        for name, rows in recorded.items()
    }


def _others(profile: Profile, covered: set[int]) -> list[Advice]:
    """What runs outside of the delegate and takes much time, a kind of operator each."""
    kinds: dict[tuple[str, str], list[int]] = {}
    for one in profile.placement.outside:
        if one.index not in covered:
            kinds.setdefault((f"{one.op} {one.dtype}", one.reason), []).append(one.index)
    return [
        Advice("outside-the-delegate", f"{kind} is not delegated: {reason}", profile.share(nodes), tuple(nodes), "", ())
        for (kind, reason), nodes in kinds.items()
        if profile.share(nodes) >= OUTSIDE
    ]


def _hard_swish(profile: Profile) -> list[Operator]:
    return [one for one in profile.placement.outside if one.op == "HARD_SWISH" and one.dtype in EIGHT_BITS]


def _dynamic_range(profile: Profile) -> list[Operator]:
    if profile.conditions.get("machine") not in X86:
        return []
    return [
        one for one in profile.placement.operators
        if one.op in LAYERS and one.dtype == "float32" and one.weights == "int8"
    ]  # fmt: skip


def _sixteen_bits(profile: Profile) -> list[Operator]:
    return [one for one in profile.placement.outside if one.dtype == "int16"]


def _odd_channels(profile: Profile) -> list[Operator]:
    """Layers of 8 bits whose channels are no multiple of 8, but for the last: it has as many as there are classes."""
    layers = [one for one in profile.placement.operators if one.op in LAYERS and one.dtype in EIGHT_BITS and one.shape]
    return [one for one in layers[:-1] if one.shape[-1] % MULTIPLE and one.shape[-1] > 1]


def _swish(profile: Profile) -> list[Operator]:
    """A sigmoid and the multiplication of its input by it, in 8 bits."""
    operators = profile.placement.operators
    sigmoids = {one.outputs[0]: one for one in operators if one.op == "LOGISTIC" and one.dtype in EIGHT_BITS}
    found = []
    for one in operators:
        gate = next((sigmoids[tensor] for tensor in one.inputs if tensor in sigmoids), None)
        if one.op == "MUL" and gate is not None and gate.inputs[0] in one.inputs:
            found += [gate, one]
    return found


def _float16(profile: Profile) -> list[Operator]:
    operators = profile.placement.operators
    if not any(one.op == "DEQUANTIZE" and one.weights == "float16" for one in operators):
        return []
    return [one for one in operators if one.op != "DEQUANTIZE" and one.dtype == "float32"]


OUTSIDE = 0.05
RULES = (
    Rule("hard-swish-int8", _hard_swish,
         "Hard-swish has no 8-bit kernel in XNNPACK and cuts the network into parts",
         "steps: [{rewrite: {hard_swish: exact}}]", 0.01),
    Rule("dynamic-range-x86", _dynamic_range,
         "Dynamic range quantizes the activations anew in each layer while the network runs",
         "variants: [int8]", 0.05),
    Rule("int16x8", _sixteen_bits, "Activations of 16 bits run in the runtime's own kernels, which are slow",
         "variants: [int8], or [mixed] where int8 costs too much accuracy", 0.01),
    Rule("odd-channels-int8", _odd_channels,
         f"Layers of 8 bits whose channels are no multiple of {MULTIPLE} leave parts of the vectors unused",
         f"steps: [{{channels: {{macs: 0.9, multiple: {MULTIPLE}}}}}]", 0.05),
    Rule("swish-int8", _swish, "Swish in 8 bits is a sigmoid and a multiplication of its own after each layer",
         "steps: [{rewrite: {swish: hard_swish, finetune_epochs: 2}}]", 0.05),
    Rule("float16-weights", _float16,
         "Weights of 16 bits become float32 when the file is opened: it is half as large, and no faster",
         "variants: [int8]", 0.05),
)  # fmt: skip


def _operators(count: int) -> str:
    return f"{count} operator{'' if count == 1 else 's'}"


def _measured(found: Sequence[Gain]) -> str:
    """The one gain, or the range of them all."""
    first, times = found[0], sorted(gain.times for gain in found)
    where = f"{first.what}{f' and {len(found) - 1} more' if len(found) > 1 else ''}, {first.cpu}"
    if len(found) > 1:
        return f"{times[0]:.1f} to {times[-1]:.1f} times as fast afterwards ({where})"
    interval = f", 95 %: {first.ci95[0]:.2f} to {first.ci95[1]:.2f}" if first.ci95 else ""
    return f"{first.times:.2f} times as fast afterwards ({where}{interval})"
