"""What a file is checked for, as a table: each check turns evidence into findings, or into none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np

from edgekit.evaluation.metrics import wilson
from edgekit.findings.finding import Alternative, Evidence, Finding
from edgekit.runtime.escape import escaped
from edgekit.verification.foreign import FOREIGN

EXPORT_AGAIN = "edgekit compress --model MODEL.keras --epochs 0 --preprocess PRESET --calibration DIR"
UNDESCRIBED = "max_missing_contracts"  # the rule of edgekit/rules.py
UNSEEN = 0.05  # share of the images that a class has to have before it counts that it is never answered
MOST = 0.5  # share of all answers that one class may have beyond its share of the images


def check(evidence: Evidence) -> tuple[Finding, ...]:
    """All findings, the dearest first."""
    found = [finding for look in CHECKS for finding in look(evidence)]
    return tuple(sorted(found, key=lambda one: one.rank))


def breaks(evidence: Evidence) -> Iterator[Finding]:
    """What `edgekit inspect --check` refuses, but that nothing describes the file: that is `untold`."""
    for one in evidence.shippable.checked:
        if one.failed and one.rule.name != UNDESCRIBED:
            yield Finding("breaks", "broken", "It would break in an app.", 1.0, one.clause(), EXPORT_AGAIN)


def runtimes_apart(evidence: Evidence) -> Iterator[Finding]:
    for one in evidence.verification.results if evidence.verification else ():
        if one.status == "beyond":
            agreement = one.difference.agreement if one.difference else None
            cost = 1.0 - agreement if agreement is not None else 1.0
            said = f"It is another network in {one.title}."
            fix = f"{EXPORT_AGAIN} --variants float32 (edgekit verify names the first operator that differs)"
            yield Finding("runtimes-apart", "wrong", said, cost, f"{one.reason} ({one.runtime})", fix)


def runtimes_refuse(evidence: Evidence) -> Iterator[Finding]:
    for one in evidence.verification.results if evidence.verification else ():
        if one.status == "failed":
            said, seen = f"{one.title} does not run it.", f"{one.title} says: {escaped(one.reason)}"
            yield Finding("runtime-refuses", "narrow", said, 0.0, seen, _for_target(one.name, evidence))


def less_accurate(evidence: Evidence) -> Iterator[Finding]:
    """Against the accuracy that the card tells, with the two intervals apart."""
    told = (evidence.card.metrics.get("top1") if evidence.card else None) or None
    measured = evidence.evaluation.top1 if evidence.evaluation else None
    if told is None or measured is None or measured.ci95[1] >= told["ci95"][0]:
        return
    low, high = measured.ci95
    yield Finding(
        "less-accurate", "wrong", "It is less accurate on these images than its card says.",
        told["value"] - measured.value,
        f"top-1 {measured.value:.1%} [{low:.1%}, {high:.1%}] of {measured.n}, the card says {told['value']:.1%}",
        f"edgekit detect-preprocess {escaped(evidence.file)} --data DIR",
    )  # fmt: skip


def prepared_otherwise(evidence: Evidence) -> Iterator[Finding]:
    """The best other way to prepare images, where its interval lies above that of the way in use."""
    if evidence.evaluation is None or not evidence.alternatives:
        return
    best = max(evidence.alternatives, key=lambda one: one.evaluation.top1.value)
    now = evidence.evaluation.correct[list(evidence.tried)]
    if wilson(int(now.sum()), len(now))[1] >= best.evaluation.top1.ci95[0]:
        return
    yield Finding(
        "prepared-otherwise", "wrong", f"Its images are prepared wrongly: {best.how} is right more often.",
        best.evaluation.top1.value - float(now.mean()), _seen(best, now),
        f"edgekit detect-preprocess {escaped(evidence.file)} --data DIR, then give {best.flags}",
    )  # fmt: skip


def _seen(best: Alternative, now: np.ndarray) -> str:
    return (
        f"top-1 {best.evaluation.top1.value:.1%} with it and {now.mean():.1%} as it is, on the same {len(now)} images"
    )


def one_answer(evidence: Evidence) -> Iterator[Finding]:
    """A class that is answered far more often than it is there: what broken inputs and broken files do."""
    found = evidence.evaluation
    if found is None or len(found.class_names) < 2:
        return
    answered, there = Counter(found.predictions.tolist()), Counter(found.labels.tolist())
    index, count = answered.most_common(1)[0]
    excess = (count - there[index]) / found.n
    if excess > MOST:
        name = escaped(found.class_names[index])
        yield Finding(
            "one-answer", "wrong", f"It answers {name!r} to nearly everything.", excess,
            f"{count} of {found.n} answers, where {there[index]} images are of that class",
            f"edgekit detect-preprocess {escaped(evidence.file)} --data DIR",
        )  # fmt: skip


def never_answered(evidence: Evidence) -> Iterator[Finding]:
    """Classes with many images that no image is ever taken for."""
    found = evidence.evaluation
    if found is None:
        return
    there = np.bincount(found.labels, minlength=len(found.class_names))
    answered = np.bincount(found.predictions, minlength=len(found.class_names))
    lost = np.flatnonzero((there >= max(UNSEEN * found.n, 5)) & (answered == 0))
    if len(lost):
        names = ", ".join(escaped(found.class_names[index]) for index in lost[:5])
        yield Finding(
            "never-answered", "wrong", "Some classes are never answered: their labels may be in another order.",
            float(there[lost].sum() / found.n), f"{names}: {int(there[lost].sum())} of {found.n} images",
            f"edgekit evaluate {escaped(evidence.file)} --data DIR, and compare the labels with the model's outputs",
        )  # fmt: skip


def slow_operators(evidence: Evidence) -> Iterator[Finding]:
    """The advice on a profile, with the gains that benchmarks measured."""
    file = escaped(evidence.file)
    for one in evidence.look.advice if evidence.look else ():
        gains = [f"{gain.times:.1f} times as fast behind it in {gain.what}" for gain in one.gains[:1]]
        seen = f"{len(one.operators)} operators take {one.share:.0%} of the time"
        fix = (
            f"in the recipe: {one.step}" if one.step else f"no step is known; edgekit bench {file} --profile names them"
        )
        yield Finding(one.name, "slow", f"{one.said}.", one.share, "; ".join([seen, *gains]), fix)


def blocked_targets(evidence: Evidence) -> Iterator[Finding]:
    """Targets that refuse the file as a whole, by the tables of `edgekit inspect`."""
    for one in evidence.inspection.targets:
        if one.verdict == "refuses" and one.name in FIXES:
            said = f"It does not run on the target {one.name!r}."
            yield Finding("target-refuses", "narrow", said, 0.0, escaped(one.blocked), _for_target(one.name, evidence))


def untold(evidence: Evidence) -> Iterator[Finding]:
    """What `edgekit inspect --check` warns of, and that nothing describes the file."""
    found = evidence.shippable
    said = [*(one.clause() for one in found.checked if one.failed and one.rule.name == UNDESCRIBED), *found.warnings]
    if said:
        fix = f"edgekit metadata set {escaped(evidence.file)}; a batch and a signature come by exporting it again"
        yield Finding("untold", "untold", "Apps have to guess.", 0.0, " ".join(said), fix)


def odd_codes(evidence: Evidence) -> Iterator[Finding]:
    """An integer input whose codes are no pixels, and nothing that says so."""
    if evidence.card is not None:
        return
    for one in evidence.inspection.inputs:
        pixels = one.scale == 1 and one.zero_point in (0, -128)
        if one.scale is not None and one.zero_point is not None and not pixels:
            yield Finding(
                "odd-codes", "untold", "Pixels fed to it as they are would be wrong.", 0.0,
                f"{escaped(one.name)} is {one.dtype}, real = {one.scale:.6g} * (q - {one.zero_point})",
                f"edgekit metadata set {escaped(evidence.file)}, or export it with --io uint8",
            )  # fmt: skip


FIXES = {
    "browser": f"{EXPORT_AGAIN} --io uint8",
    "mediapipe": f"{EXPORT_AGAIN} --io uint8",
    "gpu": f"{EXPORT_AGAIN} --variants float32",
    "litert-gpu": f"{EXPORT_AGAIN} --variants float32",
    "tflm": f"{EXPORT_AGAIN} --variants int8",
}


def _for_target(name: str, evidence: Evidence) -> str:
    if name in FIXES:
        return FIXES[name]
    return f"edgekit runtime add {name}" if name in FOREIGN else f"edgekit inspect {escaped(evidence.file)} --check"


CHECKS: tuple[Callable[[Evidence], Iterator[Finding]], ...] = (
    breaks, runtimes_apart, less_accurate, prepared_otherwise, one_answer, never_answered, slow_operators,
    runtimes_refuse, blocked_targets, odd_codes, untold,
)  # fmt: skip
