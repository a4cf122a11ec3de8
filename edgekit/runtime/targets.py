"""What each target takes of a file, and why it refuses the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from edgekit.runtime.gpu_ops import why_not_gpu
from edgekit.runtime.micro_ops import why_not_micro
from edgekit.runtime.xnnpack import UNKNOWN, OpFacts, why_not

FLEX = "Flex"  # how the names of TensorFlow's own operators begin
CUSTOM = "custom"  # stands in for the name of what is no builtin operator, whatever it calls itself
FLEX_MISSING = "it is an operator of TensorFlow itself, and needs the Flex delegate"
CUSTOM_MISSING = "it is a custom operator, which the app has to bring and register"


@dataclass(frozen=True)
class Target:
    """`taken` of `operators` run there; `refused` tells how many of an operator do not, and why: (op, reason, count).
    `blocked` says why the file as a whole cannot run, "" where it can; `otherwise` what becomes of the refused ones."""

    name: str
    operators: int
    taken: int
    refused: tuple[tuple[str, str, int], ...]
    blocked: str
    otherwise: str

    @property
    def verdict(self) -> str:
        """`runs`, `partly` or `refuses`."""
        if self.blocked:
            return "refuses"
        return "runs" if self.taken == self.operators else "partly"

    def to_json(self) -> dict[str, Any]:
        refused = [{"op": op, "reason": reason, "count": count} for op, reason, count in self.refused]
        return {
            "name": self.name, "verdict": self.verdict, "operators": self.operators, "taken": self.taken,
            "refused": refused, "blocked": self.blocked, "otherwise": self.otherwise,
        }  # fmt: skip


@dataclass(frozen=True)
class Named:
    """An operator's facts and the name it goes by: for a custom one `facts.op` is CUSTOM, so that no table knows it."""

    name: str
    facts: OpFacts

    @property
    def foreign(self) -> str:
        """Why no target has it of its own, "" for a builtin operator."""
        if self.facts.op != CUSTOM:
            return ""
        return FLEX_MISSING if self.name.startswith(FLEX) else CUSTOM_MISSING


def named(facts: OpFacts, custom: bool) -> Named:
    return Named(facts.op, replace(facts, op=CUSTOM) if custom else facts)


def targets(
    operators: Sequence[Named], ports: Sequence[str], dynamic: bool
) -> tuple[tuple[Target, ...], list[dict[str, str]]]:
    """The table, and of each operator {target: why it is refused}. `ports` are the dtypes of the file's inputs and
    outputs; `dynamic`: some shape is known only while the network runs."""
    foreign = next((f"{one.name}: {one.foreign}" for one in operators if one.foreign), "")
    integer = next((port for port in ports if port in ("int8", "int16")), "")
    reasons = {name: [one.foreign or why(one.facts) for one in operators] for name, (why, _) in TABLE.items()}
    blocked = {
        "cpu": foreign,
        "gpu": foreign or ("it has sizes that are known only while it runs" if dynamic else ""),
        "microcontroller": foreign or next(
            (f"{one.name}: {why}" for one, why in zip(operators, reasons["microcontroller"], strict=True) if why), "")
        or ("it has sizes that are known only while it runs" if dynamic else ""),
        "browser": foreign or (f"LiteRT.js takes no {integer} inputs and outputs" if integer else ""),
    }  # fmt: skip
    table = tuple(_target(name, operators, reasons[name], blocked[name]) for name in TABLE)
    each = [{name: reasons[name][at] for name in TABLE if reasons[name][at]} for at in range(len(operators))]
    return table, each


def _target(name: str, operators: Sequence[Named], reasons: Sequence[str], blocked: str) -> Target:
    counted = Counter((one.name, why) for one, why in zip(operators, reasons, strict=True) if why)
    refused = tuple((op, why, count) for (op, why), count in counted.most_common())
    return Target(name, len(operators), sum(not why for why in reasons), refused, blocked, TABLE[name][1])


def _xnnpack(facts: OpFacts) -> str:
    reason = why_not(facts)
    return "" if reason == UNKNOWN else reason


# Target -> why it leaves an operator, and what becomes of what it leaves.
TABLE: dict[str, tuple[Callable[[OpFacts], str], str]] = {
    "cpu": (_xnnpack, "run in the runtime's own kernels, not in XNNPACK"),
    "gpu": (why_not_gpu, "run on the CPU"),
    "microcontroller": (why_not_micro, "do not run in TensorFlow Lite Micro"),
    "browser": (_xnnpack, "run in WebAssembly without XNNPACK"),
}
