"""What in a file would break in an app."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edgekit.errors import CheckFailed
from edgekit.rules import Checked, Figure, check, defaults
from edgekit.runtime.embedded import STANDARD
from edgekit.runtime.escape import escaped
from edgekit.runtime.inspection import Inspection
from edgekit.runtime.op_versions import oldest_runtime, release, written

SHOWN = 8  # operators named in one sentence


@dataclass(frozen=True)
class Shippable:
    """`checked`: the rules of a file that an app can take; `reasons`, sentences, are of those that it breaks and fail
    the check. `warnings` do not."""

    file: str
    runtime: str | None
    checked: tuple[Checked, ...]
    warnings: tuple[str, ...]

    @property
    def reasons(self) -> tuple[str, ...]:
        return tuple(one.clause() for one in self.checked if one.failed)

    @property
    def failed(self) -> CheckFailed | None:
        if not self.reasons:
            return None
        return CheckFailed(
            f"{escaped(self.file)} would break in an app: {' '.join(self.reasons)}",
            "Export it again without them, or say what it expects: edgekit metadata set",
        )

    def to_json(self) -> dict[str, Any]:
        about = {"runtime": self.runtime, "reasons": list(self.reasons), "warnings": list(self.warnings)}
        return {**about, "rules": [one.to_json() for one in self.checked]}


def shippable(found: Inspection, runtime: str | None = None) -> Shippable:
    """Checks Flex and custom operators, dynamic shapes, that something says what the file expects and, with `runtime`
    ("2.14"), the versions of operators against that release of TensorFlow Lite. Raises UsageError for what is none."""
    problems = [escaped(one) for one in (found.card_problem, found.metadata_problem) if one]
    counted = {
        "flex_operators": _listing(
            "It has operators of TensorFlow itself, which need the Flex delegate: {}.", found.flex
        ),
        "custom_operators": _listing("It has custom operators, which the app would have to bring: {}.", found.custom),
        "open_sizes": _sizes(found),
        "newer_operators": _newer(found, runtime),
        "refusals": _refused(found),
        "contract_problems": Figure(len(problems), detail=" ".join(problems)),
        "missing_contracts": _untold(found),
    }
    checked = check(escaped(found.file), counted, defaults(counted))
    return Shippable(found.file, runtime, checked, _warnings(found))


def _untold(found: Inspection) -> Figure:
    if found.card or found.contract or found.metadata_problem or STANDARD in found.metadata:
        return Figure(0)
    said = "Nothing says how images are prepared for it: no metadata in the file, and no card beside it."
    return Figure(1, detail=said)


def _listing(sentence: str, names: tuple[str, ...]) -> Figure:
    return Figure(len(names), detail=sentence.format(_listed(names)) if names else "")


def _sizes(found: Inspection) -> Figure:
    listed = "; ".join(escaped(one) for one in found.dynamic[:SHOWN])
    return Figure(len(found.dynamic), detail=f"Its sizes are not fixed: {listed}." if listed else "")


def _refused(found: Inspection) -> Figure:
    if not found.refused or found.flex or found.custom:  # which say why
        return Figure(0)
    return Figure(1, detail=f"The runtime here refuses it: {escaped(found.refused)}")


def _newer(found: Inspection, runtime: str | None) -> Figure:
    if runtime is None:
        return Figure(0)
    asked = release(runtime)
    newer: dict[str, None] = {}  # a set that keeps its order
    for one in found.operators:
        oldest = oldest_runtime(one.op, one.version) if one.op not in (*found.flex, *found.custom) else None
        if oldest is not None and oldest > asked:
            newer[f"{one.op} version {one.version} needs {written(oldest)}"] = None
    reasons = [f"Operators are newer than runtime {written(asked)}: {_listed(tuple(newer))}."] if newer else []
    if found.unknown_versions:
        reasons.append(f"No table says which runtime has {_listed(found.unknown_versions)}.")
    return Figure(len(newer) + len(found.unknown_versions), detail=" ".join(reasons))


def _warnings(found: Inspection) -> tuple[str, ...]:
    said = []
    if not (found.contract or found.metadata_problem):
        said.append("The file has no contract of edgekit: an app has to be told how images are resized for it.")
    if STANDARD not in found.metadata:
        said.append("The file has no TFLite metadata: MediaPipe Tasks and ML Kit will not know what it expects.")
    elif found.refused_by_mediapipe:
        said.append(f"MediaPipe's ImageClassifier would refuse it: {' '.join(found.refused_by_mediapipe)}")
    if found.open_batch:
        said.append("Its batch is left open: a runtime allocates it for one image unless the app asks for more.")
    if not found.signatures:
        said.append("It has no signature: callers find inputs and outputs by position alone.")
    return tuple(said)


def _listed(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(escaped(one) for one in names[:SHOWN]) + more
