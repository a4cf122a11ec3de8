"""Gathers what is to be known of a file: inspection, profile, verification, and accuracy where there are images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from edgekit.artifact import Artifact, load_artifact
from edgekit.data.dataset import load_images
from edgekit.data.split import Split
from edgekit.errors import BadInput, CheckFailed, EdgekitError
from edgekit.evaluation.evaluate import evaluate
from edgekit.evaluation.expects import Expected, expected
from edgekit.findings.checks import check
from edgekit.findings.finding import KINDS, Alternative, Evidence, Finding
from edgekit.measurement.look import look
from edgekit.preprocess import PRESETS, Preprocess
from edgekit.progress import Progress, Reporter, silent
from edgekit.runtime.dissect import inspect
from edgekit.runtime.escape import escaped
from edgekit.runtime.shippable import shippable
from edgekit.verification.inputs import spread
from edgekit.verification.verify import verify

FEW = 200  # images that other ways to prepare them are tried on
T = TypeVar("T")


@dataclass(frozen=True)
class Examined:
    """`findings`, the dearest first, and the evidence that they are of."""

    findings: tuple[Finding, ...]
    evidence: Evidence

    @property
    def failed(self) -> CheckFailed | None:
        """The error for a file that does not work, or is wrong."""
        bad = [one for one in self.findings if one.kind in ("broken", "wrong")]
        if not bad:
            return None
        said = "; ".join(f"{one.said.rstrip('.')} ({one.evidence})" for one in bad)
        return CheckFailed(f"{escaped(self.evidence.file)} {KINDS[bad[0].kind]}: {said}.", f"First: {bad[0].fix}")

    def to_json(self) -> dict[str, Any]:
        seen = self.evidence
        return {
            "file": seen.file, "findings": [one.to_json() for one in self.findings], "unknown": list(seen.unknown),
            "top1": seen.evaluation.top1.to_json() if seen.evaluation else None,
            "verification": seen.verification.to_json() if seen.verification else None,
            "placement": seen.look.placement.to_json() if seen.look else None,
        }  # fmt: skip


def doctor(
    file: str | Path | Artifact, *, data: str | None = None, preprocess: str | Mapping[str, Any] | None = None,
    progress: Reporter = silent,
) -> Examined:  # fmt: skip
    """Why a file is slow, and why it is wrong; the latter takes `data`, labelled images.

    Raises BadInput for a damaged file, and as `evaluate` does for data that do not fit it.
    """
    path = file.path if isinstance(file, Artifact) else Path(file)
    progress(Progress("doctor", 0, 1, "inspecting"))
    inspection = inspect(path)
    wanted = None if data is None or inspection.refused else expected(path, preprocess)
    try:
        card = load_artifact(path).card
    except BadInput:  # the inspection tells of it
        card = None
    evidence = Evidence(str(path), inspection, shippable(inspection), card)
    if not inspection.refused:
        evidence = _run(evidence, path, preprocess, progress)
    if data is not None and wanted is not None:
        evidence = _evaluated(evidence, path, data, wanted, progress)
    return Examined(check(evidence), evidence)


def _run(evidence: Evidence, path: Path, preprocess: str | Mapping[str, Any] | None, progress: Reporter) -> Evidence:
    """What takes a runtime: a part that fails leaves the others."""
    seen, why = _tried("the profile", lambda: look(path, min_runs=20, min_seconds=0.3, progress=progress))
    verified, too = _tried("the verification", lambda: verify(path, preprocess=preprocess, progress=progress))
    return replace(evidence, look=seen, verification=verified, unknown=(*why, *too))


def _tried(what: str, work: Callable[[], T]) -> tuple[T | None, tuple[str, ...]]:
    try:
        return work(), ()
    except EdgekitError as error:
        return None, (f"{what}: {error}",)


def _evaluated(evidence: Evidence, path: Path, data: str, wanted: Expected, progress: Reporter) -> Evidence:
    split = load_images(data, wanted.preprocess, wanted.classes, wanted.trained_on, progress)
    found = evaluate(path, split, wanted.preprocess, labels=wanted.labels, progress=progress)
    tried = spread(len(split), FEW)
    few = split.take(tried)
    others: list[Alternative] = []
    for how, flags, other in _other_ways(wanted.preprocess, evidence):
        progress(Progress("doctor", len(others), len(PRESETS), how))
        others.append(Alternative(how, flags, _prepared(path, few, other, wanted)))
    return replace(evidence, evaluation=found, alternatives=tuple(others), tried=tuple(tried))


def _prepared(path: Path, split: Split, preprocess: Preprocess, wanted: Expected) -> Any:
    return evaluate(path, replace(split, preprocess=preprocess), preprocess, labels=wanted.labels, workers=1)


def _other_ways(now: Preprocess, evidence: Evidence) -> list[tuple[str, str, Preprocess]]:
    """The other order of the channels, and the other presets' normalization; an integer input has its own."""
    swapped = "bgr" if now.channels == "rgb" else "rgb"
    found = [(f"the channel order {swapped}", f"--channels {swapped}", now.model_copy(update={"channels": swapped}))]
    if evidence.inspection.inputs[0].scale is not None:
        return found
    for name, preset in PRESETS.items():
        values = Preprocess.model_validate({"height": now.height, "width": now.width, **preset})
        other = now.model_copy(update={"mean": values.mean, "std": values.std, "channels": values.channels})
        if other != now:
            found.append((f"the normalization of {name!r}", f"--preprocess {name}", other))
    return found
